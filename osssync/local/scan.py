"""What is below a directory, in key order, one stat per file. Reads names and status, no content.

Key order is that of the "/"-joined path, so a directory ``a`` sorts as ``a/``: ``a-b`` comes
before ``a/x``, and ``a0`` after it. Every level is listed and sorted on its own; memory is the
names of the directories between the root and the present file.

Nothing is dropped in silence: what cannot be transferred is an UNUSABLE entry whose note says
why. Only our own part files are left out; they are nobody's data.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from osssync.errors import LocalFileError, UsageError
from osssync.keys import display, is_part_file
from osssync.model import Entry, EntryKind

_SPECIAL = {
    stat.S_IFIFO: "a named pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
    stat.S_IFLNK: "a symbolic link, not followed",
    stat.S_IFDIR: "became a directory while it was listed",
}


@dataclass(frozen=True, slots=True)
class _Level:
    """A directory being walked: its remaining names in order, and who it is."""

    names: Iterator[str]  # those of directories end in "/"
    path: str  # with a trailing "/"
    prefix: str  # of the keys
    identity: tuple[int, int]  # device and inode


def scan(
    root: str | os.PathLike[str], *, follow_symlinks: bool, with_directories: bool
) -> Iterator[Entry]:
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


def _walk(top: _Level, *, follow_symlinks: bool, with_directories: bool) -> Iterator[Entry]:
    stack = [top]
    status_of = os.stat if follow_symlinks else os.lstat
    while stack:
        level = stack[-1]
        for name in level.names:
            if name[-1] != "/":
                try:
                    status = status_of(level.path + name)
                except OSError as error:
                    yield _unusable(level.prefix + name, _why(level.path + name, error))
                else:
                    yield entry_of(level.prefix + name, status)
                continue
            below = _descend(stack, name, follow_symlinks=follow_symlinks)
            if isinstance(below, Entry):
                yield below
                continue
            if with_directories:
                yield Entry(below.prefix, 0, 0, EntryKind.DIRECTORY)
            stack.append(below)
            break
        else:
            stack.pop()


def _open_level(path: str, prefix: str, *, follow_symlinks: bool) -> _Level:
    """List one directory; ``path`` ends in "/".

    Raises:
        OSError: it cannot be listed to its end.
    """
    status = os.stat(path)  # noqa: PTH116 - paths are plain text here
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if _is_directory(entry, follow_symlinks=follow_symlinks):
                names.append(f"{name}/")
            elif name[0] != "." or not is_part_file(name):
                names.append(name)
    names.sort()
    return _Level(iter(names), path, prefix, (status.st_dev, status.st_ino))


def _is_directory(entry: os.DirEntry[str], *, follow_symlinks: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_symlinks)
    except OSError:  # a link that cannot be resolved; its stat will say why
        return False


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
        if key.isascii() or _is_utf8(key):
            return Entry(key, status.st_size, status.st_mtime_ns)
        return _unusable(key, "the name is not UTF-8, which keys must be")
    if stat.S_ISLNK(status.st_mode):
        return Entry(key, 0, 0, EntryKind.LINK, note="a symbolic link, not followed")
    return _unusable(key, _SPECIAL[stat.S_IFMT(status.st_mode)])


def _is_utf8(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _why(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        dangling = os.path.islink(path)  # noqa: PTH114 - paths are plain text here
        return "a symbolic link to nothing" if dangling else "vanished while it was listed"
    return f"cannot be read: {error.strerror}"


def _unusable(key: str, note: str) -> Entry:
    return Entry(key, 0, 0, EntryKind.UNUSABLE, note=note)
