"""Deleting what the source lacks, after all else is done. What may be deleted is not decided here.

OSS:   1,000 entries ─▶ copies to the backup ─ those that arrived ─▶ DeleteMultipleObjects
disk:  each entry    ─▶ still as listed? ─▶ unlink, or move to the backup

What is guaranteed: a local file that has changed since it was listed stays. OSS has no delete on
a condition, so an object that is overwritten between the listing and the delete is lost, unless
the bucket keeps versions; a backup keeps the listed version, and an object of which that cannot be
copied any more stays. A HEAD before each delete would only narrow this, for a request a key.

Source: OSS "DeleteMultipleObjects", "DeleteObject" (help.aliyun.com, read 2026-11).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from msgspec import Struct

from osssync.errors import NotFoundError, OssError, OsssyncError
from osssync.keys import display, relative_directory, relative_path
from osssync.local.removal import RemovalRoot
from osssync.model import Entry, EntryKind, Failure
from osssync.oss.bucket import MAX_DELETES, Bucket
from osssync.oss.connection import Connection
from osssync.oss.errand import GRACE_S, Errand
from osssync.retry import sleep_through
from osssync.transfer.backup import ObjectBackup
from osssync.transfer.worker import failure_of

MOST_SPLITS = MAX_DELETES
"""Refused batches that are cut in two without a success in between: enough to find every refused
key of one batch. A run that may delete nothing at all pays for that once, not a request a key."""


class Removal(Struct, frozen=True):
    """What became of one entry. ``failure`` is None if it is gone, else why it is still there."""

    entry: Entry
    failure: Failure | None = None

    @property
    def reason(self) -> str:
        """Why it is still there, "" if it is gone."""
        return "" if self.failure is None else self.failure.message


class Remover(Protocol):
    """A destination's way of deleting."""

    def remove(self, entries: Iterable[Entry]) -> Iterator[Removal]:
        """Delete entries of the destination's listing, directories after what is in them.

        Entries are taken up to 1,000 at a time, so a run is stopped by ending ``entries``: what
        was taken is told of.

        Raises:
            OsssyncError: it makes no sense to go on; whatever was begun has been told of.
        """

    def close(self) -> None:
        """Give back what is held open."""


class FileRemover:
    """Deletes below a local directory.

    Args:
        root: where; it is closed by ``close``.
    """

    def __init__(self, root: RemovalRoot) -> None:
        self._root = root

    def remove(self, entries: Iterable[Entry]) -> Iterator[Removal]:
        """Delete files and links that are as they were listed, and directories that are empty."""
        for entry in entries:
            try:
                if entry.kind is EntryKind.DIRECTORY:
                    self._root.remove_directory(relative_directory(entry.key))
                else:
                    self._root.remove_file(relative_path(entry.key), entry)
            except OsssyncError as error:
                yield Removal(entry, failure_of(error))
            else:
                yield Removal(entry)

    def close(self) -> None:
        """Close the root."""
        self._root.close()


class ObjectRemover:
    """Deletes objects below a prefix. On a bucket with versioning their versions stay.

    Args:
        connection: asked with its credentials.
        where: bucket and prefix that keys are relative to.
        retries: repeats of one request after its first attempt.
        backup: gets a copy of each object first; None for no backup.
        wait: waits between repeats, and says whether to stop. Then nothing more is begun, and a
            request under way has ``GRACE_S`` to be answered: what it was to delete is told of as
            not deleted otherwise, though it may be gone.
    """

    def __init__(
        self,
        connection: Connection,
        where: tuple[Bucket, str],
        retries: int,
        backup: ObjectBackup | None = None,
        wait: Callable[[float], bool] = sleep_through,
    ) -> None:
        self._connection = connection
        self._bucket, self._prefix = where
        self._retries = retries
        self._backup = backup
        self._wait = wait
        self._splits = MOST_SPLITS

    def remove(self, entries: Iterable[Entry]) -> Iterator[Removal]:
        """Delete objects, in batches of up to 1,000."""
        taken = iter(entries)
        while batch := list(islice(taken, MAX_DELETES)):
            failures: dict[str, Failure | None] = {}
            end: OsssyncError | None = None
            try:
                self._remove_batch(batch, failures)
            except OsssyncError as error:
                end = error
            for entry in batch:
                yield Removal(entry, failures.get(entry.key, failure_of(end) if end else None))
            if end is not None:
                raise end

    def close(self) -> None:
        """Nothing is open."""

    def _remove_batch(self, batch: list[Entry], failures: dict[str, Failure | None]) -> None:
        """Fill in what became of each key; what is missing after an error was not done."""
        keys = [entry.key for entry in batch]
        if self._backup is not None:
            kept = self._backup.keep_all(batch)
            failures.update((key, why) for key, why in zip(keys, kept, strict=True) if why)
            keys = [key for key in keys if key not in failures]
            if not keys and len(batch) == MAX_DELETES:
                raise OsssyncError(f"none of {len(batch)} objects could be backed up; deletes end")
        if keys:
            self._delete(keys, failures)

    def _delete(self, keys: list[str], failures: dict[str, Failure | None]) -> None:
        """Delete keys; a batch that is refused as a whole for some of its keys is cut in two.

        A denied prefix or an object under retention makes OSS refuse all that are asked for
        with it.
        """
        try:
            refused = self._ask(keys)
        except OssError as error:
            if error.retryable or isinstance(error, NotFoundError):  # there is no such bucket
                raise
            if len(keys) == 1 or not self._splits:
                failures.update(dict.fromkeys(keys, failure_of(error)))
                return
            self._splits -= 1
            middle = len(keys) // 2
            self._delete(keys[:middle], failures)
            self._delete(keys[middle:], failures)
            return
        self._splits = MOST_SPLITS
        failures.update(dict.fromkeys(keys))
        failures.update(refused)

    def _ask(self, keys: list[str]) -> dict[str, Failure]:
        """Delete keys in one request; those that OSS did not confirm, asked for a second time."""
        unconfirmed = self._repeat(keys)
        if unconfirmed:  # deleting what is gone is harmless, and some faults pass
            unconfirmed = self._repeat(list(unconfirmed))
        return unconfirmed

    def _repeat(self, keys: list[str]) -> dict[str, Failure]:
        whole = [self._prefix + key for key in keys]
        retry = self._connection.retry(self._retries, self._wait)
        errand = Errand(
            lambda: self._connection.repeat(retry, lambda: self._bucket.delete_many(whole)),
            lambda: self._wait(0.0),
        )
        answer = errand.result(GRACE_S)
        cut = len(self._prefix)
        return {key[cut:]: self._refusal(key, code, text) for key, code, text in answer}

    def _refusal(self, key: str, code: str, text: str) -> Failure:
        name = display(f"oss://{self._bucket.name}/{key}")
        said = ": ".join(filter(None, (code, text)))
        return Failure(OssError.__name__, f"{name}: {said}", OssError.exit_code, code)
