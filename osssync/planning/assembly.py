"""One large object on its way: outcomes of its parts go in, its next tasks come out. No I/O.

    START ─ok─▶ PART 1…n (any order, several in flight) ─all ok─▶ FINISH ─ok─▶ done
      │              │ failed, or the source changed                 │ failed
      ▼              ▼ (parts in flight come home first)             ▼
    done          ABORT ───────────────▶ done, failed             ABORT ─▶ done, failed

What an earlier run left begins with RESUME instead: the parts it proves are not sent again, and if
it finds nothing usable (and has put that away), the object begins afresh. An object that is
stopped to be kept sends nothing more, its ABORT neither: the next run resumes it.

Small objects pass through as well: their WHOLE is first and last. So a caller feeds outcomes and
submits tasks without knowing which kind it has.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from osssync.model import ByteRange, Failure, Outcome, PartReceipt, Pinned, Step, Task
from osssync.ranges import cut


class Assembly:
    """The state of one object; belongs to the thread of the runner.

    Args:
        first: WHOLE, START or RESUME; or the ABORT of what an earlier run left.
        part_size: bytes of every part but the last.
        afresh: what follows a RESUME that found nothing usable: START, or WHOLE if it is small.
    """

    __slots__ = (
        "_afresh",
        "_failed",
        "_first",
        "_in_flight",
        "_kept",
        "_moved",
        "_next",
        "_part_size",
        "_parts",
        "_pinned",
        "_reason",
        "_receipts",
        "_retries",
        "_stopped",
        "left_behind",
        "outcome",
    )  # fmt: skip

    def __init__(self, first: Task, part_size: int, afresh: Step = Step.START) -> None:
        self._first = first
        self._afresh = afresh
        self._part_size = part_size
        self._next: Task | None = first  # a task of which there is only one at a time
        self._parts: Iterator[tuple[int, ByteRange]] = iter(())
        self._in_flight = 0
        self._receipts: dict[int, PartReceipt] = {}
        self._pinned: Pinned | None = None
        self._failed: Outcome | None = None  # the first failure, reported once all is put away
        self._reason: Failure | None = None  # why it was stopped from outside
        self._stopped = False
        self._kept = False
        self._moved = 0
        self._retries = 0
        self.outcome: Outcome | None = None
        """What became of the whole object; None while it is under way."""
        self.left_behind = first.step in (Step.RESUME, Step.ABORT)
        """Whether a part file or upload of it is there, to be resumed or put away some time."""

    @property
    def first(self) -> Task:
        """The task it began with."""
        return self._first

    @property
    def object_number(self) -> int:
        """The number its tasks carry."""
        return self._first.object_number

    def ready(self, parallel: int) -> Task | None:
        """The next task to submit, or None while there is nothing to do but wait.

        At most ``parallel`` tasks of one object are under way.
        """
        if self._in_flight >= parallel:
            return None
        task = self._next or self._next_part()
        if task is not None:
            self._next = None
            self._in_flight += 1
        return task

    def feed(self, outcome: Outcome) -> None:
        """Take the outcome of a task that ``ready`` gave."""
        self._in_flight -= 1
        self._moved += outcome.moved_bytes
        self._retries += outcome.retries
        step = outcome.task.step
        if step is Step.ABORT:
            self.left_behind = outcome.failure is not None
            self._end(_put_away(self._why(), outcome))
        elif outcome.failure is not None:
            self._fail(outcome)
        elif step in (Step.START, Step.RESUME):
            self._open(outcome)
        elif step is Step.PART:
            if outcome.receipt is not None:
                self._receipts[outcome.receipt.number] = outcome.receipt
        else:
            self.left_behind = False
            self._end(outcome)
        if self.outcome is None and self._in_flight == 0:
            self._turn()

    def stop(self, reason: Failure, *, keep: bool = False) -> None:
        """Begin nothing more for this object: put it away as failed.

        Args:
            reason: what it failed with, unless one of its own tasks fails or has failed.
            keep: leave what is there for the next run to resume, instead of putting it away.
        """
        self._reason = reason
        self._kept = keep
        self._stopped = True
        if self._in_flight == 0 and self.outcome is None:
            self._turn()

    def _open(self, outcome: Outcome) -> None:
        """START or RESUME succeeded: parts may follow, or another first task."""
        self._pinned = outcome.pinned
        self.left_behind = outcome.pinned is not None
        if outcome.pinned is None:
            self._next = self._task(self._afresh)
            return
        self._parts = self._cut()
        if outcome.receipts:
            proven = {receipt.number: receipt for receipt in outcome.receipts}
            for number, byte_range in self._cut():
                if number in proven and proven[number].byte_range == byte_range:
                    self._receipts[number] = proven[number]

    def _cut(self) -> Iterator[tuple[int, ByteRange]]:
        return enumerate(cut(self._first.entry.size, self._part_size), start=1)

    def _task(self, step: Step) -> Task:
        return replace(self._first, step=step, pinned=self._pinned, receipts=())

    def _next_part(self) -> Task | None:
        if self._pinned is None or self._stopped:
            return None
        for number, byte_range in self._parts:
            if number not in self._receipts:
                return replace(self._task(Step.PART), part_number=number, byte_range=byte_range)
        return None

    def _fail(self, outcome: Outcome) -> None:
        self._failed = self._failed or outcome
        self._stopped = True

    def _turn(self) -> None:
        """Nothing is in flight: go on to the next stage, if this one is over."""
        if self._stopped:
            if self._pinned is None or self._kept:
                self._end(self._why())
            else:
                self._next = self._task(Step.ABORT)
            return
        if self._pinned is None or self._next is not None:
            return
        part = self._next_part()
        if part is not None:
            self._next = part
            return
        receipts = tuple(self._receipts[number] for number in sorted(self._receipts))
        self._next = replace(self._task(Step.FINISH), receipts=receipts)

    def _why(self) -> Outcome:
        """How a stopped object ends: its own failure says more than the reason from outside."""
        return self._failed or Outcome(self._first, failure=self._reason)

    def _end(self, outcome: Outcome) -> None:
        self._next = None
        if outcome.task is self._first and outcome.moved_bytes == self._moved:
            self.outcome = outcome  # a small object's only one says it all
            return
        self.outcome = replace(
            outcome, task=self._first, moved_bytes=self._moved, retries=self._retries
        )


def _put_away(ended: Outcome, abort: Outcome) -> Outcome:
    """The end of an object whose ABORT is done; an ABORT that failed left something to clean up."""
    failure = ended.failure
    if failure is None or abort.failure is None:
        return replace(ended, failure=failure or abort.failure)
    message = f"{failure.message}; what was begun stays behind: {abort.failure.message}"
    return replace(ended, failure=replace(failure, message=message))
