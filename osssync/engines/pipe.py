"""Messages between a process and its child: bytes that arrive whole, or the end of the other one.

As ``multiprocessing.connection`` has it between two processes of one program, without the rest of
that package, which is 5 ms of every start.
"""

import socket
from typing import Self

_LENGTH_BYTES = 8
_ALL = int(socket.MSG_WAITALL)


class Pipe:
    """One end of it. A thread may send while another one receives."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Both ends."""
        ours, theirs = socket.socketpair()
        return cls(ours), cls(theirs)

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """The end that was inherited under this number."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """To be inherited, or watched: readable is when a message has begun to come."""
        return self._stream.fileno()

    def send_bytes(self, message: bytes) -> None:
        """Send one message; waits while the other one does not read.

        Raises:
            OSError: the other end is closed.
        """
        self._stream.sendall(len(message).to_bytes(_LENGTH_BYTES, "little") + message)

    def recv_bytes(self) -> bytes:
        """Wait for one message.

        Raises:
            EOFError: the other end is closed.
            OSError: likewise, and it had not read all that was sent to it.
        """
        return self._exactly(int.from_bytes(self._exactly(_LENGTH_BYTES), "little"))

    def close(self) -> None:
        """Close this end. Idempotent."""
        self._stream.close()

    def _exactly(self, count: int) -> bytes:
        found = self._stream.recv(count, _ALL)
        while len(found) < count:  # a signal came, or the end
            more = self._stream.recv(count - len(found), _ALL)
            if not more:
                raise EOFError
            found += more
        return found
