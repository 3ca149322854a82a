"""How far the large objects of a job have come, by its journal: in earlier runs and in this one."""

from osssync.config import Job
from osssync.journal import Journal, job_key
from osssync.model import Outcome, Step, Unfinished
from osssync.planning.split import part_size_of


class Records:
    """Those of one job, for one run. Belongs to the thread of the runner."""

    def __init__(self, journal: Journal, job: Job) -> None:
        self._journal = journal
        self._job_key = job_key(job)
        self._direction = job.direction
        self._settings = job.options.transfer
        self._left = {one.target: one for one in journal.all_unfinished(self._job_key)}

    @property
    def are_kept(self) -> bool:
        """Whether the next run will find them."""
        return self._journal.records

    @property
    def has_left(self) -> bool:
        """Whether an earlier run left something that nobody has claimed."""
        return bool(self._left)

    def claim(self, target: str) -> Unfinished | None:
        """What an earlier run left of an object, once."""
        return self._left.pop(target, None) if self._left else None

    def claim_any(self) -> Unfinished:
        """What an earlier run left of some object, once.

        Raises:
            KeyError: nothing is left.
        """
        return self._left.popitem()[1]

    def now(self, target: str) -> Unfinished | None:
        """What is there of an object, this run's parts included."""
        return self._journal.unfinished(self._job_key, target)

    def add(self, outcome: Outcome) -> None:
        """A task of an object succeeded."""
        task = outcome.task
        if task.step in (Step.START, Step.RESUME) and outcome.pinned is not None:
            part_size = part_size_of(task.entry, self._direction, self._settings)
            self._journal.resumed(
                self._job_key,
                Unfinished(task.target, task.entry, outcome.pinned, part_size, outcome.receipts),
            )
        elif outcome.receipt is not None:
            self._journal.part_done(self._job_key, task.target, outcome.receipt)

    def end(self, target: str) -> None:
        """Nothing of it is left to go on with."""
        self._journal.finished(self._job_key, target)
