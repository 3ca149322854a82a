"""One bucket, or the service above buckets, at one endpoint: a request goes in, a reply comes out.

oss2 makes the address and has the request signed and sent; this is the only place that calls it.
Its verbs are left out: they guess a Content-Type from the host's mime.types, take the quotes off
ETags, leave bodies unread and format every header for a debug log.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import cast

import oss2

from osssync.config import OssSettings
from osssync.errors import UnsafeKeyError, UsageError
from osssync.keys import display
from osssync.oss.endpoint import Endpoint
from osssync.oss.session import Body, PooledResponse, PooledSession
from osssync.oss.signing import ClockOffset, CredentialsProvider, SignerV1, SignerV4, make_auth
from osssync.oss.translate import translated


class _SdkBucket(oss2.Bucket):  # type: ignore[misc] # oss2 has no types
    def send(self, request: "Request") -> PooledResponse:
        reply = self._do(
            request.method,
            self.bucket_name,
            request.key,
            params=dict(request.params),
            headers=dict(request.headers),
            data=request.body,
        )
        return cast("PooledResponse", reply)


class _SdkService(oss2.Service):  # type: ignore[misc] # oss2 has no types
    def send(self, request: "Request") -> PooledResponse:
        params, headers = dict(request.params), dict(request.headers)
        reply = self._do(request.method, "", "", params=params, headers=headers)
        return cast("PooledResponse", reply)


@dataclass(frozen=True, slots=True)
class Request:
    """One request before it is signed. A parameter with the value "" goes out as a bare name."""

    method: str
    key: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful reply, its body read to the end."""

    status: int
    headers: Mapping[str, str]  # finds names in any case
    body: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """How requests of one process reach OSS; buckets share it."""

    settings: OssSettings
    endpoint: Endpoint
    provider: CredentialsProvider
    session: PooledSession
    clock_offset: ClockOffset


class Client:
    """Signs, sends, translates errors; repeats nothing. Threads may share it.

    Args:
        route: how to reach OSS.
        bucket: the bucket's name, or "" for the service.

    Raises:
        UsageError: the name or the endpoint is not one that oss2 takes.
    """

    def __init__(self, route: Route, bucket: str) -> None:
        self.bucket = bucket
        self._signer: SignerV4 | SignerV1 = make_auth(
            route.provider, route.settings, route.clock_offset
        )
        settings, endpoint = route.settings, route.endpoint
        options = {
            "session": route.session,
            "connect_timeout": (settings.connect_timeout_s, settings.read_timeout_s),
            "region": endpoint.region or None,
            "is_path_style": endpoint.path_style,
        }
        with self.translated("open"):
            self._sdk: _SdkBucket | _SdkService = (
                _SdkBucket(self._signer, endpoint.url, bucket, enable_crc=False, **options)
                if bucket
                else _SdkService(self._signer, endpoint.url, **options)
            )

    def translated(self, operation: str, key: str = "") -> AbstractContextManager[None]:
        """Around a read of a body: its errors become ours, naming this bucket and the key."""
        return translated(operation, self.bucket, key, lambda: self._signer.signed_with)

    def open(self, operation: str, request: Request) -> PooledResponse:
        """Send; the body of the reply is still to be read or closed by the caller.

        Raises:
            UnsafeKeyError: no server would get this key as it is.
            OsssyncError: see ``translated``.
        """
        _refuse_unsendable(request.key)
        with self.translated(operation, request.key):
            return self._sdk.send(request)

    def send(self, operation: str, request: Request) -> Reply:
        """Send, and read the whole reply.

        Raises:
            UnsafeKeyError: no server would get this key as it is.
            OsssyncError: see ``translated``.
        """
        _refuse_unsendable(request.key)
        with self.translated(operation, request.key):
            response = self._sdk.send(request)
            try:
                return Reply(response.status, response.headers, response.read())
            finally:
                response.close()

    def presign(self, method: str, key: str, expires_s: int) -> str:
        """A signed address; a bearer token for what it allows, as long as the credentials live."""
        _refuse_unsendable(key)
        if not isinstance(self._sdk, _SdkBucket):
            raise UsageError("only objects of a bucket can be presigned")
        with self.translated("presign", key):
            return str(self._sdk.sign_url(method, key, expires_s, slash_safe=True))


def _refuse_unsendable(key: str) -> None:
    # As a path segment each means another resource to URL libraries and proxies (RFC 3986 5.2.4).
    if key in (".", ".."):
        raise UnsafeKeyError(f"key {key!r} cannot be addressed: it would name the bucket itself")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UnsafeKeyError(f"key {display(key)!r} is not UTF-8, which OSS requires") from None
