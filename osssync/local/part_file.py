"""An unfinished file: written at any offset, and read again to see what has arrived."""

import os
from collections.abc import Callable
from typing import Self

from osssync.checksums import crc64
from osssync.errors import InterruptedRunError
from osssync.local.failures import local_error
from osssync.model import ByteRange

Buffer = bytes | bytearray | memoryview

_READ_BYTES = 1 << 20


def _never() -> bool:
    return False


class PartFile:
    """An unfinished file, open in one thread. Close it by ``with``.

    Args:
        fd: open for writing, or for reading.
        path: of the target, for messages.
    """

    __slots__ = ("_path", "fd")

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        """-1 once it is closed."""
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; again is harmless.

        Raises:
            LocalFileError: what was written is lost.
        """
        fd, self.fd = self.fd, -1
        try:
            if fd >= 0:
                os.close(fd)
        except OSError as error:  # network file systems report lost writes here
            raise local_error("write", self._path, error) from error

    def write_at(self, data: Buffer, offset: int) -> None:
        """Write all of ``data`` at ``offset`` bytes from the start.

        Raises:
            DiskFullError: no space is left.
            LocalFileError: the file system refused.
        """
        try:
            write_all(self.fd, data, offset)
        except OSError as error:
            raise local_error("write", self._path, error) from error

    def from_offset(self, offset: int) -> Callable[[Buffer], None]:
        """Something to be called with what comes: it is written from there on, piece by piece."""

        def write(chunk: Buffer) -> None:
            nonlocal offset
            self.write_at(chunk, offset)
            offset += len(chunk)

        return write

    def crc64_of(self, byte_range: ByteRange, stopped: Callable[[], bool] = _never) -> int:
        """The CRC-64 of what lies there now, as far as the file reaches.

        Raises:
            LocalFileError: the disk could not read it.
            InterruptedRunError: ``stopped``, which is asked before each block of 1 MiB.
        """
        view, crc = memoryview(bytearray(min(_READ_BYTES, len(byte_range)))), 0
        offset = byte_range.start
        try:
            while offset < byte_range.stop:
                if stopped():
                    raise InterruptedRunError("not read to its end, because the run is ending")
                count = os.preadv(self.fd, [view[: byte_range.stop - offset]], offset)
                if count == 0:
                    break
                crc = crc64(view[:count], crc)
                offset += count
        except OSError as error:
            raise local_error("read", self._path, error) from error
        return crc


def write_all(fd: int, data: Buffer, offset: int) -> None:
    """Write all of ``data`` at ``offset``, however much the system takes at once.

    Raises:
        OSError: it takes no more.
    """
    count = os.pwrite(fd, data, offset)
    if count == len(data):
        return
    view = memoryview(data)[count:]
    while view:
        offset += count
        count = os.pwrite(fd, view, offset)
        view = view[count:]
