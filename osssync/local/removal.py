"""Deleting below a directory, or moving to a backup, only what is still as it was listed.

Nothing outside the directory is touched, and nothing is reached through a symbolic link.

    look ─ as listed ─▶ unlink
                    └─▶ backup: claim a free name ─▶ rename over it
                                                └ other file system ─▶ copy, fsync, rename, unlink

Between looking and deleting lie microseconds in which nobody is kept from writing to the file:
no system call deletes a file on a condition.
"""

import contextlib
import errno
import itertools
import os
import stat
from types import TracebackType
from typing import Self

from osssync.errors import LocalFileError, OsssyncError
from osssync.keys import display, part_file_name
from osssync.local.directories import Directories, Directory
from osssync.local.failures import joined, local_error
from osssync.model import Entry, EntryKind

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# A named pipe that took the file's place must not hang us, hence O_NONBLOCK; files ignore it.
_OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_COPY_BYTES = 1 << 20
_NOT_EMPTY = frozenset((errno.ENOTEMPTY, errno.EEXIST))  # POSIX lets rmdir say either


class RemovalRoot:
    """The directory a run deletes below, and the only way to delete there.

    Components are those of ``keys.relative_path``. For one thread.

    Args:
        path: made if missing.
        backup: where deleted files go, under the same relative path; "" deletes them. Made if
            missing. A file that is there already stays: the newcomer is called ``name.~1~``,
            ``name.~2~`` and so on.

    Raises:
        LocalFileError: one of the two can be neither opened nor made.
    """

    def __init__(self, path: str, backup: str = "") -> None:
        self._path = path
        self._backup_path = backup
        self._directories = Directories(path)
        self._backup: Directories | None = None
        if backup:
            try:
                self._backup = Directories(backup)
            except BaseException:
                self._directories.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def remove_file(self, components: tuple[str, ...], listed: Entry) -> None:
        """Delete a file or symbolic link, or move it to the backup; if it is gone, all is well.

        A moved file keeps its time and mode; a copy to another file system is the copier's own.

        Args:
            components: where it is.
            listed: how the listing saw it.

        Raises:
            LocalFileError: it is not what was listed any more, or the file system refused. It
                is where it was.
            UnsafeKeyError: a file or a symbolic link stands where a directory was.
        """
        name = components[-1]
        path = joined(self._path, components)
        try:
            with self._directories.open(components[:-1], create=False) as directory:
                status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
                _check(status, listed)
                if self._backup is None:
                    os.unlink(name, dir_fd=directory.fd)
                else:
                    self._set_aside(self._backup, directory, components, listed)
        except FileNotFoundError:
            return
        except OSError as error:
            raise local_error("delete", path, error) from error

    def remove_directory(self, components: tuple[str, ...]) -> None:
        """Delete a directory that is empty; if it is gone, all is well.

        Raises:
            LocalFileError: it is not empty, no directory, or the file system refused.
            UnsafeKeyError: as for files.
        """
        path = joined(self._path, components)
        try:
            with self._directories.open(components[:-1], create=False) as above:
                os.rmdir(components[-1], dir_fd=above.fd)
        except FileNotFoundError:
            return
        except NotADirectoryError as error:
            raise LocalFileError(f"{display(path)} is no longer a directory; it stays") from error
        except OSError as error:
            if error.errno in _NOT_EMPTY:
                raise LocalFileError(
                    f"{display(path)} is not empty: something was not deleted, or came after the "
                    "listing; it stays"
                ) from error
            raise local_error("delete the directory", path, error) from error

    def close(self) -> None:
        """Close every descriptor."""
        self._directories.close()
        if self._backup is not None:
            self._backup.close()

    def _set_aside(
        self, backup: Directories, directory: Directory, components: tuple[str, ...], listed: Entry
    ) -> None:
        name = components[-1]
        try:
            with backup.open(components[:-1], create=True) as shelf:
                place, inode = _claim(name, shelf)
                try:
                    _move((name, directory), (place, shelf), listed)
                except (OSError, OsssyncError):
                    _give_back(place, inode, shelf)
                    raise
        except OSError as error:  # one that is not found here is none of "gone already"
            where = joined(self._backup_path, components)
            raise local_error("keep what was to be deleted as", where, error) from error


def _check(status: os.stat_result, listed: Entry) -> None:
    if listed.kind is EntryKind.LINK:
        same = stat.S_ISLNK(status.st_mode)
    else:
        now = (status.st_size, status.st_mtime_ns)
        same = stat.S_ISREG(status.st_mode) and now == (listed.size, listed.mtime_ns)
    if not same:
        raise LocalFileError(
            f"{display(listed.key)} was changed after it was listed, so it stays: run again"
        )


def _claim(name: str, shelf: Directory) -> tuple[str, int]:
    """Take a free name by an empty file; returns it and the inode. Two runs never get the same."""
    for number in itertools.count():
        place = name if number == 0 else f"{name}.~{number}~"
        with contextlib.suppress(FileExistsError):
            fd = os.open(place, _NEW_FILE, 0o600, dir_fd=shelf.fd)
            try:
                return place, os.fstat(fd).st_ino
            finally:
                os.close(fd)
    raise AssertionError("numbers have ended")


def _give_back(place: str, inode: int, shelf: Directory) -> None:
    """Remove our empty file, unless something else is in its place: NFS may lie about renames."""
    with contextlib.suppress(OSError):
        if os.stat(place, dir_fd=shelf.fd, follow_symlinks=False).st_ino == inode:
            os.unlink(place, dir_fd=shelf.fd)


def _move(source: tuple[str, Directory], place: tuple[str, Directory], listed: Entry) -> None:
    """Put the source in the place of our empty file, whatever file system it is on."""
    (name, directory), (target, shelf) = source, place
    try:
        os.rename(name, target, src_dir_fd=directory.fd, dst_dir_fd=shelf.fd)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return
    part_name = part_file_name(os.urandom(8).hex())
    try:
        if listed.kind is EntryKind.LINK:
            os.symlink(os.readlink(name, dir_fd=directory.fd), part_name, dir_fd=shelf.fd)
        else:
            _copy_file((name, directory), (part_name, shelf), listed)
        os.rename(part_name, target, src_dir_fd=shelf.fd, dst_dir_fd=shelf.fd)
    except BaseException:
        with contextlib.suppress(OSError):  # the failure that led here is the one to report
            os.unlink(part_name, dir_fd=shelf.fd)
        raise
    os.fsync(shelf.fd)  # the copy's name must not be lost after the original is
    os.unlink(name, dir_fd=directory.fd)


def _copy_file(source: tuple[str, Directory], target: tuple[str, Directory], listed: Entry) -> None:
    (name, directory), (part_name, shelf) = source, target
    with contextlib.ExitStack() as stack:
        old = os.open(name, _OLD_FILE, dir_fd=directory.fd)
        stack.callback(os.close, old)
        # Nobody else may read it before it has the original's mode.
        new = os.open(part_name, _NEW_FILE, 0o600, dir_fd=shelf.fd)
        stack.callback(os.close, new)
        offset = 0
        while data := os.pread(old, _COPY_BYTES, offset):
            view = memoryview(data)
            while view:
                count = os.pwrite(new, view, offset)
                view, offset = view[count:], offset + count
        status = os.fstat(old)
        _check(status, listed)  # whoever wrote meanwhile has the original back, unharmed
        os.fchmod(new, stat.S_IMODE(status.st_mode))
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(new)
