"""Local files as a destination: complete or invisible. Sources are in ``source``.

    small:  part file ─▶ write, or new_file: write_at … in order ─▶ time ─▶ rename
    large:  create_part ─▶ open_part, write_at … from anywhere ─▶ publish: time, fsync, rename
    both:   durable as ``durability`` says

A part file lies in the directory of its target, so that the rename cannot cross file systems, and
is removed by whatever fails. Its name follows from the run and the target: what a killed run left
is found by the next one, which goes on with it, replaces it, or removes it (``ledger``).
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Self

from msgspec import Struct

from osssync.config import Fsync
from osssync.errors import LocalFileError, OsssyncError, UnsafeKeyError
from osssync.keys import display, is_part_file, relative_path
from osssync.local.directories import Directories, Directory
from osssync.local.durability import Durability
from osssync.local.failures import joined, local_error
from osssync.local.ledger import Ledger
from osssync.local.part_file import Buffer, PartFile, write_all
from osssync.local.part_names import PartNames
from osssync.local.scan import entry_of
from osssync.local.system_calls import preallocate
from osssync.model import Entry, EntryKind

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PART_FILE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
# A named pipe in its place must not hang us, hence O_NONBLOCK; files ignore it.
_FOUND_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
# Nothing there, a link, or something that cannot be opened like a file (a socket).
_NOT_OURS = {errno.ENOENT, errno.ELOOP, errno.ENXIO}


class SmallFile(Struct, frozen=True):
    """A whole file: where it belongs, as ``keys.relative_path`` has it, its bytes, its time."""

    components: tuple[str, ...]
    data: Buffer
    mtime_ns: int


_UNSALTED = PartNames()


class DestinationRoot:
    """The directory a run writes below, and the only way to write there.

    Components are those of ``keys.relative_path``. Missing directories are made; a symbolic link
    below the root is never followed, one in a file's own place is replaced. Safe to use from many
    threads; every process opens its own.

    Every method may raise, besides what it names:
        DiskFullError: no space, quota or inodes are left.
        LocalFileError: the file system refused; the message says what to do.
        UnsafeKeyError: a file, directory or symbolic link stands in the way.

    Args:
        path: made if missing, its parents too.
        names: of part files; what a killed run with these names left is removed now.
        fsync: when files become durable.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: PartNames = _UNSALTED,
        fsync: Fsync = Fsync.BATCH,
    ) -> None:
        self._path = os.fspath(path)
        self._names = names
        self._directories = Directories(self._path, is_synced=fsync is Fsync.EACH)
        self._durability = Durability(self._path, fsync)
        self._ledger = Ledger(names.ledgers, names.run)
        self._arriving: set[tuple[tuple[str, ...], str]] = set()  # ``new_file`` writes them
        self._remove_left()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_small(self, components: tuple[str, ...], data: Buffer, mtime_ns: int) -> None:
        """Write a whole file and put it in place."""
        slots = self._ledger.note([_target(components)])
        try:
            directory, fd, name = self._new_part(components)
            with directory:
                self._fill(directory, fd, name, SmallFile(components, data, mtime_ns))
        except OSError as error:
            raise self._error("write", components, error) from error
        finally:
            self._ledger.done(slots)

    def write_together(self, files: Sequence[SmallFile]) -> list[bool]:
        """The same for several; False for one that is not in place: ``write_small`` tells why.

        What they share is done once: a directory is opened, and the ledger written.
        """
        slots = self._ledger.note([_target(file.components) for file in files])
        try:
            are_written: list[bool] = []
            for parent, siblings in groupby(files, _parent_of):
                are_written += self._write_siblings(parent, list(siblings))
            return are_written
        finally:
            self._ledger.done(slots)

    @contextlib.contextmanager
    def new_file(self, components: tuple[str, ...], mtime_ns: int) -> Iterator[PartFile]:
        """A file that is written while it comes; it is in place when the ``with`` ends.

        If that raises, or all is closed meanwhile, there is no such file.
        """
        slots = self._ledger.note([_target(components)])
        try:
            with self._unfinished(components) as (part, name):
                yield part
                os.utime(part.fd, ns=(mtime_ns, mtime_ns))
                self._durability.written(part.fd, is_large=False)
                part.close()
                with self._parent(components) as directory:  # none, once all is closed
                    _rename(name, components[-1], directory)
                    self._durability.named(directory)
        except OSError as error:
            raise self._error("write", components, error) from error
        finally:
            self._ledger.done(slots)

    def create_part(self, components: tuple[str, ...], size: int) -> str:
        """Make an unfinished file of ``size`` bytes beside its target; returns its name.

        The space is reserved where the file system can do that, so that a full disk shows now.
        """
        try:
            directory, fd, name = self._new_part(components)
            with directory:
                try:
                    try:
                        preallocate(fd, size)
                    finally:
                        os.close(fd)
                except BaseException:
                    _unlink(name, directory)
                    raise
        except OSError as error:
            raise self._error(f"reserve {size} B for", components, error) from error
        return name

    def open_part(self, components: tuple[str, ...], part_name: str) -> PartFile:
        """Open the unfinished file of this target. It stays where it is if writing fails."""
        try:
            with self._parent(components) as directory:
                fd = os.open(_checked(part_name), _PART_FILE, dir_fd=directory.fd)
        except OSError as error:
            raise self._error("open the unfinished file of", components, error) from error
        return PartFile(fd, joined(self._path, components))

    def find_part(self, components: tuple[str, ...], part_name: str, size: int) -> PartFile | None:
        """Open what an earlier run left of this target, for reading.

        None for anything but a plain file of ``size`` bytes with this one name.
        """
        try:
            with self._parent(components) as directory:
                fd = os.open(_checked(part_name), _FOUND_FILE, dir_fd=directory.fd)
        except OSError as error:
            if error.errno in _NOT_OURS:
                return None
            raise self._error("open the unfinished file of", components, error) from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or (status.st_size, status.st_nlink) != (size, 1):
            os.close(fd)
            return None
        return PartFile(fd, joined(self._path, components))

    def publish(self, components: tuple[str, ...], part_name: str, mtime_ns: int) -> None:
        """Give the finished content its time and its name; on failure it is removed.

        It is made durable before it gets its name.
        """
        name = _checked(part_name)  # before anything may remove it
        try:
            with self._parent(components) as directory:
                try:
                    self._finish(name, directory, mtime_ns)
                    _rename(name, components[-1], directory)
                except BaseException:
                    _unlink(name, directory)
                    raise
                self._durability.named(directory)
        except OSError as error:
            raise self._error("publish", components, error) from error

    def discard(self, components: tuple[str, ...], part_name: str) -> None:
        """Remove an unfinished file; it is no error if there is none."""
        try:
            with self._parent(components) as directory:
                os.unlink(_checked(part_name), dir_fd=directory.fd)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._error("remove the unfinished file of", components, error) from error

    def make_directory(self, components: tuple[str, ...]) -> None:
        """Make a directory, its parents too; it is no error if it exists."""
        with self._directories.open(components, create=True) as directory:
            self._durability.named(directory)

    def stat(self, components: tuple[str, ...]) -> Entry | None:
        """What stands there now, links not followed; None for nothing."""
        key = "/".join(components)
        try:
            with self._parent(components) as directory:
                status = os.stat(components[-1], dir_fd=directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error("look at", components, error) from error
        if stat.S_ISDIR(status.st_mode):
            return Entry(f"{key}/", 0, status.st_mtime_ns, EntryKind.DIRECTORY)
        return entry_of(key, status)

    def flush(self) -> None:
        """Make everything put in place so far durable, unless that was not asked for.

        Raises:
            LocalFileError: something written could not be stored. The system does not say what,
                so nothing of this run may be called done.
        """
        self._durability.flush()

    def close(self) -> None:
        """Close every descriptor; what is being written arrives no more. Nothing is flushed."""
        for components, name in tuple(self._arriving):
            with contextlib.suppress(OsssyncError):  # the next run replaces what is left
                self.discard(components, name)
        self._durability.close()
        self._directories.close()
        self._ledger.close()

    def _write_siblings(
        self, parent: tuple[str, ...], files: Sequence[SmallFile]
    ) -> Sequence[bool]:
        """Files of one directory; whether each is in place."""
        try:
            directory = self._directories.open(parent, create=True)
        except (OSError, OsssyncError):
            return [False] * len(files)
        are_written = []
        with directory:
            for file in files:
                name = self._names.of(file.components)
                try:
                    self._fill(directory, _open_new(name, directory), name, file)
                    are_written.append(True)
                except OSError:
                    are_written.append(False)
        return are_written

    def _fill(self, directory: Directory, fd: int, name: str, file: SmallFile) -> None:
        """Give a new part file its content, its time and its place; on failure it is removed."""
        try:
            try:
                write_all(fd, file.data, 0)
                os.utime(fd, ns=(file.mtime_ns, file.mtime_ns))
                self._durability.written(fd, is_large=False)
            finally:
                os.close(fd)
            _rename(name, file.components[-1], directory)
        except BaseException:
            _unlink(name, directory)
            raise
        self._durability.named(directory)

    def _parent(self, components: tuple[str, ...]) -> Directory:
        return self._directories.open(components[:-1], create=False)

    @contextlib.contextmanager
    def _unfinished(self, components: tuple[str, ...]) -> Iterator[tuple[PartFile, str]]:
        """A new part file and its name; it is removed if what follows raises."""
        directory, fd, name = self._new_part(components)
        self._directories.release(directory)
        arriving = components, name
        self._arriving.add(arriving)
        try:
            with PartFile(fd, joined(self._path, components)) as part:
                yield part, name
        except BaseException:
            with contextlib.suppress(OsssyncError):  # the failure that led here is told
                self.discard(components, name)
            raise
        finally:
            self._arriving.discard(arriving)

    def _new_part(self, components: tuple[str, ...]) -> tuple[Directory, int, str]:
        """A new part file: its directory (in use), its descriptor, its name."""
        name = self._names.of(components)
        try:
            directory, fd = self._open_new_part(components[:-1], name)
        except FileNotFoundError:  # a directory that is kept open was removed: make it again
            self._directories.forget(components[:-1])
            directory, fd = self._open_new_part(components[:-1], name)
        return directory, fd, name

    def _open_new_part(self, parent: tuple[str, ...], name: str) -> tuple[Directory, int]:
        directory = self._directories.open(parent, create=True)
        try:
            return directory, _open_new(name, directory)
        except BaseException:
            self._directories.release(directory)
            raise

    def _finish(self, part_name: str, directory: Directory, mtime_ns: int) -> None:
        """Set the time and make the content durable, in this order so that the time is too."""
        fd = os.open(part_name, _PART_FILE, dir_fd=directory.fd)
        try:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
            self._durability.written(fd, is_large=True)
        finally:
            os.close(fd)

    def _remove_left(self) -> None:
        """Remove the part files that a killed run was writing; nobody else has their names."""
        if not (self._names.ledgers and self._names.sweeps):
            return
        with self._directories.open((), create=False) as directory:
            _unlink(self._names.probe, directory)
        self._ledger.sweep(self._remove_part)

    def _remove_part(self, target: bytes) -> bool:
        """Remove the part file of a target; False if it may still be there."""
        with contextlib.suppress(UnicodeDecodeError, UnsafeKeyError):  # a damaged ledger
            components = relative_path(target.decode())
            try:
                self.discard(components, self._names.of(components))
            except LocalFileError:
                return False
        return True

    def _error(self, doing: str, components: tuple[str, ...], error: OSError) -> OsssyncError:
        path = joined(self._path, components)
        if error.errno == errno.EISDIR:
            return UnsafeKeyError(
                f"{display(path)} is a directory where a file is needed: "
                "remove it, or exclude one of the two"
            )
        return local_error(doing, path, error)


def _open_new(name: str, directory: Directory) -> int:
    """Make a file that nobody else has open; one that a killed run left is removed first."""
    try:
        return os.open(name, _NEW_FILE, 0o666, dir_fd=directory.fd)  # less the umask
    except FileExistsError:
        os.unlink(name, dir_fd=directory.fd)
    return os.open(name, _NEW_FILE, 0o666, dir_fd=directory.fd)


def _checked(part_name: str) -> str:
    """The name, once it is known to be a part file's: it may come from a damaged journal."""
    if not is_part_file(part_name):
        raise ValueError(f"{part_name!r} is not the name of an unfinished file")
    return part_name


def _parent_of(file: SmallFile) -> tuple[str, ...]:
    return file.components[:-1]


def _target(components: tuple[str, ...]) -> bytes:
    return "/".join(components).encode()


def _rename(name: str, target: str, directory: Directory) -> None:
    """Replace the target; a symbolic link there is replaced itself."""
    os.rename(name, target, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)


def _unlink(name: str, directory: Directory) -> None:
    with contextlib.suppress(OSError):  # the failure that led here is the one to report
        os.unlink(name, dir_fd=directory.fd)
