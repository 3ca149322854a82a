"""The HTTP session under oss2's ``session=`` seam, and under the verbs that go without oss2.

oss2's stock session follows redirects (and forwards the security token to the new host), lets
``~/.netrc`` replace the signature, takes proxies from the environment, unpacks gzip under the
checksum, and has one timeout for connecting and for reading. This one does none of that, keeps
connections open, and costs a tenth of the CPU. It signs nothing and translates no errors; those
are OSError's until ``translate`` sees them. It repeats one thing: a request that met a connection
which the other side had closed while it was idle.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from osssync.config import OssSettings
from osssync.fibers import Loop, running
from osssync.oss.body import Body, can_be_sent_again, framing
from osssync.oss.canonical import query_string
from osssync.oss.channel import BUFFER_BYTES, Channel
from osssync.oss.dialing import Origin, dial, origin_of
from osssync.oss.wire import Head, Headers, header_lines, host_line, request_line
from osssync.version import __version__

if TYPE_CHECKING:
    import ssl

_ERROR_BODY_BYTES = 1 << 16  # OSS error documents are about 1 KiB
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # RFC 9110 9.2.2: idempotent

_SYSTEM = os.uname()
USER_AGENT = (
    f"osssync/{__version__} ({_SYSTEM.sysname}; {_SYSTEM.machine}; "
    f"Python/{'.'.join(map(str, sys.version_info[:3]))})"
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

    __slots__ = ("_ahead", "_channel", "_session", "headers", "length", "response", "status")

    def __init__(self, session: "PooledSession", channel: Channel, head: Head) -> None:
        self.response = self  # oss2 closes ``.response``
        self.status = head.status
        self.headers: Headers = head.headers
        self.length = head.length
        """Of the body, in bytes; None if only its end will tell."""
        self._session = session
        self._channel: Channel | None = channel
        self._ahead: bytes | None = None  # read ahead; None while it is on the wire
        if channel.is_clean():
            self._ahead = b""
            self.close()
        elif not 200 <= head.status < 300:
            self._ahead = self._error_body(channel)
            self.close()

    @property
    def request_id(self) -> str:
        """What OSS calls this request; "" if it does not say."""
        return self.headers.lowercase("x-oss-request-id", "")

    @property
    def is_read(self) -> bool:
        """Whether the body is known to be read to its end; of some only ``take`` finds out."""
        return self._channel is None or self._channel.is_read

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
            ahead, self._ahead = self._ahead, b""
            return ahead
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


class Pool:
    """The connections to one origin, and what each request to it has in common."""

    __slots__ = ("idle", "lines", "origin", "prefix", "tls_session")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle: dict[Loop | None, list[Channel]] = {}
        self.prefix = f"{origin.scheme}://{origin.netloc}" if origin.is_forwarded else ""
        """What a proxy wants to see before the path."""
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if self.prefix and origin.proxy is not None and origin.proxy.login:
            headers["Proxy-Authorization"] = origin.proxy.login
        self.lines = host_line(origin.netloc) + header_lines(headers)
        self.tls_session: ssl.SSLSession | None = None
        """Of the newest connection: the next one goes on with it, and saves a round trip."""

    def head(self, method: str, target: str, lines: bytes, body: Body | None) -> bytes:
        """The bytes before the body, as ``PooledSession.request`` has them."""
        first = request_line(method, self.prefix + target)
        return b"%b%b%b%b\r\n" % (first, self.lines, lines, framing(method, body))


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
        self._pools: dict[tuple[str, str], Pool] = {}
        self._busy: dict[Channel, Pool] = {}  # where each belongs
        self._lock = threading.Lock()
        self._is_closed = False
        self.nearest_s = float("inf")
        """How long the quickest answer took so far, from the last byte sent."""

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
        for name in ("User-Agent", "Accept-Encoding"):
            headers.pop(name, None)
        return self.request(req.method, (scheme, netloc), target, header_lines(headers), req.data)

    def request(
        self,
        method: str,
        where: tuple[str, str],
        target: str,
        lines: bytes,
        body: Body | None,
    ) -> PooledResponse:
        """Send a request as it is; the reply's head is read, its body is not.

        Args:
            method: of the request.
            where: scheme, and host with its port if that is not the scheme's own.
            target: path and query, percent-encoded.
            lines: ``wire.header_lines`` of all headers but Host, User-Agent, Accept-Encoding and
                the framing.
            body: bytes, something with ``len`` that is read, or chunks of unknown length.

        Raises:
            as ``do_request``.
        """
        pool = self._pools.get(where) or self._open_pool(where)
        head = pool.head(method, target, lines, body)
        while True:
            channel = self._acquire(pool)
            is_fresh = channel.uses == 0
            try:
                return self._exchange(channel, head, body, is_head=method == "HEAD")
            except ConnectionError:
                may_repeat = not is_fresh and not channel.heard and method in _REPEATABLE
                if not may_repeat or not can_be_sent_again(body):
                    raise

    def lend(self, where: tuple[str, str]) -> tuple[Channel, Pool] | None:
        """A connection that is open and idle, and where it belongs; None if none is."""
        pool = self._pools.get(where)
        channel = None if pool is None else self._idle(pool)
        return None if pool is None or channel is None else (channel, pool)

    def drop(self, channel: Channel) -> None:
        """Close a connection that was lent. Idempotent."""
        self._busy.pop(channel, None)
        channel.close()

    def put_back(self, channel: Channel) -> None:
        """Take back a connection that was lent; one that cannot be used again is closed."""
        pool = self._busy.pop(channel, None)
        if pool is None or self._is_closed:
            channel.close()
            return
        if channel.uses == 1 and channel.tls is not None:
            # Not before: the tickets of TLS 1.3 come behind the handshake, with the first reply.
            pool.tls_session = channel.tls.session
        if not channel.is_clean():
            channel.close()
            return
        idle = pool.idle.setdefault(channel.loop, [])
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
        for pool in list(self._pools.values()):
            idle, pool.idle = pool.idle, {}
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
            asked_s = time.monotonic()
            reply = channel.read_head(is_head_request=is_head)
            self.nearest_s = min(self.nearest_s, time.monotonic() - asked_s)
            return PooledResponse(self, channel, reply)
        except BaseException:
            self.drop(channel)
            raise

    def _refusal(self, channel: Channel, *, is_head: bool) -> PooledResponse:
        return PooledResponse(self, channel, channel.read_head(is_head_request=is_head))

    def _acquire(self, pool: Pool) -> Channel:
        """A connection; one that is new has no ``uses``."""
        channel = self._idle(pool)
        if channel is None:
            settings = self._settings
            channel = dial(
                pool.origin, settings.connect_timeout_s, settings.read_timeout_s, pool.tls_session
            )
            self._busy[channel] = pool
        return channel

    def _idle(self, pool: Pool) -> Channel | None:
        """One that is open and has nothing to do."""
        idle = pool.idle.get(running())
        while idle:
            try:
                channel = idle.pop()
            except IndexError:  # another thread was faster
                break
            if not channel.is_stale():
                self._busy[channel] = pool
                return channel
            channel.close()
        return None

    def _open_pool(self, where: tuple[str, str]) -> Pool:
        with self._lock:
            if where not in self._pools:
                scheme, netloc = where
                settings = self._settings
                origin = origin_of(
                    scheme, netloc, settings.ca_file, use_env_proxies=settings.use_env_proxies
                )
                self._pools[where] = Pool(origin)
            return self._pools[where]
