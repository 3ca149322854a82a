"""TLS by way of memory: bytes from the network go in, what they say comes out, and the way back.

    network ─▶ wire ─▶ feed ─▶ open_into        seal ─▶ network

The system is asked for many records at once. A TLS socket of Python's asks it twice for each
record of 16 KiB, and wakes its thread as often: 2,000 x 1 MiB came with 120,000 switches between
threads. No socket in sight: whoever has one waits as it does without TLS.

Source: https://docs.python.org/3/library/ssl.html#memory-bio-support, RFC 8446 section 5.1 (16 KiB
in a record), read 2026-11.
"""

import mmap
import ssl
from typing import Any

WIRE_BYTES = 1 << 17
"""Of encrypted bytes that are taken at once; more would not fit the processor's caches."""


class Tls:
    """The client's side of one TLS connection.

    Args:
        context: who is trusted.
        host: whose certificate it must be.
        session: of an earlier connection, to be gone on with.
    """

    def __init__(
        self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=host, session=session
        )
        self.wire = memoryview(mmap.mmap(-1, WIRE_BYTES))
        """Where encrypted bytes are put before ``feed``."""

    @property
    def session(self) -> ssl.SSLSession | None:
        """For the next connection; of TLS 1.3 it comes with the first reply."""
        return self._object.session

    @property
    def has_some(self) -> bool:
        """Whether ``open_into`` may have something without being fed."""
        return bool(self._incoming.pending or self._object.pending())

    def shake_hands(self) -> bool:
        """Go on with the handshake; whether it is over. Before and after, ``unsent`` is to be sent.

        Raises:
            ssl.SSLError: the other side is not to be trusted, or does not speak TLS.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def feed(self, count: int) -> None:
        """So many encrypted bytes lie in ``wire``; none: the other side has closed."""
        if count:
            self._incoming.write(self.wire[:count])
        else:
            self._incoming.write_eof()

    def open_into(self, view: memoryview) -> int | None:
        """Fill ``view`` as far as what was fed reaches; how many bytes, 0 at the end.

        None if not even one record is there: feed it.

        Raises:
            ssl.SSLError: these bytes are not the other side's.
        """
        read: Any = self._object.read  # with a buffer it returns a number, whatever typeshed says
        found = 0
        try:
            while found < len(view) and (count := read(len(view) - found, view[found:])):
                found += count
        except ssl.SSLWantReadError:
            return found or None
        except ssl.SSLEOFError:  # without a farewell: whether something is missing shows elsewhere
            pass
        return found

    def seal(self, data: bytes | memoryview) -> bytes:
        """What to send for ``data``."""
        view = memoryview(data)
        while view:
            view = view[self._object.write(view) :]
        return self._outgoing.read()

    def unsent(self) -> bytes:
        """What TLS itself has to say to the other side."""
        return self._outgoing.read() if self._outgoing.pending else b""
