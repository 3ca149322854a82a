"""Credentials from a URI that serves the metadata service's JSON: a sidecar, or an https service.

Asked directly, never through a proxy of the environment: what stands at a loopback address of
another machine is not ours.
"""

import time
from collections.abc import Callable
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from osssync.credentials import sdk
from osssync.credentials.document import why_unusable
from osssync.credentials.exchange import Route
from osssync.credentials.provider import Snapshot
from osssync.errors import CredentialsError, UsageError


class UriFetcher:
    """Fetches from one URI. The query may be a secret, so only scheme, host and path are shown."""

    def __init__(
        self, uri: str, *, timeout_s: float = 5.0, clock: Callable[[], float] = time.time
    ) -> None:
        """``timeout_s`` bounds each step of the request.

        Raises:
            UsageError: neither https nor http to a loopback address, or with a user name.
        """
        self._uri = uri
        self._origin, self._shown = _parse(uri)
        self._route = Route(timeout_s=timeout_s)
        self._clock = clock

    def __repr__(self) -> str:
        return f"UriFetcher({self._shown!r})"

    def __call__(self) -> Snapshot:
        """Fetch afresh.

        Raises:
            CredentialsError: no answer, or no credentials in it.
        """
        session = sdk.DirectSession(self._origin, self._route)

        def build() -> sdk.SdkProvider:
            from alibabacloud_credentials.provider.uri import URLCredentialsProvider

            provider: sdk.SdkProvider = URLCredentialsProvider(uri=self._uri)
            return provider

        def explain(error: Exception) -> CredentialsError:
            return CredentialsError(self._why(session, error))

        return sdk.fetch(build, self._shown, explain, session, self._clock)

    def _why(self, session: sdk.DirectSession, error: Exception) -> str:
        if not session.traces:
            return f"{self._shown}: the request could not be made ({type(error).__name__})"
        trace = session.traces[-1]
        if trace.reply is None:
            return f"{self._shown} did not answer ({type(trace.failure).__name__})"
        if trace.reply.status != 200:
            return f"{self._shown} answered HTTP {trace.reply.status}"
        return why_unusable(self._shown, trace.reply, self._clock())


def _parse(uri: str) -> tuple[str, str]:
    """Tea's name of the session, and how the URI is shown."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    try:
        port = parts.port or 80  # Tea's default, whatever the scheme
    except ValueError:
        host, port = "", 0
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    if not host or not is_safe or "@" in parts.netloc or ":" in host:
        raise UsageError(
            "a credentials URI is https://HOST/…, or http:// to localhost or 127.x.x.x; without a "
            "user name, and with an IPv4 address if any (ALIBABA_CLOUD_CREDENTIALS_URI)"
        )
    return f"{parts.scheme}://{host}:{port}", f"{parts.scheme}://{parts.netloc}{parts.path}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False
