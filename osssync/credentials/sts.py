"""Roles assumed through STS, by the vendor's own providers: by OIDC token, or by other credentials.

STS is a public https service, so here the proxies of the environment count as everywhere else.

Source: RAM API reference, AssumeRole and AssumeRoleWithOIDC; ACK user guide "RRSA".
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from osssync.credentials import sdk
from osssync.credentials.provider import Fetcher, Snapshot
from osssync.errors import CredentialsError
from osssync.veiled import Veiled

_CODE = re.compile(r'"Code"\s*:\s*"([A-Za-z0-9._]{1,80})"')
_STATUS = re.compile(r"http_code[:=]\s*(\d{3})")
_REQUEST_ID = re.compile(r'"RequestId"\s*:\s*"([A-Za-z0-9-]{1,64})"')


class Role(Struct, frozen=True):
    """A role to assume, and the STS endpoint to ask.

    ``duration_s`` is 0 for the default hour; STS takes 900 s to the role's maximum. An empty
    ``region`` means the central endpoint; ``vpc`` the one inside a VPC (it needs a region).
    """

    arn: str
    session_name: str = "osssync"
    duration_s: int = 0
    policy: str = ""
    region: str = ""
    vpc: bool = False

    @property
    def name(self) -> str:
        """The last part of the ARN, for people."""
        return self.arn.rpartition("/")[2] or self.arn


class OidcFetcher(Struct, frozen=True):
    """AssumeRoleWithOIDC. The token file is read at every fetch, as Kubernetes rotates it."""

    role: Role
    provider_arn: str
    token_file: str
    clock: Callable[[], float] = time.time

    def __call__(self) -> Snapshot:
        """Fetch afresh.

        Raises:
            CredentialsError: no token file, STS refused, or STS could not be reached.
        """
        if not (Path(self.token_file).is_file() and os.access(self.token_file, os.R_OK)):
            raise CredentialsError(
                f"the OIDC token file {self.token_file!r} is not there or not readable: is RRSA "
                "set up for this pod's service account?"
            )

        def build() -> sdk.SdkProvider:
            from alibabacloud_credentials.provider.oidc import OIDCRoleArnCredentialsProvider

            provider: sdk.SdkProvider = OIDCRoleArnCredentialsProvider(
                role_arn=self.role.arn,
                oidc_provider_arn=self.provider_arn,
                oidc_token_file_path=self.token_file,
                role_session_name=self.role.session_name,
                duration_seconds=self.role.duration_s or None,
                policy=self.role.policy or None,
                sts_region_id=self.role.region or None,
                enable_vpc=self.role.vpc,
            )
            return provider

        return sdk.fetch(build, self.role.name, explain_sts(self.role.name), clock=self.clock)


class AssumedRoleFetcher(Veiled, frozen=True):
    """AssumeRole, signed with the credentials of ``source``, which are fetched first."""

    role: Role
    source: Fetcher
    external_id: str = ""
    clock: Callable[[], float] = time.time

    def __call__(self) -> Snapshot:
        """Fetch afresh.

        Raises:
            CredentialsError: the source failed, STS refused, or STS could not be reached.
        """
        source = self.source()  # before the SDK is entered: it may need the SDK itself

        def build() -> sdk.SdkProvider:
            from alibabacloud_credentials.provider.ram_role_arn import RamRoleArnCredentialsProvider

            provider: sdk.SdkProvider = RamRoleArnCredentialsProvider(
                access_key_id=source.access_key_id,
                access_key_secret=source.access_key_secret,
                security_token=source.security_token or None,
                role_arn=self.role.arn,
                role_session_name=self.role.session_name,
                duration_seconds=self.role.duration_s or None,
                policy=self.role.policy or None,
                external_id=self.external_id or None,
                sts_region_id=self.role.region or None,
                enable_vpc=self.role.vpc,
            )
            return provider

        return sdk.fetch(build, self.role.name, explain_sts(self.role.name), clock=self.clock)


def explain_sts(who: str) -> Callable[[Exception], CredentialsError]:
    """How to tell why STS gave nothing. Error code and request id, never the rest of its answer.

    A refusal may quote the string to sign, a connection error the URL: both hold tokens.
    """

    def explain(error: Exception) -> CredentialsError:
        text = str(error)
        kind = type(error).__name__
        if kind == "RetryError" or isinstance(error, OSError):
            reason = "timed out" if "timed out" in text else "no connection"
            return CredentialsError(
                f"{who}: STS could not be reached ({reason}): check DNS, the route to "
                "sts.aliyuncs.com (or set ALIBABA_CLOUD_STS_REGION), and HTTPS_PROXY"
            )
        if "No cached value" in text:
            return CredentialsError(
                f"{who}: the credentials of STS had already expired when they came: this machine's "
                "clock is ahead (compare `date -u`, check NTP)"
            )
        code, status, request = (_first(found, text) for found in (_CODE, _STATUS, _REQUEST_ID))
        if not (code or status):
            return CredentialsError(f"{who}: the answer of STS could not be used ({kind})")
        return CredentialsError(
            f"{who}: STS refused ({code or 'no code'}, HTTP {status or '200'}, request id "
            f"{request or 'unknown'}): check the role's ARN and its trust policy"
        )

    return explain


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
