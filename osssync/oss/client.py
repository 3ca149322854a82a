"""One bucket, or the service above buckets, at one endpoint: a request goes in, a reply comes out.

    open, exchange   signed and sent from here: the verbs that transfers need
    send             through oss2, which has the request signed by the same signer and sent by the
                     same session: all others

Only oss2's plumbing is used. Its verbs guess a Content-Type from the host's mime.types, take the
quotes off ETags, leave bodies unread and format every header for a debug log; and its plumbing
costs more than a small object's whole way to the disk, hence the shorter one.
"""

import base64
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from osssync.config import SignatureVersion
from osssync.errors import IntegrityError, OsssyncError, UnsafeKeyError, UsageError
from osssync.keys import display
from osssync.oss import documents
from osssync.oss.canonical import query_string
from osssync.oss.endpoint import Endpoint
from osssync.oss.line import Line
from osssync.oss.request import Reply, Request, Route
from osssync.oss.session import PooledResponse
from osssync.oss.signature import SignerV1, SignerV4, Stamp
from osssync.oss.translate import ErrorReply, from_reply, from_transport, translated
from osssync.oss.wire import header_lines

if TYPE_CHECKING:
    from osssync.oss.sdk import SdkBucket, SdkService

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_/-][A-Za-z0-9_.~/-]*")
_NETLOC = re.compile(r"[\w.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


class Client:
    """Signs, sends, translates errors; repeats nothing. Threads may share it.

    Args:
        route: how to reach OSS.
        bucket: the bucket's name, or "" for the service.

    Raises:
        UsageError: the name or the endpoint cannot be.
    """

    def __init__(self, route: Route, bucket: str) -> None:
        if bucket and not _BUCKET_NAME.fullmatch(bucket):
            raise UsageError(f"bucket {bucket!r}: give 3 to 63 characters of a-z, 0-9 and '-'")
        self.bucket = bucket
        self._route = route
        kind = SignerV1 if route.settings.signature is SignatureVersion.V1 else SignerV4
        region = route.endpoint.region
        self._signer: SignerV4 | SignerV1 = kind(route.provider, route.clock_offset, region)
        self._where, self._path = _address(route.endpoint, bucket)
        self._uri = f"/{bucket}/" if bucket else "/"  # before the key, as it is signed

    def translated(self, operation: str, key: str = "") -> AbstractContextManager[None]:
        """Around a read of a body: its errors become ours, naming this bucket and the key."""
        return translated(operation, self.bucket, key, lambda: self._signer.signed_with)

    def open(self, operation: str, request: Request) -> PooledResponse:
        """Send; the body of the reply is still to be read or closed by the caller.

        Raises:
            UnsafeKeyError: no server would get this key as it is.
            OsssyncError: see ``translated``.
        """
        stamp = self._signer.stamp()
        target, lines = self._signed(request, stamp)
        session, method, body = self._route.session, request.method, request.body
        return self._accepted(
            operation,
            request.key,
            lambda: session.request(method, self._where, target, lines, body),
            stamp.access_key_id,
        )

    def line(self) -> Line | None:
        """An idle connection, to be asked without waiting there; None if none is."""
        session = self._route.session
        lent = session.lend(self._where)
        return None if lent is None else Line(session, *lent)

    def ask(self, lines: Sequence[Line], requests: Sequence[Request | None]) -> Sequence[bool]:
        """Send what ``open`` would send, each on its line, bodies in memory; what was sent.

        Not sent: what is None, what ``open`` would refuse to send, what met a broken line.

        Raises:
            CredentialsError: as the provider says.
        """
        stamp = self._signer.stamp()
        signed_with = stamp.access_key_id
        sent = []
        for line, request in zip(lines, requests, strict=True):
            is_sent = False
            if request is not None and (request.body is None or isinstance(request.body, bytes)):
                try:
                    target, own = self._signed(request, stamp)
                    is_sent = line.send(request.method, target, own, request.body, signed_with)
                except (UsageError, UnsafeKeyError):  # ``open`` meets it again, and tells
                    is_sent = False
            sent.append(is_sent)
        return sent

    def answer(self, operation: str, key: str, line: Line) -> PooledResponse:
        """What ``open`` would have returned, or raised, for what ``ask`` has sent."""
        return self._accepted(operation, key, line.response, line.signed_with)

    def exchange(self, operation: str, request: Request) -> Reply:
        """Send, and read the whole reply.

        Raises:
            as ``open``.
        """
        return self.read(operation, request.key, self.open(operation, request))

    def read(self, operation: str, key: str, response: PooledResponse) -> Reply:
        """All of a response, which is closed.

        Raises:
            OsssyncError: see ``translated``.
        """
        try:
            return Reply(response.status, response.headers, response.read())
        except OSError as error:
            raise from_transport(error, self.subject(operation, key)) from error
        finally:
            response.close()

    def send(self, operation: str, request: Request) -> Reply:
        """Send through oss2, and read the whole reply.

        Raises:
            as ``open``.
        """
        _encoded(request.key)
        with self.translated(operation, request.key):
            response = self._sdk.send(request)
            try:
                return Reply(response.status, response.headers, response.read())
            finally:
                response.close()

    def presign(self, method: str, key: str, expires_s: int) -> str:
        """A signed address; a bearer token for what it allows, as long as the credentials live."""
        _encoded(key)
        if not self.bucket:
            raise UsageError("only objects of a bucket can be presigned")
        with self.translated("presign", key):
            return str(self._sdk.sign_url(method, key, expires_s, slash_safe=True))

    def subject(self, operation: str, key: str) -> str:
        """What failed, for a message."""
        address = f"oss://{self.bucket}/{display(key)}" if self.bucket else "OSS"
        return f"{operation} {address}"

    @cached_property
    def _sdk(self) -> "SdkBucket | SdkService":
        from osssync.oss.sdk import open_sdk  # 0.2 s of CPU, for what few runs do often

        return open_sdk(self._route, self.bucket)

    def _signed(self, request: Request, stamp: Stamp) -> tuple[str, bytes]:
        """Where the request goes below the host, and all its own header lines."""
        params, headers = request.params, request.headers
        encoded = _encoded(request.key)
        signed = stamp.sign(request.method, self._uri + encoded, params, headers)
        # Slashes too: no proxy may take "a/../b" for a path.
        target = self._path + encoded.replace("/", "%2F")
        if params:
            target = f"{target}?{query_string(params)}"
        return target, header_lines(headers) + signed if headers else signed

    def _accepted(
        self,
        operation: str,
        key: str,
        respond: Callable[[], PooledResponse],
        signed_with: str,
    ) -> PooledResponse:
        """The response, if it is a success."""
        try:
            response = respond()
        except OsssyncError:
            raise
        except OSError as error:
            raise from_transport(error, self.subject(operation, key)) from error
        if not 200 <= response.status < 300:
            raise self._refused(operation, key, response, signed_with)
        return response

    def _refused(
        self, operation: str, key: str, response: PooledResponse, signed_with: str
    ) -> OsssyncError:
        body = response.read()
        packed = "" if body else response.headers.get("x-oss-err")  # how a HEAD is told
        if packed:
            body = base64.b64decode(packed)
        details = documents.parse_error(body)
        if packed and not details:
            return IntegrityError(f"{self.subject(operation, key)}: the error cannot be read")
        reply = ErrorReply(
            subject=self.subject(operation, key),
            status=response.status,
            code=details.get("Code") or "",
            ec=details.get("EC") or response.headers.get("x-oss-ec") or "",
            request_id=response.request_id,
            headers=response.headers,
            details=details,
        )
        return from_reply(reply, lambda: signed_with)


def _address(endpoint: Endpoint, bucket: str) -> tuple[tuple[str, str], str]:
    """Scheme and host with its port, and the path before the key."""
    scheme, _, netloc = endpoint.url.partition("://")
    if scheme not in ("http", "https") or not _NETLOC.fullmatch(netloc):
        raise UsageError(f"endpoint {endpoint.url!r}: give http(s)://HOST[:PORT]")
    if not bucket:
        return (scheme, netloc), "/"
    if endpoint.path_style or _is_address(endpoint.host):
        return (scheme, netloc), f"/{bucket}/"
    return (scheme, f"{bucket}.{netloc}"), "/"


def _is_address(host: str) -> bool:
    """Whether it is no name that a bucket could be put before."""
    if host == "localhost" or ":" in host:
        return True
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _encoded(key: str) -> str:
    """The key percent-encoded but for its slashes.

    Raises:
        UnsafeKeyError: no server would get this key as it is.
    """
    # As a path segment each means another resource to URL libraries and proxies (RFC 3986 5.2.4).
    if _PLAIN_KEY.fullmatch(key):  # nearly all
        return key
    if key in (".", ".."):
        raise UnsafeKeyError(f"key {key!r} cannot be addressed: it would name the bucket itself")
    try:
        return quote(key)
    except UnicodeEncodeError:
        raise UnsafeKeyError(f"key {display(key)!r} is not UTF-8, which OSS requires") from None
