"""Local files as a source that is watched: what changes while it is read is noticed.

A version is size, time, inode and ctime. An edit can keep the size, and tools that restore a time
(``touch -r``, ``rsync -t``) hide when it was; the ctime is the kernel's own and tells. It also
moves with a chmod or a hard link, which then costs a repetition and nothing else.

Source: stat(2), inode(7), "ctime"; read 2026-11.
"""

import os
import stat
from typing import Self

from osssync.errors import SourceChangedError
from osssync.keys import display
from osssync.local.failures import local_error

# A named pipe that took a file's place must not hang us, hence O_NONBLOCK; files ignore it.
_SOURCE_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class SourceFile:
    """A file to be uploaded, open for reading, and as it was when it was opened.

    Reading is safe from many threads. Close it by ``with``.

    Args:
        path: of the file.
        follow_symlinks: whether ``path`` itself may be a symbolic link.

    Raises:
        SourceChangedError: no regular file is there any more.
        LocalFileError: the file system refused.
    """

    __slots__ = ("_fd", "_path", "ctime_ns", "inode", "mtime_ns", "size")

    def __init__(self, path: str | os.PathLike[str], *, follow_symlinks: bool = True) -> None:
        self._path = os.fspath(path)
        try:
            self._fd = _open_source(self._path, 0 if follow_symlinks else os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise SourceChangedError(f"{display(self._path)} is gone") from error
        except OSError as error:
            raise local_error("open", self._path, error) from error
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise SourceChangedError(f"{display(self._path)} is no longer a file")
        self.size, self.mtime_ns, self.inode, self.ctime_ns = _version(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_at(self, amount: int, offset: int) -> bytes:
        """Exactly ``amount`` bytes from ``offset``.

        Raises:
            SourceChangedError: the file ends before that.
            LocalFileError: the file system refused.
        """
        try:
            data = os.pread(self._fd, amount, offset)
            while len(data) < amount:
                more = os.pread(self._fd, amount - len(data), offset + len(data))
                if not more:
                    raise self._cut_short(offset + len(data))
                data += more
        except OSError as error:
            raise local_error("read", self._path, error) from error
        return data

    def read_into(self, buffer: bytearray | memoryview, offset: int) -> None:
        """Fill the whole of ``buffer`` from ``offset``, without an allocation.

        Raises:
            SourceChangedError: the file ends before that.
            LocalFileError: the file system refused.
        """
        view = memoryview(buffer)
        try:
            while view:
                count = os.preadv(self._fd, [view], offset)
                if count == 0:
                    raise self._cut_short(offset)
                view, offset = view[count:], offset + count
        except OSError as error:
            raise local_error("read", self._path, error) from error

    def unchanged(self) -> bool:
        """Whether size, times and inode are still those of the opening.

        A file that was deleted meanwhile, or replaced by another, is still the one it was.

        Raises:
            LocalFileError: the file system refused.
        """
        try:
            status = os.fstat(self._fd)
        except OSError as error:
            raise local_error("look at", self._path, error) from error
        opened = (self.size, self.mtime_ns, self.inode, self.ctime_ns)
        now = _version(status)
        # Losing its last name has moved the ctime.
        return now == opened or (status.st_nlink == 0 and now[:3] == opened[:3])

    def close(self) -> None:
        """Close the file; closing it again is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _cut_short(self, end: int) -> SourceChangedError:
        shown = display(self._path)
        return SourceChangedError(f"{shown} now ends at {end} B; it had {self.size} B when opened")


def _open_source(path: str, more_flags: int) -> int:
    flags = _SOURCE_FILE | more_flags
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # O_NOATIME is the owner's privilege
        return os.open(path, flags)


def _version(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns
