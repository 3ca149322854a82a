"""What a request may carry: bytes, a file read once, a range that fills buffers, or pieces."""

import mmap
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from osssync.errors import SourceChangedError

BUFFERS = (bytes, bytearray, memoryview, mmap.mmap)


@runtime_checkable
class SizedFile(Protocol):
    """Something read once from its beginning: what oss2 makes of an open file."""

    @property
    def len(self) -> int:
        """Bytes in all."""

    def read(self, amt: int, /) -> bytes:
        """Up to ``amt`` bytes; nothing only at the end."""


@runtime_checkable
class RangeSource(Protocol):
    """A body that fills buffers, so that no byte is copied for it; may be read again."""

    @property
    def len(self) -> int:
        """Bytes in all."""

    def rewind(self) -> None:
        """Begin again."""

    def read_into(self, view: memoryview) -> None:
        """Fill the whole of ``view`` with what comes next."""


Body = bytes | bytearray | memoryview | mmap.mmap | SizedFile | RangeSource | Iterable[bytes]


def framing(method: str, body: Body | None) -> bytes:
    """The line that tells where the body ends."""
    if body is None:
        return b"Content-Length: 0\r\n" if method in ("PUT", "POST") else b""
    size = len(body) if isinstance(body, bytes) else _size(body)
    return b"Transfer-Encoding: chunked\r\n" if size is None else b"Content-Length: %d\r\n" % size


def _size(body: Body) -> int | None:
    if isinstance(body, BUFFERS):
        with memoryview(body) as view:
            return view.nbytes
    size: int | None = getattr(body, "len", None)
    return size


def can_be_sent_again(body: Body | None) -> bool:
    """Whether the same bytes can be had once more; one that is read begins anew."""
    if isinstance(body, RangeSource):
        body.rewind()
        return True
    return body is None or isinstance(body, BUFFERS)


def pieces(
    body: SizedFile | RangeSource | Iterable[bytes], view: memoryview
) -> Iterator[bytes | memoryview]:
    """The octets of a body that is read, as they are to be sent one after the other.

    Args:
        body: from its beginning.
        view: what a range may fill meanwhile.

    Raises:
        SourceChangedError: the body ended before its length.
    """
    if isinstance(body, RangeSource):
        left = body.len
        while left:
            piece = view[: min(left, len(view))]
            body.read_into(piece)
            yield piece
            left -= len(piece)
    elif isinstance(body, SizedFile):
        left = body.len
        while left:
            chunk = body.read(min(left, len(view)))
            if not chunk:  # going on would leave the server waiting for bytes
                raise SourceChangedError(f"the file ended {left} of {body.len} bytes early")
            yield chunk
            left -= len(chunk)
    else:
        for chunk in body:
            if chunk:
                yield b"%x\r\n%b\r\n" % (len(chunk), chunk)
        yield b"0\r\n\r\n"
