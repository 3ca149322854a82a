"""From a job to its two trees: what each lists, where targets lie, and the steps between them.

One function a direction, because each knows other facts: which side is a disk, and what a single
object is called at its destination. Trees list; they decide nothing and move nothing.
"""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from osssync.columns import Columns
from osssync.config import Compare, Fsync, Job, LocalAddress, OssAddress, expand
from osssync.errors import LocalFileError, NotFoundError, UnsafeKeyError, UsageError
from osssync.keys import LONGEST_PLAIN_PREFIX, relative_directory, relative_path, upload_key
from osssync.local.case import ignores_case
from osssync.local.files import DestinationRoot
from osssync.local.part_names import PartNames
from osssync.local.removal import RemovalRoot
from osssync.local.scan import Scan, scan_columns
from osssync.model import Direction, Entry, EntryKind
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.oss.tree import list_columns
from osssync.retry import sleep_through
from osssync.transfer.backup import ObjectBackup, check_backup
from osssync.transfer.copy import Copy
from osssync.transfer.download import Download
from osssync.transfer.remove import FileRemover, ObjectRemover, Remover
from osssync.transfer.steps import Steps
from osssync.transfer.upload import Upload, dont_wait


def _tells_case_apart() -> bool:
    return False


class Trees(Struct, frozen=True):
    """A job's source and destination, ready to be listed.

    Both listings are sorted by key and may be taken once. ``target_of`` gives the key or path of
    an entry relative to the destination, and raises UnsafeKeyError where it has none. If
    ``keeps_plain_keys``, that is its own one for each of which ``keys.are_plain`` is sure.
    ``open_steps`` may create the destination directory, and ``ignores_case``, asked after it, a
    file for an instant; nothing else here writes.
    """

    source: Callable[[], Iterator[Columns]]
    destination: Callable[[], Iterator[Columns]]
    target_of: Callable[[Entry], str]
    look: Callable[[Entry], Entry | None]  # the entry as the source has it now
    open_steps: Callable[[], Steps]
    open_remover: Callable[[threading.Event], Remover]
    ignores_case: Callable[[], bool] = _tells_case_apart  # whether "A" and "a" are one file there
    keeps_plain_keys: bool = False


def open_trees(
    job: Job,
    connection: Connection,
    names: PartNames | None = None,
    scan: Scan = scan_columns,
) -> Trees:
    """The trees of a job.

    Args:
        job: whose addresses and settings hold.
        connection: to OSS.
        names: of its part files, None if nothing is written.
        scan: how a tree of this machine is listed.

    Raises:
        UsageError: the addresses do not fit together.
        NotFoundError, LocalFileError: a single source does not exist.
        OsssyncError: OSS could not be asked about a single source.
    """
    if job.options.deletes.backup is not None:
        check_backup(job.source, job.destination, job.options.deletes.backup)
    if job.options.transfer.fsync is not Fsync.BATCH and job.direction is not Direction.DOWNLOAD:
        raise UsageError(f"--fsync is about files of this machine, and {job.destination} is OSS")
    match job.source, job.destination:
        case OssAddress() as source, LocalAddress() as destination:
            return _download(job, connection, (source, destination), names or PartNames(), scan)
        case LocalAddress() as source, OssAddress() as destination:
            return _upload(job, connection, source, destination, scan)
        case OssAddress() as source, OssAddress() as destination:
            return _copy(job, connection, source, destination)
        case _:
            raise UsageError(f"{job.source} and {job.destination}: one must be oss://")


def tree_prefix(key: str) -> str:
    """The prefix of a tree: "a" and "a/" are the same tree, "" is the whole bucket."""
    return key if not key or key.endswith("/") else key + "/"


def entry_of(bucket: Bucket, key: str) -> Entry:
    """One object as an entry with its full key.

    Raises:
        NotFoundError: there is none.
    """
    meta = bucket.head(key)
    is_marker = key.endswith("/") and meta.size == 0
    kind = EntryKind.DIRECTORY if is_marker else EntryKind.FILE
    return Entry(
        key, meta.size, meta.last_modified_ns, kind, meta.etag, storage_class=meta.storage_class
    )


def file_entry(path: str, key: str, *, follow_symlinks: bool = True) -> Entry:
    """One local file as an entry called ``key``.

    Raises:
        LocalFileError: not there, not readable, or not a regular file.
    """
    try:
        status = os.stat(path, follow_symlinks=follow_symlinks)  # noqa: PTH116 - bytes-safe
    except OSError as error:
        raise LocalFileError(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{path} is a directory: give -r to transfer what is in it")
    if not stat.S_ISREG(status.st_mode):
        raise LocalFileError(f"{path}: not a regular file")
    return Entry(key, status.st_size, status.st_mtime_ns)


def _download(
    job: Job,
    connection: Connection,
    ends: tuple[OssAddress, LocalAddress],
    names: PartNames,
    scan: Scan,
) -> Trees:
    source, destination = ends
    bucket = connection.bucket(source.bucket)
    path = expand(destination)

    def steps(prefix: str, root: Path) -> Download:
        opened = DestinationRoot(root, names, job.options.transfer.fsync)
        return Download(bucket, prefix, opened, lambda: connection.pace.stopped)

    if job.recursive:
        prefix = tree_prefix(source.key)
        backup = _local_backup(job)
        return Trees(
            source=lambda: list_columns(connection, bucket, prefix),
            destination=lambda: _scan_destination(path, job, scan),
            target_of=_safe_target,
            look=_look_at_object(bucket, prefix),
            open_steps=lambda: steps(prefix, path),
            open_remover=lambda _stop: FileRemover(RemovalRoot(str(path), backup)),
            ignores_case=lambda: ignores_case(str(path), names.probe),
            keeps_plain_keys=True,
        )
    entry = _single_object(connection, bucket, source, job.options.transfer.retries)
    folder, name = path.parent, path.name
    if destination.is_folder or path.is_dir():
        folder, name = path, source.key.rpartition("/")[2]
    relative_path(name)  # refuse at once what can never be a file's name
    return Trees(
        source=lambda: iter((Columns.of((entry,)),)),
        destination=lambda: _existing_file(folder / name, entry.key),
        target_of=lambda _entry: name,
        look=_look_at_object(bucket, ""),
        open_steps=lambda: steps("", folder),
        open_remover=_nothing_to_remove,
    )


def _upload(
    job: Job, connection: Connection, source: LocalAddress, destination: OssAddress, scan: Scan
) -> Trees:
    bucket = connection.bucket(destination.bucket)
    path, follow = expand(source), job.options.follow_symlinks
    headers = dict(job.options.transfer.headers)
    if job.recursive:
        root, prefix = str(path), tree_prefix(destination.key)
        wait = dont_wait if job.options.compare is Compare.ALWAYS else sleep_through
        return Trees(
            source=lambda: scan(
                root, follow_symlinks=follow, with_directories=job.options.deletes.wanted
            ),
            destination=lambda: list_columns(connection, bucket, prefix),
            target_of=lambda entry: _uploadable(prefix, entry.key),
            look=_look_at_file(root, follow_symlinks=follow),
            open_steps=lambda: Upload(root, bucket, prefix, follow, headers, wait),
            open_remover=lambda stop: _object_remover(job, connection, (bucket, prefix), stop),
            keeps_plain_keys=_is_short(prefix),
        )
    entry = file_entry(str(path), path.name, follow_symlinks=follow)
    retries = job.options.transfer.retries
    key = destination.key
    if not key or key.endswith("/"):
        key += path.name
    upload_key("", key)
    return Trees(
        source=lambda: iter((Columns.of((entry,)),)),
        destination=lambda: _existing_object(connection, bucket, key, entry.key, retries),
        target_of=lambda _entry: key,
        look=_look_at_file(str(path.parent), follow_symlinks=follow),
        open_steps=lambda: Upload(str(path.parent), bucket, "", follow, headers),
        open_remover=_nothing_to_remove,
    )


def _copy(job: Job, connection: Connection, source: OssAddress, destination: OssAddress) -> Trees:
    origin, bucket = connection.bucket(source.bucket), connection.bucket(destination.bucket)
    headers = dict(job.options.transfer.headers)
    if job.recursive:
        source_prefix, prefix = tree_prefix(source.key), tree_prefix(destination.key)
        _refuse_overlap(source, destination, source_prefix, prefix)
        return Trees(
            source=lambda: list_columns(connection, origin, source_prefix),
            destination=lambda: list_columns(connection, bucket, prefix),
            target_of=lambda entry: _uploadable(prefix, entry.key),
            look=_look_at_object(origin, source_prefix),
            open_steps=lambda: Copy(origin, source_prefix, bucket, prefix, headers),
            open_remover=lambda stop: _object_remover(job, connection, (bucket, prefix), stop),
            keeps_plain_keys=_is_short(prefix),
        )
    retries = job.options.transfer.retries
    entry = _single_object(connection, origin, source, retries)
    key = destination.key
    if not key or key.endswith("/"):
        key += source.key.rpartition("/")[2]
    upload_key("", key)
    if (source.bucket, source.key) == (destination.bucket, key):
        raise UsageError(f"{source}: source and destination are the same object")
    return Trees(
        source=lambda: iter((Columns.of((entry,)),)),
        destination=lambda: _existing_object(connection, bucket, key, entry.key, retries),
        target_of=lambda _entry: key,
        look=_look_at_object(origin, ""),
        open_steps=lambda: Copy(origin, "", bucket, "", headers),
        open_remover=_nothing_to_remove,
    )


def _object_remover(
    job: Job, connection: Connection, where: tuple[Bucket, str], stop: threading.Event
) -> Remover:
    settings, address = job.options.transfer, job.options.deletes.backup
    backup = None
    if isinstance(address, OssAddress):
        place = (connection.bucket(address.bucket), address.key)
        backup = ObjectBackup(connection, where, place, settings)
    return ObjectRemover(connection, where, settings.retries, backup, stop.wait)


def _local_backup(job: Job) -> str:
    address = job.options.deletes.backup
    return str(expand(address)) if isinstance(address, LocalAddress) else ""


def _nothing_to_remove(_stop: threading.Event) -> Remover:
    raise UsageError("only a sync of trees deletes")


def _refuse_overlap(
    source: OssAddress, destination: OssAddress, source_prefix: str, prefix: str
) -> None:
    overlaps = source_prefix.startswith(prefix) or prefix.startswith(source_prefix)
    if source.bucket == destination.bucket and overlaps:
        raise UsageError(f"{source} and {destination} contain each other: choose separate prefixes")


def _single_object(
    connection: Connection, bucket: Bucket, address: OssAddress, retries: int
) -> Entry:
    if not address.key:
        raise UsageError(f"{address} is a bucket: give -r to transfer what is in it")
    try:
        return connection.repeat(connection.retry(retries), lambda: entry_of(bucket, address.key))
    except NotFoundError as error:
        if error.code == "NoSuchBucket":
            raise
        raise NotFoundError(
            f"{address}: no such object (for everything below a prefix, give -r)",
            error.status, error.code, error.ec, error.request_id,
        ) from error  # fmt: skip


def _safe_target(entry: Entry) -> str:
    if entry.kind is EntryKind.DIRECTORY:
        relative_directory(entry.key)
    else:
        relative_path(entry.key)
    return entry.key


def _is_short(prefix: str) -> bool:
    return len(prefix.encode(errors="surrogateescape")) <= LONGEST_PLAIN_PREFIX


def _uploadable(prefix: str, key: str) -> str:
    upload_key(prefix, key)
    return key


def _scan_destination(path: Path, job: Job, scan: Scan) -> Iterator[Columns]:
    if job.options.compare is Compare.ALWAYS or not os.path.lexists(path):
        return iter(())
    return scan(str(path), follow_symlinks=False, with_directories=True)


def _existing_file(path: Path, key: str) -> Iterator[Columns]:
    try:
        yield Columns.of((file_entry(str(path), key, follow_symlinks=False),))
    except UsageError:
        yield Columns.of((Entry(key, 0, 0, EntryKind.DIRECTORY),))
    except LocalFileError:
        return


def _existing_object(
    connection: Connection, bucket: Bucket, key: str, source_key: str, retries: int
) -> Iterator[Columns]:
    try:
        entry = connection.repeat(connection.retry(retries), lambda: entry_of(bucket, key))
    except NotFoundError:
        return
    yield Columns.of((replace(entry, key=source_key),))


def _look_at_object(bucket: Bucket, prefix: str) -> Callable[[Entry], Entry | None]:
    def look(entry: Entry) -> Entry | None:
        try:
            return replace(entry_of(bucket, prefix + entry.key), key=entry.key)
        except NotFoundError:
            return None

    return look


def _look_at_file(root: str, *, follow_symlinks: bool) -> Callable[[Entry], Entry | None]:
    def look(entry: Entry) -> Entry | None:
        try:
            return file_entry(f"{root}/{entry.key}", entry.key, follow_symlinks=follow_symlinks)
        except (LocalFileError, UsageError, UnsafeKeyError):
            return None

    return look
