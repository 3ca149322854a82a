"""The steps of an object, as every direction must offer them, and what they share."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from osssync.checksums import combine_parts
from osssync.errors import IntegrityError
from osssync.local.source import SourceFile
from osssync.model import Entry, Outcome, PartReceipt, Pinned, Task
from osssync.oss.bucket import Line


class Asked(Struct, frozen=True):
    """A ``whole`` whose request is out: where, and of an upload what it was made of."""

    task: Task
    line: Line
    file: SourceFile | None = None
    data: bytes = b""
    crc64: int = 0

    def close(self) -> None:
        """Close the file, give back the connection. Idempotent."""
        if self.file is not None:
            self.file.close()
        self.line.leave()


class Steps(Protocol):
    """One direction's way of doing a task.

    Each step may be called again after a retryable error, so it must be safe to repeat.

    Raises:
        OsssyncError: why the step could not be done; ``retryable`` says if repeating may help.
    """

    def is_brief(self, entry: Entry) -> bool:
        """Whether ``whole`` keeps no thread busy with this one."""

    def line(self) -> Line | None:
        """An idle connection for ``ask``; None if there is none."""

    def ask(self, tasks: Sequence[Task], lines: Sequence[Line]) -> Sequence[Asked | None]:
        """Send the requests of ``whole``, each on its line; waits for nothing.

        None where that cannot be: its line has nothing to wait for then.
        """

    def take(self, flown: Sequence[Asked]) -> Sequence[Outcome | None]:
        """Do what the replies are for, which are here whole; None unless one is as it should be.

        ``whole`` knows what is wrong then.
        """

    def whole(self, task: Task, asked: Asked | None = None) -> Outcome:
        """Transfer a small object in one request, which may be out already."""

    def start(self, task: Task) -> Outcome:
        """Pin the source's version and make the place its parts go to."""

    def resume(self, task: Task) -> Outcome:
        """Prove what an earlier run left: ``task.pinned`` and ``task.receipts``.

        The outcome holds what is proven. Without ``pinned`` there is nothing to go on with, and
        what was left has been put away.
        """

    def part(self, task: Task) -> Outcome:
        """Transfer ``task.byte_range``."""

    def finish(self, task: Task) -> Outcome:
        """Check the whole and make it visible."""

    def abort(self, task: Task) -> Outcome:
        """Leave nothing behind; repeating it is harmless."""

    def flush(self) -> None:
        """Make durable what has been done so far; before this it may not be called done."""

    def close(self) -> None:
        """Give back what is held open."""


BRIEF_BYTES = 1 << 18
"""Up to here an object's bytes come and are written while a thread would be woken."""

ABORT_RETRIES = 3
"""Putting away is worth a few seconds even to those in a hurry: what stays behind is billed."""

NO_CRC_NOTE = "OSS keeps no CRC-64 of this object: sizes and parts were compared"


def parts_crc64(receipts: tuple[PartReceipt, ...]) -> int | None:
    """The CRC-64 of all parts together; None when a part has none."""
    pairs: list[tuple[int, int]] = []
    for receipt in receipts:
        if receipt.crc64 is None:
            return None
        pairs.append((receipt.crc64, len(receipt.byte_range)))
    return combine_parts(pairs)


def compare_crc64(what: str, expected: int | None, actual: int | None) -> str:
    """Compare two checksums; the returned note says if there was nothing to compare.

    Raises:
        IntegrityError: they differ.
    """
    if expected is None or actual is None:
        return NO_CRC_NOTE
    if expected != actual:
        raise IntegrityError(f"{what}: CRC-64 is {actual}, expected {expected}")
    return ""


def check_stored(what: str, etag: str) -> None:
    """Refuse a reply to a PUT that only looks like success: OSS always names what it stored.

    Raises:
        IntegrityError: something between here and OSS answered in its place.
    """
    if not etag:
        raise IntegrityError(
            f"{what}: the reply holds no ETag, so it is not OSS's; does a proxy answer for it?"
        )


def of_complete(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a new object's headers, those that OSS reads when the upload is completed: its ACL.

    All others it takes from InitiateMultipartUpload, and an ACL given there it ignores.
    Source: OSS API reference, CompleteMultipartUpload, request headers (read 2026-11).
    """
    acl = "x-oss-object-acl"
    return {name: value for name, value in headers.items() if name.lower() == acl}


def pinned_of(task: Task) -> Pinned:
    """What START made. Planning never sends a PART, FINISH or ABORT without it."""
    if task.pinned is None:
        raise AssertionError(f"{task.step} of {task.entry.key!r} came without its START")
    return task.pinned
