"""What is below a directory, in key order, one stat per file. Reads names and status, no content.

Key order is that of the "/"-joined path, so a directory ``a`` sorts as ``a/``: ``a-b`` comes
before ``a/x``, and ``a0`` after it. Every level is listed and sorted on its own; memory is the
names of the directories between the root and the present file, and what is told of next.

Nothing is dropped in silence: what cannot be transferred is an UNUSABLE entry whose note says
why. Only our own part files are left out; they are nobody's data.
"""

import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import chain
from operator import attrgetter
from typing import Protocol

from msgspec import Struct

from osssync.columns import Columns
from osssync.errors import LocalFileError, UsageError
from osssync.keys import display, is_part_file, is_utf8
from osssync.model import Entry, EntryKind


class Scan(Protocol):
    """``scan_columns``, or what does the same elsewhere."""

    def __call__(
        self, root: str, *, follow_symlinks: bool, with_directories: bool
    ) -> Iterator[Columns]:
        """See ``scan_columns``."""


AT_ONCE = 1000
"""About so many entries are told of at once, as in a page of a listing."""

_SPECIAL = {
    stat.S_IFIFO: "a named pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
    stat.S_IFLNK: "a symbolic link, not followed",
    stat.S_IFDIR: "became a directory while it was listed",
}


class _Level(Struct, frozen=True):
    """A directory being walked: what is left of it in key order, and who it is."""

    rest: Iterator[list[str] | str]  # names of files, or one of a directory, which ends in "/"
    path: str  # with a trailing "/"
    prefix: str  # of the keys
    identity: tuple[int, int]  # device and inode


class _Gathered:
    """Entries in key order that were not told of yet."""

    __slots__ = ("_keys", "_mtimes_ns", "_odd", "_sizes")

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._keys: list[str] = []
        self._sizes: list[int] = []
        self._mtimes_ns: list[int] = []
        self._odd: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, entry: Entry) -> None:
        """One more, of any kind."""
        if entry.kind is not EntryKind.FILE:
            self._odd[len(self._keys)] = entry
        self._keys.append(entry.key)
        self._sizes.append(entry.size)
        self._mtimes_ns.append(entry.mtime_ns)

    def add_files(self, keys: list[str], statuses: list[os.stat_result]) -> None:
        """More of them, all regular files whose names are UTF-8."""
        self._keys += keys
        self._sizes += map(_SIZE_OF, statuses)
        self._mtimes_ns += map(_MTIME_OF, statuses)

    def take(self) -> Columns:
        """All of them."""
        columns = Columns(self._keys, self._sizes, self._mtimes_ns, odd=self._odd)
        self._begin()
        return columns


_MODE_OF = attrgetter("st_mode")
_SIZE_OF = attrgetter("st_size")
_MTIME_OF = attrgetter("st_mtime_ns")

_Stat = Callable[[str], os.stat_result]


def scan(
    root: str | os.PathLike[str], *, follow_symlinks: bool, with_directories: bool
) -> Iterator[Entry]:
    """The entries of ``scan_columns``, one by one."""
    return chain.from_iterable(
        scan_columns(root, follow_symlinks=follow_symlinks, with_directories=with_directories)
    )


def scan_columns(
    root: str | os.PathLike[str], *, follow_symlinks: bool, with_directories: bool
) -> Iterator[Columns]:
    """Walk the tree below ``root``, which itself may be a symbolic link.

    A directory that cannot be listed, or is a link back to one it lies in, is one UNUSABLE entry
    whose key ends in "/": the listing is then incomplete below it. Files are not opened, so a
    missing read permission shows only when they are transferred.

    Args:
        root: the directory that keys are relative to.
        follow_symlinks: take links for what they point at; otherwise they are of kind LINK.
        with_directories: yield a DIRECTORY entry, its key ending in "/", before its contents.

    Raises:
        LocalFileError: the root is missing or cannot be listed. Raised here, not by the iterator.
        UsageError: the root is not a directory.
    """
    path = os.fspath(root)
    try:
        top = _open_level(os.path.join(path, ""), "", follow_symlinks=follow_symlinks)  # noqa: PTH118 - only adds the slash
    except NotADirectoryError:
        raise UsageError(f"{display(path)} is a file; a directory is needed here") from None
    except OSError as error:
        raise LocalFileError(f"cannot list {display(path)}: {error.strerror}") from error
    return _walk(top, follow_symlinks=follow_symlinks, with_directories=with_directories)


def _walk(top: _Level, *, follow_symlinks: bool, with_directories: bool) -> Iterator[Columns]:
    stack = [top]
    status_of = os.stat if follow_symlinks else os.lstat
    gathered = _Gathered()
    while stack:
        level = stack[-1]
        for names in level.rest:
            if isinstance(names, list):
                _add_files(gathered, level, names, status_of)
            else:
                below = _descend(stack, names, follow_symlinks=follow_symlinks)
                if isinstance(below, _Level):
                    if with_directories:
                        gathered.add(Entry(below.prefix, 0, 0, EntryKind.DIRECTORY))
                    stack.append(below)
                    break
                gathered.add(below)
            if len(gathered) >= AT_ONCE:
                yield gathered.take()
        else:
            stack.pop()
    yield gathered.take()


def _add_files(gathered: _Gathered, level: _Level, names: list[str], status_of: _Stat) -> None:
    """Gather files of a level; where all are as usual, nothing is done for each in Python."""
    keys = [level.prefix + name for name in names]
    paths = [level.path + name for name in names]
    asked = map(status_of, paths)
    known = 0
    while known < len(keys):
        statuses: list[os.stat_result] = []
        try:
            statuses.extend(asked)  # up to an error: those before it are kept
        except OSError as error:
            known += _add_known(gathered, keys[known : known + len(statuses)], statuses)
            gathered.add(_unusable(keys[known], _why(paths[known], error)))
            known += 1
        else:
            known += _add_known(gathered, keys[known:], statuses)


def _add_known(gathered: _Gathered, keys: list[str], statuses: list[os.stat_result]) -> int:
    """Gather files whose status is known; how many they are."""
    if all(map(stat.S_ISREG, set(map(_MODE_OF, statuses)))) and is_utf8("".join(keys)):
        gathered.add_files(keys, statuses)
    else:
        for key, status in zip(keys, statuses, strict=True):
            gathered.add(entry_of(key, status))
    return len(keys)


def _open_level(path: str, prefix: str, *, follow_symlinks: bool) -> _Level:
    """List one directory; ``path`` ends in "/".

    Raises:
        OSError: it cannot be listed to its end.
    """
    status = os.stat(path)  # noqa: PTH116 - paths are plain text here
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            try:
                is_directory = entry.is_dir(follow_symlinks=follow_symlinks)
            except OSError:  # a link that cannot be resolved; its stat will say why
                is_directory = False
            if is_directory:
                folders.append(f"{name}/")
            elif name[0] != "." or not is_part_file(name):
                files.append(name)
    return _Level(_in_order(files, folders), path, prefix, (status.st_dev, status.st_ino))


def _in_order(files: list[str], folders: list[str]) -> Iterator[list[str] | str]:
    """The names of a directory sorted, those of files at most ``AT_ONCE`` in one go."""
    files.sort()
    folders.sort()
    start = 0
    for folder in (*folders, ""):
        stop = bisect_left(files, folder, start) if folder else len(files)
        while start < stop:
            yield files[start : min(start + AT_ONCE, stop)]
            start = min(start + AT_ONCE, stop)
        if folder:
            yield folder


def _descend(stack: list[_Level], name: str, *, follow_symlinks: bool) -> _Level | Entry:
    """The level below, or the entry that stands for a directory nobody can walk."""
    level = stack[-1]
    key = level.prefix + name
    try:
        below = _open_level(level.path + name, key, follow_symlinks=follow_symlinks)
    except OSError as error:
        return _unusable(key, f"cannot be listed: {error.strerror}")
    if any(below.identity == above.identity for above in stack):
        return _unusable(key, "a symbolic link to a directory it lies in")
    return below


def entry_of(key: str, status: os.stat_result) -> Entry:
    """The entry of anything but a directory, from its status."""
    if stat.S_ISREG(status.st_mode):  # by far the most, so it is asked first
        if key.isascii() or is_utf8(key):
            return Entry(key, status.st_size, status.st_mtime_ns)
        return _unusable(key, "the name is not UTF-8, which keys must be")
    if stat.S_ISLNK(status.st_mode):
        return Entry(key, 0, 0, EntryKind.LINK, note="a symbolic link, not followed")
    return _unusable(key, _SPECIAL[stat.S_IFMT(status.st_mode)])


def _why(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        dangling = os.path.islink(path)  # noqa: PTH114 - paths are plain text here
        return "a symbolic link to nothing" if dangling else "vanished while it was listed"
    return f"cannot be read: {error.strerror}"


def _unusable(key: str, note: str) -> Entry:
    return Entry(key, 0, 0, EntryKind.UNUSABLE, note=note)
