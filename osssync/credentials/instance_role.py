"""Credentials of the RAM role attached to this ECS instance, by the vendor's own provider.

One fetch is two requests (token, credentials); finding out the role's name is two more, done once.
Nothing is kept between fetches but that name.

Source: ECS user guide "Instance RAM roles"; alibabacloud-credentials 1.0.12, ``ecs_ram_role.py``.
"""

import time
from collections.abc import Callable

from osssync.config import CredentialSettings
from osssync.credentials import sdk
from osssync.credentials.document import why_unusable
from osssync.credentials.exchange import Route, Trace
from osssync.credentials.metadata import (
    METADATA_HOST,
    MetadataGarbledError,
    MetadataNotFoundError,
    MetadataService,
    is_role_name,
    refusal,
    refuse_if_disabled,
)
from osssync.credentials.provider import Snapshot
from osssync.errors import CredentialsError, UsageError

_ORIGIN = f"http://{METADATA_HOST}:80"  # Tea's name for the session of this host


class InstanceRoleFetcher:
    """Fetches the instance role's current set. One fetch at a time, as a provider does it."""

    def __init__(
        self,
        settings: CredentialSettings,
        *,
        timeout_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``timeout_s`` bounds each step of each request; the service answers in milliseconds.

        Raises:
            UsageError: a role name or metadata proxy that cannot be one.
        """
        if settings.role_name and not is_role_name(settings.role_name):
            raise UsageError(
                f"--role-name {settings.role_name!r}: a role name is letters, digits and ._-"
            )
        self._route = Route(settings.metadata_proxy, timeout_s)
        self._service = MetadataService(
            settings.metadata_proxy, imds_v2_only=settings.imds_v2_only, timeout_s=timeout_s
        )
        self._imds_v2_only = settings.imds_v2_only
        self._given_role = settings.role_name
        self._role = settings.role_name
        self._clock = clock

    def __call__(self) -> Snapshot:
        """Fetch afresh; look for another role if ours is gone and the user named none.

        Raises:
            CredentialsError: no role, no service, no answer that makes sense; see ``metadata``.
        """
        refuse_if_disabled()
        self._role = self._role or self._service.role_name()
        try:
            return self._fetch(self._role)
        except MetadataNotFoundError:
            attached = self._service.role_name()  # switched, or raises: detached
        if self._given_role and attached != self._given_role:
            raise MetadataNotFoundError(
                f"the RAM role {self._given_role!r} is not attached to this instance, but "
                f"{attached!r} is: correct --role-name (or ALIBABA_CLOUD_ECS_METADATA), or leave "
                "it out to use whichever role is attached"
            )
        self._role = attached
        return self._fetch(attached)

    def _fetch(self, role: str) -> Snapshot:
        session = sdk.DirectSession(_ORIGIN, self._route)

        def build() -> sdk.SdkProvider:
            from alibabacloud_credentials.http import HttpOptions
            from alibabacloud_credentials.provider.ecs_ram_role import (
                EcsRamRoleCredentialsProvider,
            )

            timeout_ms = max(1, round(self._route.timeout_s * 1000))
            provider: sdk.SdkProvider = EcsRamRoleCredentialsProvider(
                role_name=role,
                disable_imds_v1=self._imds_v2_only,
                async_update_enabled=False,  # or a scheduler thread would start
                http_options=HttpOptions(
                    proxy=self._route.proxy or None,
                    connect_timeout=timeout_ms,
                    read_timeout=timeout_ms,
                ),
            )
            return provider

        def explain(error: Exception) -> CredentialsError:
            return _explain(f"RAM role {role}", session.traces, self._clock(), error)

        return sdk.fetch(build, role, explain, session, self._clock)


def _explain(who: str, traces: list[Trace], now_s: float, error: Exception) -> CredentialsError:
    """Why a fetch failed, read from what went over the wire; the package only says that it did.

    Of its exception nothing but the class is told.
    """
    if not traces:
        return CredentialsError(
            f"{who}: alibabacloud-credentials refused to ask ({type(error).__name__}); if "
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED was true when Python started, unset it"
        )
    trace = traces[-1]
    if trace.reply is None or trace.reply.status != 200:
        return refusal(trace)
    return MetadataGarbledError(why_unusable(who, trace.reply, now_s))
