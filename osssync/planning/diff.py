"""What to do about a source entry, given what stands at the destination; one, or many. Pure.

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

from collections.abc import Callable, Iterable
from itertools import compress, repeat
from operator import ge, gt, lt, ne
from typing import TypeVar

from osssync.columns import Columns
from osssync.config import Compare
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind
from osssync.ranges import MAX_OBJECT_BYTES

T = TypeVar("T")

NEW = "new"
"""Why a file is transferred that is not there, in words for the user."""

_SECOND_NS = 1_000_000_000

# Every key comes by here, most of them to be skipped. The name of a member in its class is looked
# up anew each time, and a member in a set is hashed by code in Python: so neither is done.
_DIRECTORY, _LINK, _UNUSABLE = EntryKind.DIRECTORY, EntryKind.LINK, EntryKind.UNUSABLE
_REPLACEABLE = (_LINK, _UNUSABLE)
_SKIP = ActionKind.SKIP
_ALWAYS, _EXISTS, _TIME, _UPDATE = Compare.ALWAYS, Compare.EXISTS, Compare.TIME, Compare.UPDATE
_DOWNLOAD, _UPLOAD = Direction.DOWNLOAD, Direction.UPLOAD


def decide(
    source: Entry, destination: Entry | None, compare: Compare, direction: Direction
) -> Action:
    """What to do about one source entry, given what stands under its key at the destination."""
    if source.kind is _LINK:
        return Action(_SKIP, source, source.note)
    refusal = _refusal(source, destination, direction)
    if refusal:
        return Action(ActionKind.REFUSE, source, refusal)
    if destination is None:
        return Action(ActionKind.TRANSFER, source, NEW)
    if source.kind is _DIRECTORY or compare is _EXISTS:
        return Action(_SKIP, source, reason_to_skip(_EXISTS))
    difference = _difference(source, destination, compare, direction)
    if difference:
        return Action(ActionKind.TRANSFER, source, difference)
    return Action(_SKIP, source, reason_to_skip(compare))


def alike(source: Columns, destination: Columns, compare: Compare, direction: Direction) -> int:
    """How many files at the head of both have one key, and ``decide`` skips them.

    Args:
        source: plain files.
        destination: as many of them.
        compare: as for ``decide``.
        direction: likewise.
    """
    if compare is _ALWAYS:
        return 0
    count = _until(ne, source.keys, destination.keys, len(source))
    if direction is _UPLOAD:
        count = _until(lt, repeat(MAX_OBJECT_BYTES), source.sizes, count)
    if compare is _EXISTS:
        return count
    count = _until(ne, source.sizes, destination.sizes, count)
    is_outdated, _ = _rule_of_times(compare, direction)
    return _until(is_outdated, source.mtimes_ns, destination.mtimes_ns, count)


def reason_to_skip(compare: Compare) -> str:
    """Why a file is skipped that is there, in words for the user."""
    return "exists" if compare is _EXISTS else "unchanged"


def _until(is_so: Callable[[T, T], bool], here: Iterable[T], there: Iterable[T], count: int) -> int:
    """The first of so many places where it is so, or their number. Not a loop in Python."""
    return next(compress(range(count), map(is_so, here, there)), count)


def _refusal(source: Entry, destination: Entry | None, direction: Direction) -> str:
    """Why the source must not be transferred, or nothing."""
    if source.kind is _UNUSABLE:
        return source.note or "cannot be transferred"
    if source.size > MAX_OBJECT_BYTES and direction is _UPLOAD:
        return f"{source.size} B are more than an OSS object holds"
    if destination is None or destination.kind is source.kind:
        return ""
    if destination.kind not in _REPLACEABLE:
        return f"a {source.kind.value} here, a {destination.kind.value} there"
    return ""


def _difference(source: Entry, destination: Entry, compare: Compare, direction: Direction) -> str:
    """What makes the two differ, in words, or nothing."""
    if compare is _ALWAYS:
        return "always"
    if destination.kind in _REPLACEABLE:
        return f"replaces what is there: {destination.note}"
    if source.size != destination.size:
        return f"size differs: {source.size} B here, {destination.size} B there"
    is_outdated, words = _rule_of_times(compare, direction)
    return words if is_outdated(source.mtime_ns, destination.mtime_ns) else ""


def _rule_of_times(
    compare: Compare, direction: Direction
) -> tuple[Callable[[int, int], bool], str]:
    """Whether the source's time, given first, asks for a transfer; and what the user reads then.

    Asked of two files of one size, whose times are epoch nanoseconds.
    """
    if compare is _UPDATE:
        return gt, "newer here"
    if compare is not _TIME:
        return _never, ""
    if direction is _DOWNLOAD:
        return _in_other_seconds, "time differs"
    if direction is _UPLOAD:
        return gt, "newer here"
    return ge, "written since the copy"


def _in_other_seconds(source_ns: int, destination_ns: int) -> bool:
    return source_ns != destination_ns and source_ns // _SECOND_NS != destination_ns // _SECOND_NS


def _never(_source_ns: int, _destination_ns: int) -> bool:
    return False
