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
    left, right = iter(source), iter(destination)
    here, there = next(left, None), next(right, None)
    last = ""  # the pairs are in order exactly if both listings are, so one look does for both
    while here is not None or there is not None:
        key = here.key if here is not None else None
        other = there.key if there is not None else None
        if key == other:
            pair = here, there
        elif other is None or (key is not None and key < other):
            pair = here, None
        else:
            pair, key = (None, there), other
        if key is None or key <= last:
            raise _out_of_order(pair, last)
        last = key
        yield pair
        if pair[0] is not None:
            here = next(left, None)
        if pair[1] is not None:
            there = next(right, None)


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
        return Action(ActionKind.TRANSFER, source, "new")
    if source.kind is _DIRECTORY or compare is _EXISTS:
        return Action(_SKIP, source, "exists")
    difference = _difference(source, destination, compare, direction)
    if difference:
        return Action(ActionKind.TRANSFER, source, difference)
    return Action(_SKIP, source, "unchanged")


def _out_of_order(pair: tuple[Entry | None, Entry | None], last: str) -> OsssyncError:
    side = "destination" if pair[0] is None else "source"
    key = max(entry.key for entry in pair if entry is not None)
    fault = "repeats" if key == last else f"is out of order after '{display(last)}' at"
    return OsssyncError(
        f"{side} listing {fault} '{display(key)}'; nothing is decided on such a listing: "
        "run again, and report it if it happens twice"
    )


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
    if compare is _TIME:
        return _time_difference(source.mtime_ns, destination.mtime_ns, direction)
    newer = compare is _UPDATE and source.mtime_ns > destination.mtime_ns
    return "newer here" if newer else ""


def _time_difference(source_ns: int, destination_ns: int, direction: Direction) -> str:
    if direction is _DOWNLOAD:
        same = source_ns // _SECOND_NS == destination_ns // _SECOND_NS
        return "" if same else "time differs"
    if direction is _UPLOAD:
        return "newer here" if source_ns > destination_ns else ""
    return "written since the copy" if source_ns >= destination_ns else ""
