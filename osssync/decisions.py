"""Every decision of a job, in key order: the two listings merged, filtered and compared."""

from collections.abc import Iterator

from osssync.config import Job
from osssync.errors import UnsafeKeyError
from osssync.extras import Extras
from osssync.model import Action, ActionKind, Direction, EntryKind
from osssync.planning.diff import decide, merge_join
from osssync.trees import Trees


def decide_all(job: Job, trees: Trees, extras: Extras) -> Iterator[Action]:
    """Source entries in key order, each with its decision; never ends early without an error.

    What stands only at the destination is shown to ``extras``.

    Raises:
        OsssyncError: a listing could not be read to its end, or is out of order.
    """
    options, direction = job.options, job.direction
    for entry, existing in merge_join(trees.source(), trees.destination()):
        extras.see(entry, existing)
        if entry is None or (entry.kind is EntryKind.DIRECTORY and direction is Direction.UPLOAD):
            continue  # a directory of this machine is no object; it only keeps a marker alive
        excluded = options.filters.decide(entry)
        if excluded is not None:
            yield Action(ActionKind.EXCLUDE, entry, excluded)
            continue
        try:
            trees.target_of(entry)
        except UnsafeKeyError as error:
            yield Action(ActionKind.REFUSE, entry, str(error))
            continue
        yield decide(entry, existing, options.compare, direction)
    extras.end()
