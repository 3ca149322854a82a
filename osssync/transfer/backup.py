"""Keeping what is to be deleted from OSS: server-side copies at a backup address.

copy, If-Match the listed ETag ─ done ─▶ may be deleted
                               ├ changed since it was listed ─▶ stays
                               └ name taken ─ by the same bytes ─▶ may be deleted
                                            └ by others ─▶ again as name.~1~, name.~2~ …
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from osssync.config import Address, LocalAddress, OssAddress, TransferSettings, expand
from osssync.errors import NotFoundError, OsssyncError, SourceChangedError, UsageError
from osssync.keys import display, join, upload_key
from osssync.model import Direction, Entry, Failure, Outcome
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.oss.errand import GRACE_S, Errand
from osssync.oss.replies import ObjectMeta
from osssync.planning.assembly import Assembly
from osssync.planning.split import first_task, part_size_of
from osssync.transfer.copy import Copy
from osssync.transfer.worker import Worker, failure_of

_JOBS = 16  # copies at a time where nobody says how many
_MOST_NAMES = 100
"""Names tried for one key; each takes a request, and nobody looks through more backups."""


class ObjectBackup:
    """Copies objects below one prefix to another, never over an object that is there.

    On a bucket with versioning OSS ignores ``x-oss-forbid-overwrite``, and keeps the object that
    was there as an old version.

    Args:
        connection: asked with its credentials; both buckets are of its region.
        origin: where the objects are, and the prefix that their keys are relative to.
        backup: where the copies go: bucket and prefix.
        settings: ``jobs`` copies at a time, ``retries`` of each request, ``part_size``.
    """

    def __init__(
        self,
        connection: Connection,
        origin: tuple[Bucket, str],
        backup: tuple[Bucket, str],
        settings: TransferSettings,
    ) -> None:
        self._connection = connection
        self._origin, self._prefix = origin
        self._bucket, backup_prefix = backup
        self._backup_prefix = join(backup_prefix, "")
        self._settings = settings
        headers = {"x-oss-forbid-overwrite": "true"}
        steps = Copy(self._origin, self._prefix, self._bucket, self._backup_prefix, headers)
        self._worker = Worker(steps, self._look, connection, settings.retries)

    def keep_all(self, entries: Iterable[Entry]) -> list[Failure | None]:
        """Copy every entry; in their order, why each must not be deleted, None if it may be.

        Raises:
            InterruptedRunError: stopped; what was under way had ``GRACE_S`` to end or be aborted.
        """
        waiting = deque(enumerate(entries))
        wanted = len(waiting)
        kept: dict[int, Failure | None] = {}

        def serve() -> None:
            while True:
                try:
                    place, entry = waiting.popleft()
                except IndexError:  # asking first would be another thread's chance
                    return
                kept[place] = self.keep(entry)

        count = min(self._settings.jobs or _JOBS, wanted)
        errands = [Errand(serve, self._connection.stopped) for _ in range(count)]
        try:
            for errand in errands:
                errand.result()
        except BaseException:
            waiting.clear()
            self.stop()
            _see_off(errands)
            raise
        return [kept[place] for place in range(wanted)]

    def keep(self, entry: Entry) -> Failure | None:
        """Copy one entry; why it must not be deleted, None if it may be. From any thread."""
        try:
            return self._keep(entry)
        except OsssyncError as error:
            return failure_of(error)

    def stop(self) -> None:
        """Give up waiting between repeats, and begin no more copies."""
        self._worker.stop()

    def _keep(self, entry: Entry) -> Failure | None:
        for name in _names(entry.key):
            upload_key(self._backup_prefix, name)
            outcome = self._copy(entry, name)
            if outcome.failure is None:
                return None
            if not _is_taken(outcome, entry):
                return outcome.failure
            if self._is_kept_as(name, entry):
                return None
        raise OsssyncError(
            f"{display(entry.key)}: {_MOST_NAMES} backups of it are there already, so it is not "
            "deleted: give another --backup-dir"
        )

    def _copy(self, entry: Entry, name: str) -> Outcome:
        first = first_task(0, entry, name, Direction.COPY, self._settings)
        assembly = Assembly(first, part_size_of(entry, Direction.COPY, self._settings))
        while assembly.outcome is None:
            task = assembly.ready(1)
            if task is None:
                raise AssertionError(f"the copy of {entry.key!r} neither goes on nor ends")
            assembly.feed(self._worker.run(task))
        return assembly.outcome

    def _is_kept_as(self, name: str, entry: Entry) -> bool:
        """Whether the object there has the same bytes: an answer was lost, or an earlier run."""
        there = self._repeat_head(self._bucket, self._backup_prefix + name)
        here = self._repeat_head(self._origin, self._prefix + entry.key)
        return there.crc64 is not None and (there.size, there.crc64) == (here.size, here.crc64)

    def _repeat_head(self, bucket: Bucket, key: str) -> ObjectMeta:
        retry = self._connection.retry(self._settings.retries)
        return self._connection.repeat(retry, lambda: bucket.head(key))

    def _look(self, entry: Entry) -> Entry | None:
        try:
            meta = self._origin.head(self._prefix + entry.key)
        except NotFoundError:
            return None
        return replace(
            entry, size=meta.size, mtime_ns=meta.last_modified_ns, etag=meta.etag
        )  # fmt: skip


def _see_off(errands: Sequence[Errand[None]]) -> None:
    """Wait for all to end, together no longer than ``GRACE_S``."""
    until_s = time.monotonic() + GRACE_S
    for errand in errands:
        errand.join(max(until_s - time.monotonic(), 0.0))


def _names(key: str) -> Iterator[str]:
    yield key
    for number in range(1, _MOST_NAMES):
        yield f"{key}.~{number}~"


def _is_taken(outcome: Outcome, entry: Entry) -> bool:
    """Whether a copy was refused for what stands at its target, not for what became of its source.

    OSS refuses both in much the same way; the source as it is now tells them apart.
    """
    failure, now = outcome.failure, outcome.restart
    if failure is None:
        return False
    unchanged = now is not None and now.etag == entry.etag
    refused = failure.error == SourceChangedError.__name__ and unchanged
    return refused or failure.code == "FileAlreadyExists"


def check_backup(source: Address, destination: Address, backup: Address) -> None:
    """Refuse a backup address that cannot be, or that the run itself would list or write to.

    Raises:
        UsageError: it is not where the destination is (OSS, or a disk), or it and one of the
            trees contain each other.
    """
    if isinstance(backup, LocalAddress) is not isinstance(destination, LocalAddress):
        where = "a local path" if isinstance(destination, LocalAddress) else "oss://…"
        raise UsageError(f"--backup-dir {backup}: {destination} needs {where}")
    for tree in (source, destination):
        if _overlap(tree, backup):
            raise UsageError(
                f"--backup-dir {backup} and {tree} contain each other: what is backed up would be "
                "synced too; choose a place outside of both"
            )


def _overlap(one: Address, other: Address) -> bool:
    match one, other:
        case OssAddress(), OssAddress():
            if one.bucket != other.bucket:
                return False
            here, there = join(one.key, ""), join(other.key, "")
        case LocalAddress(), LocalAddress():
            here, there = (f"{os.path.realpath(expand(path))}/" for path in (one, other))
        case _:
            return False
    return here.startswith(there) or there.startswith(here)
