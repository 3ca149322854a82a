"""``Worker.run(task) → Outcome``: the one way any task is done, in any thread, process or node.

task ─▶ the direction's step ─▶ Outcome
             │ retryable error ─▶ repeat (connection.go_on: refresh, re-sign, wait)
             │ begin again ─────▶ Outcome with ``restart``: the entry as it is now
             └ any other error ─▶ Outcome with ``failure``: errors become data here

A small object's way may be gone in two strides, with nobody waiting between them:

task ─▶ ask ─▶ Flight … its reply ─▶ take, if all is as it should be ─▶ Outcome
                                └──▶ finish, whatever it is, as ``run`` would ─▶ Outcome
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing

from msgspec import Struct
from msgspec.structs import replace

from osssync.errors import (
    BeginAgainError,
    IntegrityError,
    InterruptedRunError,
    OsssyncError,
    SourceChangedError,
)
from osssync.fibers import wait_for
from osssync.model import Effort, Entry, Failure, Outcome, Step, Task
from osssync.oss.bucket import Line
from osssync.oss.connection import Connection
from osssync.throttle import Slot
from osssync.transfer.steps import ABORT_RETRIES, Asked, Steps

LISTINGS = 2
"""Of source and destination, which go on beside the tasks."""

_CONCLUDING = frozenset({Step.FINISH, Step.ABORT})  # what a run that is to end still does


class Flight(Struct, frozen=True):
    """A task whose request is out: where, and since when, by the clock of the pace."""

    asked: Asked
    began_s: float


class Worker:
    """Does tasks of one job; safe to use from many threads at once.

    Args:
        steps: how this job's direction does each step.
        look: reads the source's entry as it is now; None when it is gone.
        connection: whose credentials and clock are refreshed between repeats.
        retries: repeats of one step after its first attempt.
    """

    def __init__(
        self,
        steps: Steps,
        look: Callable[[Entry], Entry | None],
        connection: Connection,
        retries: int,
    ) -> None:
        self._steps = steps
        self._look = look
        self._connection = connection
        self._retries = retries
        self._stopping = threading.Event()

    @property
    def effort(self) -> Effort:
        """What it took so far, with all that the connection is used for."""
        pace = self._connection.pace
        fewest = pace.lowest if pace.throttled else 0
        return Effort(
            self._connection.provider.rotations, pace.throttled, fewest, time.process_time()
        )

    def is_brief(self, task: Task) -> bool:
        """Whether the task keeps no thread busy: it mostly waits for an answer."""
        return task.step is Step.WHOLE and self._steps.is_brief(task.entry)

    def brief_of(self, tasks: Sequence[Task]) -> list[Task]:
        """Those of them that are brief."""
        is_brief = self._steps.is_brief
        return [task for task in tasks if task.step is Step.WHOLE and is_brief(task.entry)]

    def widen(self, most: int) -> None:
        """Let so many requests be in flight, beside two listings."""
        self._connection.pace.widen(most + LISTINGS)

    def stop(self) -> None:
        """Give up waiting, now and later, and begin no more; FINISH and ABORT are still done."""
        self._stopping.set()
        self._connection.pace.stop()

    def flush(self) -> None:
        """Make durable what has been done so far.

        Raises:
            LocalFileError: the disk could not.
        """
        self._steps.flush()

    def close(self) -> None:
        """Give back what is held open; no task may follow."""
        self._steps.close()

    def line(self) -> Line | None:
        """An idle connection of this thread's loop, for ``ask``; None if there is none."""
        return self._steps.line()

    def ask(self, tasks: Sequence[Task], lines: Sequence[Line]) -> Sequence[Flight | None]:
        """Send what ``run`` would send first for brief tasks, each on its line; wait for nothing.

        None where that cannot be.
        """
        pace = self._connection.pace
        count, began_s = (0, 0.0) if self._stopping.is_set() else pace.try_enter(len(tasks))
        asked: list[Asked | None] = []
        try:
            asked += self._steps.ask(tasks[:count], lines[:count])
        except Exception:  # noqa: BLE001 - ``run`` meets it again, and tells
            asked.clear()
        asked += [None] * (len(tasks) - len(asked))
        unused = asked.count(None) - (len(tasks) - count)
        if unused:
            pace.leave(*[began_s] * unused, succeeded=False)
        return [None if one is None else Flight(one, began_s) for one in asked]

    def take(self, flights: Sequence[Flight]) -> Sequence[Outcome | None]:
        """Use replies that are here and as they should be; None of one that is not: ``finish``."""
        try:
            outcomes = self._steps.take([flight.asked for flight in flights])
        except Exception:  # noqa: BLE001 - ``finish`` meets it again, and tells
            return [None] * len(flights)
        landed = zip(flights, outcomes, strict=True)
        began_s = [flight.began_s for flight, outcome in landed if outcome is not None]
        self._connection.pace.leave(*began_s, succeeded=True)
        return outcomes

    def finish(self, flight: Flight) -> Outcome:
        """As ``run``, whose first request is out. Never raises."""
        asked, slot = flight.asked, Slot(self._connection.pace, flight.began_s)
        task = asked.task
        if asked.line.was_dead:
            with slot, closing(asked):
                pass
            return self.run(task)
        try:
            try:
                with slot, closing(asked):
                    return self._steps.whole(task, asked)
            except OsssyncError as error:
                return self._go_on(task, slot, error)
        except Exception as error:  # noqa: BLE001 - as in ``run``
            return Outcome(task, failure=_bug(error))

    def run(self, task: Task) -> Outcome:
        """Do one task. Never raises: what goes wrong is in the outcome."""
        slot = Slot(self._connection.pace)
        try:
            try:
                with slot:
                    return self._do(task)
            except OsssyncError as error:  # only now is there a need to know how to repeat
                return self._go_on(task, slot, error)
        except Exception as error:  # noqa: BLE001 - the one place: a bug must not end the run
            return Outcome(task, failure=_bug(error))

    def _go_on(self, task: Task, slot: Slot, failed: OsssyncError) -> Outcome:
        """After a first attempt that failed."""
        retry = self._connection.retry(self._retries, self._wait)
        if task.step is Step.ABORT:
            retry = self._connection.retry(ABORT_RETRIES)
        try:
            outcome = self._connection.go_on(retry, lambda: self._do(task), slot, failed)
        except BeginAgainError as error:
            return self._begin_again(task, error, retry.attempts - 1)
        except OsssyncError as error:
            return Outcome(task, failure=failure_of(error), retries=retry.attempts - 1)
        return replace(outcome, retries=retry.attempts - 1)

    def _wait(self, seconds: float) -> bool:
        return wait_for(self._stopping, seconds)

    def _do(self, task: Task) -> Outcome:
        if self._stopping.is_set() and task.step not in _CONCLUDING:  # it waited for its place
            raise InterruptedRunError(f"{task.entry.key}: not begun, because the run is ending")
        match task.step:
            case Step.WHOLE:
                return self._steps.whole(task)
            case Step.START:
                return self._steps.start(task)
            case Step.RESUME:
                return self._steps.resume(task)
            case Step.PART:
                return self._steps.part(task)
            case Step.FINISH:
                return self._finish(task)
            case Step.ABORT:
                return self._steps.abort(task)

    def _finish(self, task: Task) -> Outcome:
        try:
            return self._steps.finish(task)
        except IntegrityError as error:  # repeating the last step cannot mend the parts
            raise BeginAgainError(str(error)) from error

    def _begin_again(self, task: Task, error: BeginAgainError, retries: int) -> Outcome:
        try:
            retry = self._connection.retry(self._retries, self._wait)
            entry = self._connection.repeat(retry, lambda: self._look(task.entry))
        except OsssyncError as look_error:
            return Outcome(task, failure=failure_of(look_error), retries=retries)
        if entry is None:
            gone = SourceChangedError(f"{task.entry.key}: deleted while it was being transferred")
            return Outcome(task, failure=failure_of(gone), retries=retries)
        return Outcome(task, failure=failure_of(error), retries=retries, restart=entry)


def failure_of(error: OsssyncError) -> Failure:
    """The error as data."""
    return Failure(
        error=type(error).__name__,
        message=str(error),
        exit_code=error.exit_code,
        code=getattr(error, "code", ""),
        request_id=getattr(error, "request_id", ""),
    )


def _bug(error: Exception) -> Failure:
    # The type and place only: an unforeseen message could hold a secret.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown place"
    message = f"unexpected {type(error).__name__} at {place}: please report this bug"
    return Failure(error=type(error).__name__, message=message, exit_code=3)
