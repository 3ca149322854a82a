"""The HTTP session under oss2's ``session=`` seam, and under the verbs that go without oss2.

oss2's stock session follows redirects (and forwards the security token to the new host), lets
``~/.netrc`` replace the signature, takes proxies from the environment, unpacks gzip under the
checksum, and has one timeout for connecting and for reading. This one does none of that, keeps
connections open, and costs a tenth of the CPU. It signs nothing and translates no errors; those
are OSError's until ``translate`` sees them. It repeats one thing: a request that met a connection
which the other side had closed while it was idle.
"""

import contextlib
import logging
import platform
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from osssync.config import OssSettings
from osssync.errors import UsageError
from osssync.fibers import Loop, running
from osssync.oss.channel import BUFFER_BYTES, BUFFERS, Body, Channel, RangeSource
from osssync.oss.dialing import Origin, dial, origin_of
from osssync.oss.signature import query_string
from osssync.oss.wire import Head, Headers, IllegalHeaderError, request_head
from osssync.version import __version__

_ERROR_BODY_BYTES = 1 << 16  # OSS error documents are about 1 KiB
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # RFC 9110 9.2.2: idempotent

USER_AGENT = (
    f"osssync/{__version__} ({platform.system()}; {platform.machine()}; "
    f"Python/{platform.python_version()})"
)


class SdkRequest(Protocol):
    """The part of ``oss2.http.Request`` that is sent."""

    method: str
    url: str
    data: Any  # the body, or None
    params: dict[str, str]
    headers: Any  # a mapping; a value None is not sent


class PooledResponse:
    """A reply. Read it to its end or close it, or its connection is lost.

    It is also what oss2 expects. Bodies come as they are stored: no content decoding.
    """

    __slots__ = ("_ahead", "_channel", "_session", "headers", "request_id", "response", "status")

    def __init__(self, session: "PooledSession", channel: Channel, head: Head) -> None:
        self.response = self  # oss2 closes ``.response``
        self.status = head.status
        self.headers: Headers = head.headers
        self.request_id: str = head.headers.get("x-oss-request-id") or ""
        self._session = session
        self._channel: Channel | None = channel
        self._ahead: bytes | None = None  # read ahead; None while it is on the wire
        if channel.is_clean():
            self._ahead = b""
            self.close()
        elif head.status // 100 != 2:
            self._ahead = self._error_body(channel)
            self.close()

    def take(self) -> memoryview:
        """The next bytes, up to 1 MiB, valid until the next call; nothing at the end.

        Raises:
            OSError: the connection broke, timed out, or ended early.
        """
        if self._ahead is not None:
            taken, self._ahead = self._ahead, b""
            return memoryview(taken)
        return memoryview(b"") if self._channel is None else self._channel.take()

    def read(self, amt: int | None = None) -> bytes:
        """Up to ``amt`` bytes, fewer only at the end; everything without it; b"" at the end.

        The body of an error is one piece.

        Raises:
            OSError: the connection broke, timed out, or ended early.
        """
        if self._ahead is not None:
            # Whole, whatever ``amt`` says: oss2 would read 4096 bytes of an error, and lose the
            # code of a longer document (a refused signature repeats all that was signed).
            return bytes(self.take())
        if self._channel is None:
            return b""
        pieces = []
        left = amt
        while left is None or left > 0:
            piece = bytes(self._channel.take(BUFFER_BYTES if left is None else left))
            if not piece:
                break
            pieces.append(piece)
            left = None if left is None else left - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(BUFFER_BYTES):
            yield chunk

    def close(self) -> None:
        """Give the connection back: for reuse if the body is read, else closed. Idempotent."""
        channel, self._channel = self._channel, None
        if channel is not None:
            self._session.put_back(channel)

    def _error_body(self, channel: Channel) -> bytes:
        # The status alone says enough: a connection that breaks here must not hide it.
        body = b""
        with contextlib.suppress(OSError):
            while len(body) < _ERROR_BODY_BYTES and (piece := channel.take(_ERROR_BODY_BYTES)):
                body += piece
        return body.decode("utf-8", "ignore").encode()  # oss2 raises on what is not UTF-8


class PooledSession:
    """Keep-alive connections to one or a few hosts; threads may share it, processes may not.

    Connections that fibers use stay with their loop.

    Args:
        settings: timeouts, trust and proxies.
        pool_size: connections kept open to one host while idle.
    """

    def __init__(self, settings: OssSettings, pool_size: int) -> None:
        self._settings = settings
        self._pool_size = pool_size
        self._origins: dict[str, Origin] = {}
        self._idle: dict[tuple[str, Loop | None], list[Channel]] = {}
        self._busy: dict[Channel, str] = {}  # the origin of each
        self._tls_sessions: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        # oss2 formats whole requests, security token included, at DEBUG and whole error bodies,
        # in which OSS repeats the token, at INFO. There is no level at which that may be seen.
        logging.getLogger("oss2").setLevel(logging.CRITICAL)

    def do_request(self, req: SdkRequest, timeout: object) -> PooledResponse:  # noqa: ARG002 - oss2's signature
        """Send one signed ``oss2.http.Request``; timeouts are those of the settings.

        Raises:
            UsageError: a header, a proxy or a CA file that cannot be used.
            SourceChangedError: the body ended before its length.
            OSError: no reply, for whatever reason.
        """
        scheme, _, rest = req.url.partition("://")
        # Not urllib.parse: the path goes out as it was signed, never normalised.
        netloc, _, path = rest.partition("/")
        target = f"/{path}"
        if req.params:
            target = f"{target}?{query_string(req.params)}"
        headers = {name: value for name, value in req.headers.items() if value is not None}
        headers.pop("User-Agent", None)
        return self.request(req.method, (scheme, netloc), target, headers, req.data)

    def request(
        self,
        method: str,
        where: tuple[str, str],
        target: str,
        headers: Mapping[str, str | bytes],
        body: Body | None,
    ) -> PooledResponse:
        """Send a request as it is; the reply's head is read, its body is not.

        Args:
            method: of the request.
            where: scheme, and host with its port if that is not the scheme's own.
            target: path and query, percent-encoded.
            headers: all but Host, User-Agent and the framing.
            body: bytes, something with ``len`` that is read, or chunks of unknown length.

        Raises:
            as ``do_request``.
        """
        scheme, netloc = where
        name = f"{scheme}://{netloc}"
        origin = self._origins.get(name) or self._open_origin(scheme, netloc)
        head = _head(method, origin, target, headers, body)
        while True:
            channel, is_fresh = self._acquire(name, origin)
            try:
                return self._exchange(channel, head, body, is_head=method == "HEAD")
            except ConnectionError:
                may_repeat = not is_fresh and not channel.heard and method in _REPEATABLE
                if not may_repeat or not _can_be_sent_again(body):
                    raise

    def put_back(self, channel: Channel) -> None:
        """Take back a connection that was lent; one that cannot be used again is closed."""
        name = self._busy.pop(channel, "")
        if self._is_closed or not channel.is_clean():
            channel.close()
            return
        idle = self._idle.setdefault((name, channel.loop), [])
        if len(idle) < self._pool_size or channel.loop is not None:
            idle.append(channel)
        else:
            channel.close()

    def close(self) -> None:
        """Close all connections; a request that is still under way sees its own break. Idempotent.

        From then on none is kept.
        """
        self._is_closed = True
        for channel in list(self._busy):
            channel.break_off()
        idle, self._idle = self._idle, {}
        for channels in idle.values():
            for channel in channels:
                channel.close()

    def _exchange(
        self, channel: Channel, head: bytes, body: Body | None, *, is_head: bool
    ) -> PooledResponse:
        try:
            try:
                channel.send(head, body)
            except ConnectionError as error:
                # A refusal may have come before all was sent; it counts more than the broken pipe.
                try:
                    return self._refusal(channel, is_head=is_head)
                except OSError:
                    raise error from None
            return PooledResponse(self, channel, channel.read_head(is_head_request=is_head))
        except BaseException:
            self._busy.pop(channel, None)
            channel.close()
            raise

    def _refusal(self, channel: Channel, *, is_head: bool) -> PooledResponse:
        return PooledResponse(self, channel, channel.read_head(is_head_request=is_head))

    def _acquire(self, name: str, origin: Origin) -> tuple[Channel, bool]:
        """A connection, and whether it is new."""
        loop = running()
        idle = self._idle.get((name, loop))
        while idle:
            try:
                channel = idle.pop()
            except IndexError:  # another thread was faster
                break
            if not channel.is_stale():
                self._busy[channel] = name
                return channel, False
            channel.close()
        settings = self._settings
        channel = dial(origin, settings.connect_timeout_s, settings.read_timeout_s)
        self._busy[channel] = name
        return channel, True

    def _open_origin(self, scheme: str, netloc: str) -> Origin:
        with self._lock:
            name = f"{scheme}://{netloc}"
            if name not in self._origins:
                settings = self._settings
                self._origins[name] = origin_of(
                    scheme, netloc, settings.ca_file, use_env_proxies=settings.use_env_proxies
                )
            return self._origins[name]


def _head(
    method: str,
    origin: Origin,
    target: str,
    headers: Mapping[str, str | bytes],
    body: Body | None,
) -> bytes:
    fresh = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
    size = None if body is None else _size(body)
    if size is not None:
        fresh["Content-Length"] = str(size)
    elif body is not None:
        fresh["Transfer-Encoding"] = "chunked"
    elif method in ("PUT", "POST"):
        fresh["Content-Length"] = "0"
    if origin.is_forwarded:
        target = f"{origin.scheme}://{origin.netloc}{target}"
        if origin.proxy is not None and origin.proxy.login:
            fresh["Proxy-Authorization"] = origin.proxy.login
    try:
        return request_head(method, target, origin.netloc, fresh)
    except IllegalHeaderError as error:
        raise UsageError(f"header {error}: its value holds a control character") from None


def _size(body: Body) -> int | None:
    if isinstance(body, BUFFERS):
        with memoryview(body) as view:
            return view.nbytes
    size: int | None = getattr(body, "len", None)
    return size


def _can_be_sent_again(body: Body | None) -> bool:
    if isinstance(body, RangeSource):
        body.rewind()
        return True
    return body is None or isinstance(body, BUFFERS)
