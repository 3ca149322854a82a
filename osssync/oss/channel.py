"""One connection: a request goes out, a reply comes in, through one page-aligned buffer.

    send ─▶ read_head ─▶ take, take … b"" ─▶ is_clean ─▶ the next request
                              └─ broken off ─▶ close

The same code serves threads and fibers. A thread's socket blocks in the kernel, with the kernel's
own time limit, so that one call fills a whole buffer; a fiber's never blocks, and gives way.

Source: socket(7) SO_RCVTIMEO and SO_RCVLOWAT, recv(2) MSG_WAITALL, Linux's tcp_set_rcvlowat and
tcp_recvmsg_locked; read 2026-11.
"""

import contextlib
import mmap
import socket
import struct
import sys
from typing import TYPE_CHECKING

from osssync.fibers import Loop
from osssync.oss.body import BUFFERS, Body, pieces
from osssync.oss.wire import (
    MAX_HEAD_BYTES,
    BrokenReplyError,
    ClosedEarlyError,
    Head,
    parse_chunk_size,
    parse_head,
)

if TYPE_CHECKING:
    from osssync.oss.tls import Tls

BUFFER_BYTES = 1 << 20
"""Of every connection; pages that are never touched cost nothing. Aligned, or copies are slow."""

_TOGETHER_BYTES = 1 << 16  # a body up to here leaves in one call with its head
_GLANCE_BYTES = 1 << 14  # with a head; what comes with it is moved to where the body begins
_NAP_BYTES = 1 << 19  # a thread is not woken for less of a large body: each time costs it 10 µs
_LEAST_NAP_BYTES = 1 << 16
_SEALED_BYTES = 1 << 15  # of TLS, beyond its wire: taken before what is in it is looked at
_MAX_CHUNK_LINE = 4096
_NOW = int(socket.MSG_DONTWAIT)  # plain: the names cost more than the call
_LOOK = int(socket.MSG_PEEK) | _NOW
_ALL = int(socket.MSG_WAITALL)
_END_OF_HEAD = b"\r\n\r\n"


class Channel:
    """A connected socket and its buffer, perhaps with TLS between; one request at a time.

    Every wait raises TimeoutError if nothing moves for ``timeout_s`` seconds, and OSError as the
    system does.

    Args:
        sock: connected.
        loop: of the fibers that will use it; None for threads.
        timeout_s: without a single byte either way.
    """

    def __init__(self, sock: socket.socket, loop: Loop | None, timeout_s: float) -> None:
        self.sock = sock
        self.loop = loop
        self.uses = 0
        """Requests sent so far."""
        self.fd = sock.fileno()
        self.tls: Tls | None = None
        self._ahead_bytes = 0
        self._has_asked = True  # and nothing has come since: a fiber need not look
        self._buffer = mmap.mmap(-1, BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # what has come and was not taken
        self._left: int | None = 0  # bytes of the body, or of its chunk, still to take; None: all
        self._chunked = self._in_chunk = False
        self._naps = sys.platform == "linux" and loop is None
        self._nap = 0  # how much of this body must come for a thread to be woken; 0: any
        self._low_water = 1  # what the kernel was told of it
        self._keeps_alive = True
        self.heard = False
        """Whether anything of the current reply has come."""
        self.limit_waits(timeout_s)

    def limit_waits(self, timeout_s: float) -> None:
        """Wait so long for a single byte either way, from now on."""
        self.timeout_s = timeout_s
        if self.loop is None:
            self.sock.settimeout(None)
            seconds = int(timeout_s)
            limit = struct.pack("@ll", seconds, int((timeout_s - seconds) * 1e6))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def secure(self, tls: "Tls") -> None:
        """Shake hands; everything after that goes through ``tls``.

        Raises:
            ssl.SSLError: the other side is not to be trusted, or does not speak TLS.
        """
        try:
            while not tls.shake_hands():
                self._feed(tls)
        finally:  # an alert says why
            with contextlib.suppress(OSError):
                self._send_plain(tls.unsent())
        self.tls = tls
        self._ahead_bytes = len(tls.wire) + _SEALED_BYTES

    def is_stale(self) -> bool:
        """Whether the other side has closed it, or said something unasked, while it was idle."""
        if self.loop is not None and self.fd not in self.loop.unheard:
            return False
        try:
            if self.tls is None:
                self.sock.recv(1, _LOOK)
                return True
            self.tls.feed(self.sock.recv_into(self.tls.wire, 0, _NOW))
            return self.tls.open_into(self._view) is not None  # else it was TLS's own business
        except BlockingIOError:
            return False
        except OSError:
            return True

    @property
    def is_read(self) -> bool:
        """Whether the body is known to be read to its end; of some only ``take`` finds out."""
        return self._left == 0 and not self._chunked

    def is_clean(self) -> bool:
        """Whether the reply was read to its end, and another request may follow."""
        is_whole = self._left == 0 and not self._chunked
        return is_whole and self._keeps_alive and self._start == self._end

    def close(self) -> None:
        """Close it. Idempotent."""
        self._keeps_alive = False
        self.sock.close()

    def break_off(self) -> None:
        """End whatever another thread waits for here; it will see the connection closed."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def send(self, head: bytes, body: Body | None) -> None:
        """Send a request.

        Raises:
            SourceChangedError: the body ended before its length.
        """
        self.uses += 1
        self.heard = False
        self._has_asked = True
        self._start = self._end = 0
        if body is None:
            self._send(head)
        elif isinstance(body, bytes) and len(body) <= _TOGETHER_BYTES:
            self._send(head + body)
        elif isinstance(body, BUFFERS):
            with memoryview(body) as whole, whole.cast("B") as view:
                if len(view) <= _TOGETHER_BYTES:
                    self._send(head + view)
                else:
                    self._send(head)
                    self._send(view)
        else:
            self._send(head)
            for piece in pieces(body, self._view):
                self._send(piece)

    def read_head(self, *, is_head_request: bool = False) -> Head:
        """Wait for the reply; interim ones are passed over.

        Raises:
            ClosedEarlyError: nothing, or half a head, came.
            BrokenReplyError: something else than HTTP came.
        """
        while True:
            octets = self._read_to(_END_OF_HEAD, MAX_HEAD_BYTES, "before it answered")
            head = parse_head(octets, is_head_request=is_head_request)
            if head.status >= 200:
                break
            if head.status == 101:
                raise BrokenReplyError("it changes the protocol")
        self._expect(head)
        if self._naps:
            nap = min((self._left or 0) // 4, len(self.tls.wire) if self.tls else _NAP_BYTES)
            self._nap = nap if nap >= _LEAST_NAP_BYTES else 0
        return head

    def hear(self) -> Head | None:
        """Take what has come of a reply, in a fiber, waiting for nothing; its head once it is here.

        Raises:
            as ``read_head``.
        """
        self._has_asked = False
        if not self._take_in():
            return None
        end = self._buffer.find(_END_OF_HEAD, 0, self._end)
        if end < 0 and self._end <= MAX_HEAD_BYTES:
            return None
        if 0 <= end <= MAX_HEAD_BYTES:
            head = parse_head(self._buffer[:end], is_head_request=False)
            if head.status >= 200:
                self._start = end + len(_END_OF_HEAD)
                self._expect(head)
                return head
        return self.read_head()

    def whole(self) -> memoryview | None:
        """The body if all of it is here; it is still to be taken. None if there is more to it."""
        left = self._left
        if left is None or self._chunked or self._end - self._start < left:
            return None
        return self._view[self._start : self._start + left]

    def pass_over(self) -> bool:
        """Take a body that is here as a whole; whether another request may follow."""
        self._start += self._left or 0
        self._left = 0
        return self._keeps_alive and self._start == self._end

    def take(self, most: int = BUFFER_BYTES) -> memoryview:
        """The next bytes of the body, as many as fit the buffer or ``most``; none at the end.

        The view is valid until the next call.

        Raises:
            ClosedEarlyError: the body was cut short.
            BrokenReplyError: its chunks are not.
        """
        if self._chunked and self._left == 0 and not self._next_chunk():
            return self._view[:0]
        left = self._left
        wanted = min(BUFFER_BYTES if left is None else left, most, BUFFER_BYTES)
        found = wanted
        if self._end - self._start < wanted:
            found = self._fill(wanted, until_close=left is None)
        if left is not None:
            self._left = left - found
        piece = self._view[self._start : self._start + found]
        self._start += found
        return piece

    def _expect(self, head: Head) -> None:
        """A body follows, as the head says."""
        self._left, self._chunked = head.length, head.chunked
        self._keeps_alive = head.keeps_alive and (head.length is not None or head.chunked)
        self._in_chunk = False
        if head.chunked:
            self._left = 0

    def _next_chunk(self) -> bool:
        if self._in_chunk:
            self._read_to(b"\r\n", 0, "behind a chunk")
        line = self._read_to(b"\r\n", _MAX_CHUNK_LINE, "between chunks")
        self._left = parse_chunk_size(line)
        self._in_chunk = self._left > 0
        if self._in_chunk:
            return True
        while self._read_to(b"\r\n", _MAX_CHUNK_LINE, "before the trailers end"):
            pass  # trailers are of no use to us
        self._chunked = False
        return False

    def _fill(self, wanted: int, *, until_close: bool) -> int:
        """Have ``wanted`` bytes in the buffer, fewer only where the end of all may come."""
        have = self._end - self._start
        if self._start:
            self._buffer.move(0, self._start, have)
            self._start, self._end = 0, have
        while self._end < wanted:
            stop = self._sleep_to(wanted) if self._nap else wanted
            count = self._receive(self._view[self._end : stop])
            if count == 0:
                if until_close:
                    break
                raise ClosedEarlyError(f"with {self._missing(wanted)} B more expected")
            self._end += count
        return min(self._end, wanted)

    def _sleep_to(self, wanted: int) -> int:
        """Up to where to receive without being woken often: as much must come behind that.

        The last bytes would be waited for in vain, so they are received as they come.
        """
        sure = (self._left or 0) - self._nap - self._ahead_bytes
        low_water = self._nap if self._end < sure else 1
        if low_water != self._low_water:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low_water)
            self._low_water = low_water
        return min(wanted, sure) if low_water > 1 else wanted

    def _missing(self, wanted: int) -> int:
        """Bytes of the body that did not come; ``wanted`` is how many the buffer should hold."""
        return (wanted if self._left is None else self._left) - self._end

    def _read_to(self, mark: bytes, most: int, where: str) -> bytes:
        """What comes before ``mark``, which is passed over."""
        searched = self._start
        while True:
            found = -1 if searched == self._end else self._buffer.find(mark, searched, self._end)
            if 0 <= found <= self._start + most:
                octets = self._buffer[self._start : found]
                self._start = found + len(mark)
                return octets
            if self._end - self._start >= most + len(mark):
                raise BrokenReplyError(f"more than {most} B {where}")
            searched = max(self._start, self._end - len(mark) + 1)
            if BUFFER_BYTES - self._end < MAX_HEAD_BYTES:
                have = self._end - self._start
                self._buffer.move(0, self._start, have)
                searched -= self._start
                self._start, self._end = 0, have
            count = self._receive(self._view[self._end : self._end + _GLANCE_BYTES], some=True)
            if count == 0:
                raise ClosedEarlyError(where)
            self.heard = True
            self._end += count

    def _take_in(self) -> bool:
        """Receive what is there; whether that was anything."""
        view = self._view[self._end :]
        tls = self.tls
        try:
            if tls is None:
                count: int | None = self.sock.recv_into(view)
            else:
                tls.feed(self.sock.recv_into(tls.wire))
                count = tls.open_into(view)
        except BlockingIOError:
            return False
        if count is None:  # not even one record
            return False
        if count == 0:
            raise ClosedEarlyError("before it answered")
        self.heard = True
        self._end += count
        return True

    def _receive(self, view: memoryview, *, some: bool = False) -> int:
        """Fill ``view``, or get ``some`` of what is there; 0 at the end."""
        tls = self.tls
        if tls is None:
            return self._receive_plain(view, some=some)
        if not tls.has_some:
            self._feed(tls)
        while (count := tls.open_into(view)) is None:
            self._feed(tls)
        return count

    def _feed(self, tls: "Tls") -> None:
        """Let the other side know what TLS wants, and wait for some of what it says."""
        if said := tls.unsent():
            self._send_plain(said)
        tls.feed(self._receive_plain(tls.wire, some=True))

    def _receive_plain(self, view: memoryview, *, some: bool) -> int:
        if self.loop is not None:
            return self._receive_in_fiber(view, self.loop)
        try:
            return self.sock.recv_into(view, 0, 0 if some else _ALL)
        except BlockingIOError:
            raise TimeoutError("timed out") from None

    def _receive_in_fiber(self, view: memoryview, loop: Loop) -> int:
        if self._has_asked:  # an answer takes its time
            self._has_asked = False
            loop.wait_readable(self.fd, self.timeout_s)
        while True:
            try:
                return self.sock.recv_into(view)
            except BlockingIOError:
                loop.wait_readable(self.fd, self.timeout_s)

    def _send(self, data: bytes | memoryview) -> None:
        if self.tls is None:
            self._send_plain(data)
            return
        view, some = memoryview(data), len(self.tls.wire)
        for start in range(0, len(view), some):
            self._send_plain(self.tls.seal(view[start : start + some]))

    def _send_plain(self, data: bytes | memoryview) -> None:
        loop = self.loop
        if loop is None:
            try:
                self.sock.sendall(data)
            except BlockingIOError:
                raise TimeoutError("timed out") from None
            return
        sent = 0
        view = data
        while sent < len(data):
            try:
                sent += self.sock.send(view)
                if sent == len(data):
                    return
                view = memoryview(data)[sent:]
            except BlockingIOError:
                loop.wait_writable(self.fd, self.timeout_s)
