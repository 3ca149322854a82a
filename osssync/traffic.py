"""Objects on their way: which are open, what is in flight, what becomes of each.

    actions ─┬▶ open an Assembly ─▶ its tasks ─▶ engine ─▶ outcomes ─▶ feed ─▶ its next tasks
             │      ▲ what an earlier run left (journal)        │        └▶ over: tally, monitor
             └▶ small: its only task ─▶ engine ─────────────────┴▶ over, unless its source changed

Large objects are written to the journal as they go, so that a run that is killed can be gone on
with. A run that ends early lets what is in flight come home, and keeps or puts away the rest; one
that somebody waits for to end leaves behind what does not come soon. A limit that is reached ends
a run only if something is left to do.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from osssync.columns import Decision, New, Unchanged, one_by_one
from osssync.config import Job
from osssync.engines.engine import Engine
from osssync.errors import DiskFullError, InterruptedRunError, OsssyncError
from osssync.journal import Journal
from osssync.limits import Budget, Prospects
from osssync.model import Action, ActionKind, Entry, Failure, Outcome, Step, Task
from osssync.planning.assembly import Assembly
from osssync.planning.diff import NEW
from osssync.planning.small import Small
from osssync.planning.split import clean_up_task, first_task, fresh_step, part_size_of
from osssync.planning.turns import Turns
from osssync.records import Records
from osssync.transfer.worker import failure_of
from osssync.watch import Watch

FATAL_ERRORS = frozenset({"CredentialsError", "CredentialsRefusedError", "DiskFullError"})
"""Failures that every other object would meet as well: going on would only repeat them."""

GRACE_S = 3.0
"""How long a run that was told to stop waits for what is in flight.

Service managers and people want to see an end within seconds; a request that hangs would keep
them for its whole timeout. A part that is lost so is transferred again by the next run.
"""

_LAST_STEPS = frozenset({Step.WHOLE, Step.FINISH, Step.ABORT})
"""Steps after which an object is over, unless it has to begin again."""

_TIDYING_STEPS = frozenset({Step.FINISH, Step.ABORT})
"""Steps that move no bytes: what has all its parts is finished whatever the limits say."""

_TRANSFER = ActionKind.TRANSFER

LOOK_EVERY = 64
"""How many entries that need no transfer are passed by between two looks at the clock."""

MAX_RESTARTS = 3
"""How often an object is begun again because its source changed under the transfer."""


class Traffic:
    """The objects of one run under way. Belongs to the thread of the runner.

    Args:
        job: whose settings hold.
        engine: does the tasks.
        journal: remembers how far large objects have come.
        watch: hears and records what happens, and says when to stop.
    """

    def __init__(self, job: Job, engine: Engine, journal: Journal, watch: Watch) -> None:
        self._engine = engine
        self._stop = watch.stop
        self._monitor = watch.monitor
        self._records = Records(journal, job)
        self._tally = watch.tally
        self._budget = Budget(job.options.limits)
        self._deletes_follow = job.options.deletes.wanted
        self._direction = job.direction
        self._settings = job.options.transfer
        self._open: dict[int, Assembly] = {}
        self._turns = Turns()
        self._small = Small()
        self._next_small: Task | None = None
        self._ending: set[int] = set()  # objects whose last step is in flight
        self._proven: dict[int, int] = {}  # bytes of open objects that an earlier run moved
        self._restarts: dict[int, int] = {}
        self._in_flight = 0
        self._objects = 0
        self._prospects = Prospects()
        self._is_decided = False  # whether no further action can come
        self._deadline_s = float("inf")  # when nothing in flight is waited for any more
        self.fatal: Failure | None = None
        """Why the run ended early, if it did."""

    def go(self, actions: Iterator[Decision], started_s: float) -> None:
        """Work until nothing is left, or nothing more makes sense."""
        self._started_s = started_s
        if self._records.has_left:  # perhaps of a new file
            actions = one_by_one(actions)
        while self._is_busy(actions):
            try:
                self._take(self._engine.wait())
            except KeyboardInterrupt:  # nobody set up signals for us: Python's own way
                if self.fatal is not None:
                    raise  # the second time: at once
                self._stop.set()
        self._give_up_lost()
        self._flush()

    def _is_busy(self, actions: Iterator[Decision]) -> bool:
        """Hand out what can be; whether there is anything to wait for."""
        self._look_around()
        self._fill(actions)
        if time.monotonic() >= self._deadline_s:
            return False
        # After an interrupt an outcome may be lost on its way, so the engine's word counts too.
        return self._in_flight > 0 and (self.fatal is None or self._has_outstanding())

    def _look_around(self) -> None:
        """End the run if somebody wants it to end, or its time is over."""
        if self._stop.is_set():
            self._end_early(_interrupted())
            self._hurry()
        if self._monitor.broken is not None:
            self._end_early(_interrupted("nobody listens any more"))
        overdue = self._overdue()
        if overdue is not None:
            self._hurry()
            if self._is_anything_left():
                self._end_early(overdue)

    def _overdue(self) -> Failure | None:
        error = self._budget.overdue(time.monotonic() - self._started_s)
        return None if error is None else failure_of(error)

    def _is_anything_left(self) -> bool:
        """Whether more is to be done than what is in flight now, as far as is known."""
        is_more = self._records.has_left or self._deletes_follow or not self._is_decided
        return is_more or not self._open.keys() <= self._ending

    def _hurry(self) -> None:
        self._deadline_s = min(self._deadline_s, time.monotonic() + GRACE_S)

    def _has_outstanding(self) -> bool:
        """Whether outcomes may still come; asked twice, since the last may come between."""
        if self._engine.outstanding:
            return True
        self._take(self._engine.wait())
        return self._engine.outstanding > 0

    def _give_up_lost(self) -> None:
        """Count what did not come home; the journal keeps what is known of it."""
        if self._open or any(self._small.in_flight):
            overdue = self._overdue()
            if overdue is not None:  # all was in flight, and some of it did not come
                self._end_early(overdue)
            self._engine.abandon()
        for first in (*self._small.in_flight, *(one.first for one in self._open.values())):
            if first.step is not Step.ABORT:
                outcome = Outcome(first, failure=self.fatal)
                self._tally.ended(outcome)
                self._monitor.ended(outcome)
        self._open.clear()

    def _flush(self) -> None:
        try:
            self._engine.flush()
        except OsssyncError as error:
            self.fatal = self.fatal or failure_of(error)

    def _fill(self, actions: Iterator[Decision]) -> None:
        """Submit until the engine holds all it wants: open objects first, then new ones."""
        batch: list[Task] = []
        capacity = self._engine.capacity
        parallel = self._settings.parallel or capacity
        while (room := capacity - self._in_flight - len(batch)) > 0:
            tasks = self._next_tasks(actions, parallel, room)
            if not tasks:
                break
            batch += tasks
        if batch:
            if self._open:
                self._ending.update(
                    task.object_number
                    for task in batch
                    if task.object_number in self._open and task.step in _LAST_STEPS
                )
            self._in_flight += len(batch)
            self._engine.submit(batch)

    def _next_tasks(self, actions: Iterator[Decision], parallel: int, most: int) -> Sequence[Task]:
        while True:
            while self._turns.waiting:
                assembly = self._turns.first
                task = assembly.ready(parallel)
                if task is None:
                    self._turns.drop()
                elif task.step in _TIDYING_STEPS or not self._ends_as_spent():
                    self._turns.pass_on()
                    return (task,)
                else:  # given back: it will not be done
                    assembly.feed(Outcome(task, failure=self._put_away()))
                    self._go_on(assembly)
            if tasks := self._begin_new(most):
                return tasks
            if self.fatal is not None or not (self._open_next(actions) or self._open_left()):
                return ()
            if (small := self._next_small) is not None:
                self._next_small = None
                return (self._small.begin_one(small),)

    def _begin_new(self, most: int) -> Sequence[Task]:
        """Begin so many new files at once; none if nothing more is to be begun."""
        if not self._small.waits or self.fatal is not None or self._ends_as_spent():
            return ()
        tasks = self._small.begin(self._objects + 1, most)
        self._objects += len(tasks)
        self._tally.found(len(tasks))
        if self._monitor.hears_transfers:
            for task in tasks:
                self._monitor.decided(Action(_TRANSFER, task.entry, NEW, task.target))
        return tasks

    def _open_next(self, actions: Iterator[Decision]) -> bool:
        """Take decisions up to the next transfer, and begin it; whether there was one."""
        passed = 0
        try:
            for action in actions:
                if isinstance(action, New):
                    self._small.expect(action.files)
                    return True
                if isinstance(action, Action) and action.kind is _TRANSFER:
                    if self._ends_as_spent():
                        return False
                    self._hear(action)
                    self._objects += 1
                    self._begin(self._objects, action.entry, action.target)
                    return True
                passed += self._pass_by(action)
                if passed >= LOOK_EVERY or self._stop.is_set():
                    passed = 0
                    self._look_around()  # there may be millions that need no transfer
                    if self.fatal is not None:
                        return False
            self._is_decided = True
        except OsssyncError as error:  # a listing that broke off
            self._end_early(_interrupted() if self._stop.is_set() else failure_of(error))
        return False

    def _pass_by(self, decision: Action | Unchanged) -> int:
        """Hear of entries that need no transfer; how many."""
        if isinstance(decision, Unchanged):
            self._tally.unchanged(len(decision))
            self._monitor.deliver()
            return len(decision)
        self._hear(decision)
        return 1

    def _hear(self, action: Action) -> None:
        self._tally.decided(action)
        self._monitor.decided(action)
        if action.kind is ActionKind.REFUSE:
            self._budget.failed()

    def _ends_as_spent(self) -> bool:
        """End the run if what comes next would go beyond a limit; whether it would."""
        spent = self._budget.spent()
        if spent is not None:
            self._end_early(failure_of(spent))
        return spent is not None

    def _open_left(self) -> bool:
        """When all is decided: put away what an earlier run left of objects not wanted any more."""
        if self.fatal is not None or not self._records.has_left:
            return False
        unfinished = self._records.claim_any()
        self._objects += 1
        self._add(Assembly(clean_up_task(self._objects, unfinished), unfinished.part_size))
        return True

    def _begin(self, number: int, entry: Entry, target: str) -> None:
        direction, settings = self._direction, self._settings
        fresh = fresh_step(entry, direction, settings)
        left = self._records.claim(target)
        is_restart = number in self._restarts
        if fresh is Step.WHOLE and left is None and not is_restart:  # by far the most
            self._next_small = Task(number, fresh, entry, target)
            return
        if is_restart:  # what could not be put away is put away now
            left = self._records.now(target)
        task = first_task(number, entry, target, direction, settings, left)
        self._add(Assembly(task, part_size_of(entry, direction, settings), fresh))

    def _add(self, assembly: Assembly) -> None:
        self._open[assembly.object_number] = assembly
        self._turns.add(assembly)

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        moved_bytes = sum([one.moved_bytes for one in outcomes if one.failure is None])
        if moved_bytes:
            self._budget.moved(moved_bytes)
            self._monitor.moved(moved_bytes)
        self._in_flight -= len(outcomes)
        for is_well, group in groupby(outcomes, self._small.has_arrived):
            if is_well:
                self._arrive(list(group))
            else:
                for outcome in group:
                    self._take_one(outcome)

    def _arrive(self, outcomes: Sequence[Outcome]) -> None:
        """Small objects did; nearly always all."""
        for outcome in outcomes:
            self._small.take(outcome.task.object_number)
        self._tally.arrived(outcomes)
        self._monitor.arrived(outcomes)
        self._prospects.arrived()

    def _take_one(self, outcome: Outcome) -> None:
        number = outcome.task.object_number
        if self._small.take(number):
            self._end_if_fatal(outcome)
            self._settle(number, outcome)
        else:
            self._feed(self._open[number], outcome)

    def _feed(self, assembly: Assembly, outcome: Outcome) -> None:
        """An object of several tasks has come further."""
        assembly.feed(outcome)
        if outcome.failure is None:
            self._count_proven(outcome)
            self._records.add(outcome)
        self._end_if_fatal(outcome)  # it knows of its own failure by now
        self._go_on(assembly)

    def _end_if_fatal(self, outcome: Outcome) -> None:
        """End the run early if every other object would meet this failure as well."""
        if outcome.failure is not None and outcome.failure.error in FATAL_ERRORS:
            self._end_early(outcome.failure)

    def _count_proven(self, outcome: Outcome) -> None:
        """What an earlier run moved is in its place as well, and whoever watches expects it."""
        proven = sum(len(receipt.byte_range) for receipt in outcome.receipts)
        if proven:
            self._proven[outcome.task.object_number] = proven
            self._monitor.moved(proven)

    def _go_on(self, assembly: Assembly) -> None:
        if assembly.outcome is None:
            self._turns.add(assembly)
        elif self._open.pop(assembly.object_number, None) is not None:
            first = assembly.first
            self._ending.discard(assembly.object_number)
            if first.step is not Step.WHOLE and not assembly.left_behind:
                self._records.end(first.target)
            if first.step is not Step.ABORT:  # what an earlier run left is in no sum of this one
                self._settle(assembly.object_number, assembly.outcome)

    def _settle(self, number: int, outcome: Outcome) -> None:
        """An object is over: begin it again if its source changed, else count it."""
        restarts, proven = self._restarts.pop(number, 0), self._proven.pop(number, 0)
        if outcome.restart is not None and restarts < MAX_RESTARTS and self.fatal is None:
            self._restarts[number] = restarts + 1
            self._monitor.moved(-outcome.moved_bytes - proven)
            self._begin(number, outcome.restart, outcome.task.target)
            return
        self._tally.ended(outcome)
        self._monitor.ended(outcome)
        if outcome.failure is None:
            self._prospects.arrived()
        else:
            self._weigh(outcome.failure)

    def _weigh(self, failure: Failure) -> None:
        """End the run early if what happens to one object happens to all."""
        self._budget.failed()
        in_a_row = self._prospects.failed(failure.error, self._engine.capacity)
        if in_a_row:
            message = f"{in_a_row} objects in a row failed, the last one so: "
            self._end_early(replace(failure, message=message + failure.message))

    def _end_early(self, reason: Failure) -> None:
        """Open nothing more; what is in flight comes home, what is unfinished is put away."""
        if self.fatal is not None:
            return
        self.fatal = reason
        self._engine.stop()
        put_away = self._put_away()
        keep = self._records.are_kept and reason.error != DiskFullError.__name__
        for assembly in list(self._open.values()):
            assembly.stop(put_away, keep=keep)
            self._go_on(assembly)

    def _put_away(self) -> Failure:
        """Why an object was not finished that nothing is wrong with."""
        return replace(self.fatal or _interrupted(), message="not finished, as the run ended early")


def _interrupted(why: str = "interrupted") -> Failure:
    return failure_of(InterruptedRunError(f"{why}; run again to go on"))
