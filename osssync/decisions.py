"""Every decision of a job, in key order: the two listings merged, filtered and compared."""

from collections.abc import Iterator

from osssync.config import Job
from osssync.errors import UnsafeKeyError
from osssync.extras import Extras
from osssync.keys import display
from osssync.local.namesakes import Namesakes
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind
from osssync.planning.diff import decide, merge_join
from osssync.trees import Trees

# Every key comes by here, most of them to be skipped: see ``diff``, which has the same constants.
_FILE, _DIRECTORY, _SKIP = EntryKind.FILE, EntryKind.DIRECTORY, ActionKind.SKIP
_WRITTEN = (_SKIP, ActionKind.TRANSFER)  # what stands there after the run


def decide_all(job: Job, trees: Trees, extras: Extras) -> Iterator[Action]:
    """Source entries in key order, each with its decision; never ends early without an error.

    What stands only at the destination is shown to ``extras``.

    Raises:
        OsssyncError: a listing could not be read to its end, or is out of order.
    """
    direction = job.direction
    with Namesakes(trees.ignores_case) as namesakes:
        for entry, existing in merge_join(trees.source(), trees.destination()):
            extras.see(entry, existing)
            if entry is None:
                continue
            namesakes.see(entry.key)
            if entry.kind is _DIRECTORY and direction is Direction.UPLOAD:
                continue  # a directory of this machine is no object; it only keeps a marker alive
            yield _alone(_decide(job, trees, direction, (entry, existing)), namesakes)
        extras.end(namesakes)


def _decide(
    job: Job, trees: Trees, direction: Direction, pair: tuple[Entry, Entry | None]
) -> Action:
    (entry, existing), options = pair, job.options
    excluded = options.filters.decide(entry)
    if excluded is not None:
        return Action(ActionKind.EXCLUDE, entry, excluded)
    action = decide(entry, existing, options.compare, direction)
    if existing is not None and action.kind is _SKIP:
        return action  # what stands at the destination can be there
    try:
        trees.target_of(entry)
    except UnsafeKeyError as error:
        return Action(ActionKind.REFUSE, entry, str(error))
    return action


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
