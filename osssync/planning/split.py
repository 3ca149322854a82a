"""From a decision to the first task: one request for a small object, the START of a large one.

What an earlier run began has RESUME as its first task, so that it is gone on with or put away.
"""

from osssync.config import TransferSettings
from osssync.model import Direction, Entry, EntryKind, Step, Task, Unfinished
from osssync.ranges import part_size_for

COPY_WHOLE_BYTES = 1 << 30
"""CopyObject is documented for objects below 1 GB; larger ones go by UploadPartCopy.

Source: OSS API reference, CopyObject and UploadPartCopy (read 2026-11).
"""

COPY_PART_BYTES = 128 << 20
"""Server-side parts cost a request each and no memory here, so they are large."""


def first_task(
    object_number: int,
    entry: Entry,
    target: str,
    direction: Direction,
    settings: TransferSettings,
    unfinished: Unfinished | None = None,
) -> Task:
    """The task an object begins with.

    ``unfinished`` is what an earlier run left of this target. Its parts count only for the same
    version cut in the same way; RESUME puts away what cannot be gone on with.
    """
    if unfinished is None:
        return Task(object_number, fresh_step(entry, direction, settings), entry, target)
    fits = unfinished.part_size == part_size_of(entry, direction, settings) and (
        _version(unfinished.entry) == _version(entry)
    )
    receipts = unfinished.receipts if fits else ()
    return Task(object_number, Step.RESUME, entry, target, unfinished.pinned, receipts=receipts)


def clean_up_task(object_number: int, unfinished: Unfinished) -> Task:
    """The only task of what an earlier run left of an object that is not wanted any more."""
    return Task(
        object_number, Step.ABORT, unfinished.entry, unfinished.target, unfinished.pinned
    )  # fmt: skip


def fresh_step(entry: Entry, direction: Direction, settings: TransferSettings) -> Step:
    """What an object begins with if nothing of it is there: WHOLE or START.

    Server-side copies move nothing through us, so only OSS's own limit cuts them into parts.
    """
    is_small = entry.kind is EntryKind.DIRECTORY or is_whole(entry.size, direction, settings)
    return Step.WHOLE if is_small else Step.START


def is_whole(size: int, direction: Direction, settings: TransferSettings) -> bool:
    """Whether a file of so many bytes travels in one request."""
    limit = COPY_WHOLE_BYTES if direction is Direction.COPY else settings.bigfile_threshold
    return size < limit or size == 0


def part_size_of(entry: Entry, direction: Direction, settings: TransferSettings) -> int:
    """Bytes of every part but the last: as asked for, larger where 10,000 would not suffice."""
    default = COPY_PART_BYTES if direction is Direction.COPY else 0
    return part_size_for(entry.size, settings.part_size or default)


def _version(entry: Entry) -> tuple[str, int, int]:
    return entry.etag, entry.size, entry.mtime_ns
