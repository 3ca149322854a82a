"""Local files as a destination: complete or invisible. Sources are in ``source``.

    small:  part file ─▶ write ─▶ time ─▶ rename
    large:  create_part ─▶ open_part, write_at … from anywhere ─▶ publish: time, fsync, rename
    both:   flush, now and then and at the end: one syncfs for all of them

A part file lies in the directory of its target, so that the rename cannot cross file systems, and
is removed by whatever fails. Its name follows from the run and the target: what a killed run left
is found by the next one, which goes on with it or replaces it. Before ``flush`` returned, a small
file may be lost in a power cut.
"""

import contextlib
import errno
import os
import stat
import threading
from hashlib import blake2b
from typing import Self

from osssync.checksums import crc64
from osssync.errors import OsssyncError, UnsafeKeyError
from osssync.keys import display, is_part_file, part_file_name
from osssync.local.directories import Directories, Directory
from osssync.local.failures import joined, local_error
from osssync.local.scan import entry_of
from osssync.local.system_calls import preallocate, sync_file_system
from osssync.model import ByteRange, Entry, EntryKind

Buffer = bytes | bytearray | memoryview

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PART_FILE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
# A named pipe in its place must not hang us, hence O_NONBLOCK; files ignore it.
_FOUND_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_READ_BYTES = 1 << 20
# Nothing there, a link, or something that cannot be opened like a file (a socket).
_NOT_OURS = {errno.ENOENT, errno.ELOOP, errno.ENXIO}


class PartFile:
    """An unfinished file, open in one thread. Close it by ``with``."""

    __slots__ = ("_fd", "_path")

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.close(self._fd)
        except OSError as error:  # network file systems report lost writes here
            raise local_error("write", self._path, error) from error

    def write_at(self, data: Buffer, offset: int) -> None:
        """Write all of ``data`` at ``offset`` bytes from the start.

        Raises:
            DiskFullError: no space is left.
            LocalFileError: the file system refused.
        """
        try:
            _write_all(self._fd, data, offset)
        except OSError as error:
            raise local_error("write", self._path, error) from error

    def crc64_of(self, byte_range: ByteRange) -> int:
        """The CRC-64 of what lies there now, as far as the file reaches.

        Raises:
            LocalFileError: the disk could not read it.
        """
        view, crc = memoryview(bytearray(min(_READ_BYTES, len(byte_range)))), 0
        offset = byte_range.start
        try:
            while offset < byte_range.stop:
                count = os.preadv(self._fd, [view[: byte_range.stop - offset]], offset)
                if count == 0:
                    break
                crc = crc64(view[:count], crc)
                offset += count
        except OSError as error:
            raise local_error("read", self._path, error) from error
        return crc


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
        salt: what the names of part files depend on beside their target. Two runs with the same
            salt would write into each other's part files: they must not go on at the same time.
    """

    def __init__(self, path: str | os.PathLike[str], salt: str = "") -> None:
        self._path = os.fspath(path)
        self._salt = f"{salt}\0".encode()
        self._directories = Directories(self._path)
        self._lock = threading.Lock()
        self._unsynced: set[int] = set()  # devices
        self._descriptors: dict[int, int] = {}  # by device: one to syncfs by

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_small(self, components: tuple[str, ...], data: Buffer, mtime_ns: int) -> None:
        """Write a whole file and put it in place. Durable after the next ``flush``."""
        try:
            directory, fd, name = self._new_part(components)
            with directory:
                try:
                    try:
                        _write_all(fd, data, 0)
                        os.utime(fd, ns=(mtime_ns, mtime_ns))
                    finally:
                        os.close(fd)
                    _rename(name, components[-1], directory)
                except BaseException:
                    _unlink(name, directory)
                    raise
                self._remember(directory)
        except OSError as error:
            raise self._error("write", components, error) from error

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
        """Make the finished content durable and put it in place; on failure it is removed.

        The new name is durable after the next ``flush``.
        """
        name = _checked(part_name)  # before anything may remove it
        try:
            with self._parent(components) as directory:
                try:
                    _finish(name, directory, mtime_ns)
                    _rename(name, components[-1], directory)
                except BaseException:
                    _unlink(name, directory)
                    raise
                self._remember(directory)
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
            self._remember(directory)

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
        """Make everything put in place so far durable, by one syncfs per file system.

        Raises:
            LocalFileError: something written could not be stored. The system says so only once,
                so nothing since the last flush may be called done.
        """
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
        try:
            for device in unsynced:
                sync_file_system(self._descriptors[device])
        except OSError as error:
            with self._lock:
                self._unsynced |= unsynced
            raise local_error("flush", self._path, error) from error

    def close(self) -> None:
        """Close every descriptor. Nothing is flushed."""
        with self._lock:
            descriptors, self._descriptors = self._descriptors, {}
        for fd in descriptors.values():
            os.close(fd)
        self._directories.close()

    def _parent(self, components: tuple[str, ...], *, create: bool = False) -> Directory:
        return self._directories.open(components[:-1], create=create)

    def _new_part(self, components: tuple[str, ...]) -> tuple[Directory, int, str]:
        """A new part file: its directory (in use), its descriptor, its name."""
        try:
            return self._open_new_part(components)
        except FileNotFoundError:  # a directory that is kept open was removed: make it again
            self._directories.forget(components[:-1])
        return self._open_new_part(components)

    def _open_new_part(self, components: tuple[str, ...]) -> tuple[Directory, int, str]:
        target = self._salt + "/".join(components).encode()
        name = part_file_name(blake2b(target, digest_size=8).hexdigest())
        directory = self._parent(components, create=True)
        try:
            fd = _open_new(name, directory)
        except BaseException:
            self._directories.release(directory)
            raise
        return directory, fd, name

    def _remember(self, directory: Directory) -> None:
        """Have the next flush sync this file system. Called after the rename, never before it."""
        # No lock is needed to see it is remembered: a flush that takes this set syncs later.
        if directory.device in self._unsynced:
            return
        with self._lock:
            if directory.device not in self._descriptors:
                self._descriptors[directory.device] = os.dup(directory.fd)
            self._unsynced.add(directory.device)

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


def _write_all(fd: int, data: Buffer, offset: int) -> None:
    count = os.pwrite(fd, data, offset)
    if count == len(data):
        return
    view = memoryview(data)[count:]
    while view:
        offset += count
        count = os.pwrite(fd, view, offset)
        view = view[count:]


def _finish(part_name: str, directory: Directory, mtime_ns: int) -> None:
    """Set the time and make the content durable, in this order so that the time is too."""
    fd = os.open(part_name, _PART_FILE, dir_fd=directory.fd)
    try:
        os.utime(fd, ns=(mtime_ns, mtime_ns))
        os.fsync(fd)
    finally:
        os.close(fd)


def _rename(name: str, target: str, directory: Directory) -> None:
    """Replace the target; a symbolic link there is replaced itself."""
    os.rename(name, target, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)


def _unlink(name: str, directory: Directory) -> None:
    with contextlib.suppress(OSError):  # the failure that led here is the one to report
        os.unlink(name, dir_fd=directory.fd)
