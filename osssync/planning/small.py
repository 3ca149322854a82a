"""Objects of one request, and nothing else to be known of them: to be begun, and in flight.

expect ─▶ begin, many at once ─▶ in flight ─▶ take
begin_one ─────────────────┘
"""

from collections.abc import Iterable, Sequence

from osssync.columns import NO_ENTRIES, Columns
from osssync.model import Outcome, Step, Task


class Small:
    """Those of one run. Belongs to the thread of the runner."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}
        self._files = NO_ENTRIES
        self._at = 0  # of them, the next to be begun

    @property
    def in_flight(self) -> Iterable[Task]:
        """The tasks that have no outcome yet."""
        return self._tasks.values()

    @property
    def waits(self) -> bool:
        """Whether there is any to be begun."""
        return self._at < len(self._files)

    def expect(self, files: Columns) -> None:
        """These come next."""
        self._files, self._at = files, 0

    def begin(self, first: int, most: int) -> Sequence[Task]:
        """So many of what comes next are in flight from now on, called ``first`` and so on."""
        files = self._files[self._at : self._at + most]  # the rest stays: it may be a million
        self._at += len(files)
        tasks = [
            Task(number, Step.WHOLE, entry, entry.key) for number, entry in enumerate(files, first)
        ]
        self._tasks.update(zip(range(first, first + len(tasks)), tasks, strict=True))
        return tasks

    def begin_one(self, task: Task) -> Task:
        """This one, in flight from now on."""
        self._tasks[task.object_number] = task
        return task

    def has_arrived(self, outcome: Outcome) -> bool:
        """Whether it is of one of these, and says no more than that it arrived."""
        is_well = outcome.failure is None and outcome.restart is None
        return is_well and outcome.task.object_number in self._tasks

    def take(self, number: int) -> bool:
        """It is in flight no more; whether it was."""
        return self._tasks.pop(number, None) is not None
