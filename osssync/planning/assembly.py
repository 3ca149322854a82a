"""One large object on its way: outcomes of its parts go in, its next tasks come out. No I/O.

    START ─ok─▶ PART 1…n (any order, several in flight) ─all ok─▶ FINISH ─ok─▶ done
      │              │ failed, or the source changed                 │ failed
      ▼              ▼ (parts in flight come home first)             ▼
    done          ABORT ───────────────▶ done, failed             ABORT ─▶ done, failed

Small objects pass through as well: their WHOLE is first and last. So a caller feeds outcomes and
submits tasks without knowing which kind it has.
"""

from collections.abc import Iterator
from dataclasses import replace

from osssync.model import ByteRange, Failure, Outcome, PartReceipt, Pinned, Step, Task
from osssync.ranges import cut


class Assembly:
    """The state of one object; belongs to the thread of the runner.

    Args:
        first: WHOLE or START.
        part_size: bytes of every part but the last.
    """

    __slots__ = (
        "_failed",
        "_first",
        "_in_flight",
        "_moved",
        "_next",
        "_part_size",
        "_parts",
        "_pinned",
        "_receipts",
        "_retries",
        "_stopped",
        "outcome",
    )  # fmt: skip

    def __init__(self, first: Task, part_size: int) -> None:
        self._first = first
        self._part_size = part_size
        self._next: Task | None = first  # a task of which there is only one at a time
        self._parts: Iterator[tuple[int, ByteRange]] = iter(())
        self._in_flight = 0
        self._receipts: dict[int, PartReceipt] = {}
        self._pinned: Pinned | None = None
        self._failed: Outcome | None = None  # the first failure, reported once all is put away
        self._stopped = False
        self._moved = 0
        self._retries = 0
        self.outcome: Outcome | None = None
        """What became of the whole object; None while it is under way."""

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
            self._end(self._failed or outcome)
        elif outcome.failure is not None:
            self._fail(outcome)
        elif step is Step.START:
            self._pinned = outcome.pinned
            self._parts = enumerate(cut(self._first.entry.size, self._part_size), start=1)
        elif step is Step.PART:
            if outcome.receipt is not None:
                self._receipts[outcome.receipt.number] = outcome.receipt
        else:
            self._end(outcome)
        if self.outcome is None and self._in_flight == 0:
            self._turn()

    def stop(self, reason: Failure) -> None:
        """Begin nothing more for this object: put it away as failed with ``reason``."""
        self._failed = self._failed or Outcome(self._first, failure=reason)
        self._stopped = True
        if self._in_flight == 0 and self.outcome is None:
            self._turn()

    def _next_part(self) -> Task | None:
        if self._pinned is None or self._stopped:
            return None
        for number, byte_range in self._parts:
            return replace(
                self._first, step=Step.PART, pinned=self._pinned, part_number=number,
                byte_range=byte_range,
            )  # fmt: skip
        return None

    def _fail(self, outcome: Outcome) -> None:
        self._failed = self._failed or outcome
        self._stopped = True

    def _turn(self) -> None:
        """Nothing is in flight: go on to the next stage, if this one is over."""
        if self._stopped:
            if self._pinned is None:
                self._end(self._failed)
            else:
                self._next = replace(self._first, step=Step.ABORT, pinned=self._pinned)
            return
        if self._pinned is None or self._next is not None:
            return
        part = self._next_part()
        if part is not None:
            self._next = part
            return
        receipts = tuple(self._receipts[number] for number in sorted(self._receipts))
        self._next = replace(
            self._first, step=Step.FINISH, pinned=self._pinned, receipts=receipts
        )  # fmt: skip

    def _end(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        self.outcome = replace(
            outcome, task=self._first, moved_bytes=self._moved, retries=self._retries
        )
        self._next = None
