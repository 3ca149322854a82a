"""From a decision to the first task: one request for a small object, the START of a large one."""

from osssync.config import TransferSettings
from osssync.model import Direction, Entry, EntryKind, Step, Task
from osssync.ranges import part_size_for

COPY_WHOLE_BYTES = 1 << 30
"""CopyObject is documented for objects below 1 GB; larger ones go by UploadPartCopy.

Source: OSS API reference, CopyObject and UploadPartCopy (read 2026-11).
"""

COPY_PART_BYTES = 128 << 20
"""Server-side parts cost a request each and no memory here, so they are large."""


def first_task(
    object_number: int, entry: Entry, target: str, direction: Direction, settings: TransferSettings
) -> Task:
    """The task an object begins with.

    Server-side copies move nothing through us, so only OSS's own limit cuts them into parts.
    """
    limit = COPY_WHOLE_BYTES if direction is Direction.COPY else settings.bigfile_threshold
    small = entry.kind is EntryKind.DIRECTORY or entry.size < limit or entry.size == 0
    return Task(object_number, Step.WHOLE if small else Step.START, entry, target)


def part_size_of(entry: Entry, direction: Direction, settings: TransferSettings) -> int:
    """Bytes of every part but the last: as asked for, larger where 10,000 would not suffice."""
    default = COPY_PART_BYTES if direction is Direction.COPY else 0
    return part_size_for(entry.size, settings.part_size or default)
