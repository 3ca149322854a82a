"""Every decision of a job, in key order: the two listings merged, filtered and compared.

    listings ─▶ merge ─┬ pair ──▶ filter, compare, name ─▶ Action
                       ├ lone ──▶ name ──────────────────▶ New: many transfers in one
                       └ alike ──────────────────────────▶ Unchanged: many skips in one

Where each entry has to be looked at, because filters are set or the destination ignores case, all
is pairs.
"""

from collections.abc import Iterable, Iterator

from osssync.columns import Columns, Decision, New, Unchanged
from osssync.config import Job
from osssync.errors import UnsafeKeyError
from osssync.extras import Extras
from osssync.keys import are_plain, display
from osssync.local.namesakes import Namesakes
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind
from osssync.planning.diff import NEW, alike, decide, reason_to_skip
from osssync.planning.merge import Alike, Pair, merge_join
from osssync.planning.split import is_whole
from osssync.ranges import MAX_OBJECT_BYTES
from osssync.trees import Trees

# Every key may come by here, most of them to be skipped: see ``diff``, which has the same
# constants.
_FILE, _DIRECTORY = EntryKind.FILE, EntryKind.DIRECTORY
_SKIP, _TRANSFER = ActionKind.SKIP, ActionKind.TRANSFER
_WRITTEN = (_SKIP, _TRANSFER)  # what stands there after the run


def decide_all(job: Job, trees: Trees, extras: Extras) -> Iterator[Decision]:
    """Source entries in key order, each with its decision; never ends early without an error.

    What stands only at the destination is shown to ``extras``.

    Raises:
        OsssyncError: a listing could not be read to its end, or is out of order.
    """
    compare, direction = job.options.compare, job.direction

    def count_alike(source: Columns, destination: Columns) -> int:
        return alike(source, destination, compare, direction)

    counts = None if job.options.filters.leave_out else count_alike
    reason = reason_to_skip(compare)
    with Namesakes(trees.ignores_case) as namesakes:
        one_by_one = _OneByOne(job, trees, extras, namesakes)
        for found in merge_join(trees.source(), trees.destination(), counts):
            if isinstance(found, tuple):
                yield from one_by_one.decide((found,))
            elif namesakes.matter_for(found.source.keys[0]):
                yield from one_by_one.decide(found.pairs)
            elif isinstance(found, Alike):
                extras.see_run(found.source, found.destination)
                yield Unchanged(found.source, reason)
            elif direction is Direction.UPLOAD and max(found.source.sizes) > MAX_OBJECT_BYTES:
                yield from one_by_one.decide(found.pairs)
            else:
                extras.see_run(found.source, None)
                yield from one_by_one.arriving(found.source)
        extras.end(namesakes)


class _OneByOne:
    """What has to be known to decide about one pair of entries."""

    __slots__ = (
        "_direction", "_extras", "_keeps_plain_keys", "_namesakes", "_options", "_target_of",
    )  # fmt: skip

    def __init__(self, job: Job, trees: Trees, extras: Extras, namesakes: Namesakes) -> None:
        self._options = job.options
        self._direction = job.direction
        self._target_of = trees.target_of
        self._keeps_plain_keys = trees.keeps_plain_keys
        self._extras = extras
        self._namesakes = namesakes

    def decide(self, pairs: Iterable[Pair]) -> Iterator[Action]:
        """The actions about those of them that the source has."""
        for entry, existing in pairs:
            self._extras.see(entry, existing)
            if entry is None:
                continue
            self._namesakes.see(entry.key)
            if entry.kind is _DIRECTORY and self._direction is Direction.UPLOAD:
                continue  # a directory of this machine is no object; it only keeps a marker alive
            yield _alone(self._decide(entry, existing), self._namesakes)

    def _decide(self, entry: Entry, existing: Entry | None) -> Action:
        excluded = self._options.filters.decide(entry)
        if excluded is not None:
            return Action(ActionKind.EXCLUDE, entry, excluded)
        action = decide(entry, existing, self._options.compare, self._direction)
        if existing is not None and action.kind is _SKIP:
            return action  # what stands at the destination can be there
        if action.kind is _TRANSFER:
            return self.named(entry, action.reason)
        refusal = self.named(entry, "")
        return refusal if refusal.kind is ActionKind.REFUSE else action

    def arriving(self, files: Columns) -> Iterator[Decision]:
        """The decisions about files that only the source has: one, if nothing speaks against it."""
        if (
            self._keeps_plain_keys
            and is_whole(max(files.sizes), self._direction, self._options.transfer)
            and are_plain(files.keys)
        ):
            yield New(files, NEW)
            return
        for entry in files:
            yield self.named(entry, NEW)

    def named(self, entry: Entry, reason: str) -> Action:
        """Transfer it, unless its key can be no name there."""
        try:
            return Action(_TRANSFER, entry, reason, self._target_of(entry))
        except UnsafeKeyError as error:
            return Action(ActionKind.REFUSE, entry, str(error))


def _alone(action: Action, namesakes: Namesakes) -> Action:
    """The decision, or a refusal if another key has or gets the same file."""
    entry = action.entry
    if action.kind not in _WRITTEN or entry.kind is not _FILE:
        return action
    first = namesakes.take(entry.key)
    if not first:
        return action
    return Action(
        ActionKind.REFUSE,
        entry,
        f"the destination ignores case, and there it is the same file as '{display(first)}': "
        "rename or exclude one of the two, or choose a destination that tells them apart",
    )
