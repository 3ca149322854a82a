"""Two sorted listings side by side, and what to do about each source entry. Pure.

``decide`` by what stands at the destination (``--size-only`` is SIZE, and so on; see Compare):

=========  ===========================================================================
nothing    transfer
ALWAYS     transfer
EXISTS     skip
SIZE       transfer if the sizes differ
UPDATE     transfer if the sizes differ or the source is newer
TIME       transfer if the sizes differ, or by the direction:
  download   not the same second (a download sets the file's time to LastModified)
  upload     the file is newer than LastModified, the second in which OSS wrote the object
  copy       the source is not older: what was written since, in the same second too
=========  ===========================================================================

Before that: an UNUSABLE source is refused, and so is a source that is a file where the
destination has a directory, or the reverse. A directory has nothing to compare; it is skipped
where it exists. A destination that is a LINK or UNUSABLE (a device) is replaced by a transfer.
A LINK as the source is skipped: it was asked not to be followed.
"""

from collections.abc import Iterable, Iterator

from osssync.config import Compare
from osssync.errors import OsssyncError
from osssync.keys import display
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind
from osssync.ranges import MAX_OBJECT_BYTES

_SECOND_NS = 1_000_000_000


def merge_join(
    source: Iterable[Entry], destination: Iterable[Entry]
) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Pair the entries of two listings by key, in key order; None where a side has no such key.

    Both are read once and lazily, one entry ahead.

    Raises:
        OsssyncError: a listing is out of order or repeats a key. Pairs found so far are right.
    """
    left, right = _ordered(source, "source"), _ordered(destination, "destination")
    here, there = next(left, None), next(right, None)
    while here is not None and there is not None:
        if here.key == there.key:
            yield here, there
            here, there = next(left, None), next(right, None)
        elif here.key < there.key:
            yield here, None
            here = next(left, None)
        else:
            yield None, there
            there = next(right, None)
    while here is not None:
        yield here, None
        here = next(left, None)
    while there is not None:
        yield None, there
        there = next(right, None)


_REPLACEABLE = frozenset({EntryKind.LINK, EntryKind.UNUSABLE})


def decide(
    source: Entry, destination: Entry | None, compare: Compare, direction: Direction
) -> Action:
    """What to do about one source entry, given what stands under its key at the destination."""
    if source.kind is EntryKind.LINK:
        return Action(ActionKind.SKIP, source, source.note)
    refusal = _refusal(source, destination, direction)
    if refusal:
        return Action(ActionKind.REFUSE, source, refusal)
    if destination is None:
        return Action(ActionKind.TRANSFER, source, "new")
    if source.kind is EntryKind.DIRECTORY or compare is Compare.EXISTS:
        return Action(ActionKind.SKIP, source, "exists")
    difference = _difference(source, destination, compare, direction)
    if difference:
        return Action(ActionKind.TRANSFER, source, difference)
    return Action(ActionKind.SKIP, source, "unchanged")


def _ordered(entries: Iterable[Entry], side: str) -> Iterator[Entry]:
    last: str | None = None
    for entry in entries:
        key = entry.key
        if last is not None and key <= last:
            fault = "repeats" if key == last else f"is out of order after '{display(last)}' at"
            raise OsssyncError(
                f"{side} listing {fault} '{display(key)}'; nothing is decided on such a listing: "
                "run again, and report it if it happens twice"
            )
        last = key
        yield entry


def _refusal(source: Entry, destination: Entry | None, direction: Direction) -> str:
    """Why the source must not be transferred, or nothing."""
    if source.kind is EntryKind.UNUSABLE:
        return source.note or "cannot be transferred"
    if direction is Direction.UPLOAD and source.size > MAX_OBJECT_BYTES:
        return f"{source.size} B are more than an OSS object holds"
    if destination is None or destination.kind in _REPLACEABLE:
        return ""
    if source.kind is not destination.kind:
        return f"a {source.kind.value} here, a {destination.kind.value} there"
    return ""


def _difference(source: Entry, destination: Entry, compare: Compare, direction: Direction) -> str:
    """What makes the two differ, in words, or nothing."""
    if compare is Compare.ALWAYS:
        return "always"
    if destination.kind in _REPLACEABLE:
        return f"replaces what is there: {destination.note}"
    if source.size != destination.size:
        return f"size differs: {source.size} B here, {destination.size} B there"
    if compare is Compare.TIME:
        return _time_difference(source.mtime_ns, destination.mtime_ns, direction)
    newer = compare is Compare.UPDATE and source.mtime_ns > destination.mtime_ns
    return "newer here" if newer else ""


def _time_difference(source_ns: int, destination_ns: int, direction: Direction) -> str:
    match direction:
        case Direction.DOWNLOAD:
            same = source_ns // _SECOND_NS == destination_ns // _SECOND_NS
            return "" if same else "time differs"
        case Direction.UPLOAD:
            return "newer here" if source_ns > destination_ns else ""
        case Direction.COPY:
            return "written since the copy" if source_ns >= destination_ns else ""
