"""Open directories below a root that nothing can leave; the recent ones are kept open.

Every component is opened relative to the one before it and never through a symbolic link, so
neither a key nor a link planted in the destination leads outside. Nothing else in osssync turns
a key into a place on disk.

Source: openat(2), O_DIRECTORY and O_NOFOLLOW; read 2026-11.
"""

import contextlib
import os
import stat
import threading
from collections import OrderedDict
from types import TracebackType
from typing import Self

from osssync.errors import LocalFileError, UnsafeKeyError
from osssync.keys import display
from osssync.local.failures import joined, local_error

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KEPT_OPEN = 64  # directories; a listing in key order works in few at a time


class Directory:
    """An open directory in use: ``with`` it, and its descriptor stays open that long."""

    __slots__ = ("_owner", "device", "fd", "users")

    def __init__(self, owner: "Directories", fd: int) -> None:
        self._owner = owner
        self.fd = fd
        self.device = os.fstat(fd).st_dev
        self.users = 1  # guarded by the owner's lock; the cache counts as one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owner.release(self)


class Directories:
    """The directories below ``path``, opened on demand. Safe to use from many threads.

    Args:
        path: the root, made if missing, its parents too; it may itself be a symbolic link.
        kept_open: so many of them, beside those in use.
        is_synced: make each new directory's name durable at once.

    Raises:
        LocalFileError: it can be neither opened nor made.
    """

    def __init__(self, path: str, kept_open: int = _KEPT_OPEN, *, is_synced: bool = False) -> None:
        self._path = path
        self._kept_open = kept_open
        self._is_synced = is_synced
        self._lock = threading.Lock()
        self._recent: OrderedDict[tuple[str, ...], Directory] = OrderedDict()
        self._closed = False
        try:
            _make_root(path, is_synced=is_synced)
            self._root = Directory(self, os.open(path, _OPEN_DIRECTORY))
        except OSError as error:
            raise local_error("open the directory", path, error) from error

    def open(self, components: tuple[str, ...], *, create: bool) -> Directory:
        """The directory at these components; leave it by ``with``.

        Args:
            components: as ``keys.relative_path`` and ``relative_directory`` give them.
            create: make what is missing.

        Raises:
            FileNotFoundError: it is missing and not to be made, or vanished meanwhile.
            UnsafeKeyError: a file or a symbolic link stands in the way.
            LocalFileError: the file system refused, or all is closed.
        """
        with self._lock:
            directory = self._recent.get(components)
            if directory is not None:  # nearly always: files come in key order
                self._recent.move_to_end(components)
                directory.users += 1
                return directory
        try:
            return self._walk(components, create=create)
        except FileNotFoundError:  # perhaps only below a directory that is kept open but removed
            self.forget(components)
        return self._walk(components, create=create)

    def forget(self, components: tuple[str, ...]) -> None:
        """Look this directory and its parents up again: somebody may have replaced them."""
        with self._lock:
            found = [self._recent.pop(components[:n], None) for n in range(1, len(components) + 1)]
        for directory in found:
            if directory is not None:
                self.release(directory)

    def release(self, directory: Directory) -> None:
        """Give up one use; the last one closes it."""
        with self._lock:
            directory.users -= 1
            unused = directory.users == 0
        if unused:
            os.close(directory.fd)

    def close(self) -> None:
        """Close what is not in use; what is closes when its users leave.

        From then on nothing is opened: a thread that was left behind by its run must not write
        into what may be another run's by then. Closing again is harmless.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            directories = [self._root, *self._recent.values()]
            self._recent.clear()
        for directory in directories:
            self.release(directory)

    def _walk(self, components: tuple[str, ...], *, create: bool) -> Directory:
        directory, depth = self._deepest_open(components)
        while depth < len(components):
            with directory:
                depth += 1
                directory = self._open_below(directory, components[:depth], create=create)
        return directory

    def _deepest_open(self, components: tuple[str, ...]) -> tuple[Directory, int]:
        with self._lock:
            if self._closed:
                raise LocalFileError(f"{display(self._path)}: nothing is written after the run")
            for depth in range(len(components), 0, -1):
                directory = self._recent.get(components[:depth])
                if directory is not None:
                    self._recent.move_to_end(components[:depth])
                    directory.users += 1
                    return directory, depth
            self._root.users += 1
            return self._root, 0

    def _open_below(
        self, above: Directory, components: tuple[str, ...], *, create: bool
    ) -> Directory:
        try:
            fd = _open_or_make(components[-1], above.fd, create=create, is_synced=self._is_synced)
        except FileNotFoundError:
            raise
        except OSError as error:
            clash = _clash(components[-1], above.fd)
            if clash:
                shown = display(joined(self._path, components))
                raise UnsafeKeyError(f"{shown} {clash}") from error
            raise local_error("open", joined(self._path, components), error) from error
        return self._keep(components, Directory(self, fd))

    def _keep(self, components: tuple[str, ...], directory: Directory) -> Directory:
        """Remember it as a recent one, and let the oldest of too many go."""
        dropped: list[Directory] = []
        with self._lock:
            rival = self._recent.pop(components, None)  # of another thread, opened meanwhile
            if rival is not None:
                dropped.append(rival)
            if self._closed:
                return directory
            self._recent[components] = directory
            directory.users += 1
            while len(self._recent) > self._kept_open:
                dropped.append(self._recent.popitem(last=False)[1])
        for old in dropped:
            self.release(old)
        return directory


def _open_or_make(name: str, parent_fd: int, *, create: bool, is_synced: bool) -> int:
    flags = _OPEN_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent_fd)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):  # another thread, or a dangling link: open tells
        os.mkdir(name, dir_fd=parent_fd)
        if is_synced:
            os.fsync(parent_fd)
    return os.open(name, flags, dir_fd=parent_fd)


def _make_root(path: str, *, is_synced: bool) -> None:
    """Make the directory and what is missing above it; ``is_synced`` makes their names durable."""
    missing: list[str] = []
    above = os.path.abspath(path)  # noqa: PTH100 - paths are plain text here
    while is_synced and not os.path.lexists(above):
        above = os.path.dirname(above)  # noqa: PTH120 - likewise
        missing.append(above)
    os.makedirs(path, exist_ok=True)  # noqa: PTH103 - likewise
    for directory in missing:
        fd = os.open(directory, _OPEN_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _clash(name: str, parent_fd: int) -> str:
    """What stands in a directory's place, in words; nothing if that is not the fault."""
    try:
        mode = os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode
    except OSError:
        return ""
    if stat.S_ISLNK(mode):
        return "is a symbolic link, and nothing is written through one: remove it or exclude it"
    if not stat.S_ISDIR(mode):
        return "is a file where a directory is needed: remove it, or exclude one of the two"
    return ""
