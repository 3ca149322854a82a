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

_WRITTEN = frozenset({ActionKind.TRANSFER, ActionKind.SKIP})  # what stands there after the run


def decide_all(job: Job, trees: Trees, extras: Extras) -> Iterator[Action]:
    """Source entries in key order, each with its decision; never ends early without an error.

    What stands only at the destination is shown to ``extras``.

    Raises:
        OsssyncError: a listing could not be read to its end, or is out of order.
    """
    with Namesakes(trees.ignores_case) as namesakes:
        for entry, existing in merge_join(trees.source(), trees.destination()):
            extras.see(entry, existing)
            if entry is None:
                continue
            namesakes.see(entry.key)
            if entry.kind is EntryKind.DIRECTORY and job.direction is Direction.UPLOAD:
                continue  # a directory of this machine is no object; it only keeps a marker alive
            yield _alone(_decide(job, trees, entry, existing), namesakes)
        extras.end(namesakes)


def _decide(job: Job, trees: Trees, entry: Entry, existing: Entry | None) -> Action:
    excluded = job.options.filters.decide(entry)
    if excluded is not None:
        return Action(ActionKind.EXCLUDE, entry, excluded)
    try:
        trees.target_of(entry)
    except UnsafeKeyError as error:
        return Action(ActionKind.REFUSE, entry, str(error))
    return decide(entry, existing, job.options.compare, job.direction)


def _alone(action: Action, namesakes: Namesakes) -> Action:
    """The decision, or a refusal if another key has or gets the same file."""
    entry = action.entry
    if action.kind not in _WRITTEN or entry.kind is not EntryKind.FILE:
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
