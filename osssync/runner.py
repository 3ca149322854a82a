"""One job from beginning to end. START READING HERE.

    list source ─┐                            ┌─▶ worker ─▶ Outcome ─┐
                 ├─▶ merge ─▶ Action ─▶ Task ─┤   (engine, many)     ├─▶ assembly ─▶ next Task
    list dest.  ─┘      │                     └─▶ worker ─▶ Outcome ─┘       │
                        ▼ skip, exclude, refuse                              ▼ arrived or failed
                      tally ◀────────────────────────────────────────────  tally ─▶ RunReport

Both listings are sorted streams, so memory stays flat however many keys there are. This thread
decides and counts; workers move bytes. Data goes down once and outcomes come up once.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from osssync.config import Job
from osssync.engines.engine import Engine
from osssync.engines.threads import ThreadEngine
from osssync.errors import InterruptedRunError, OsssyncError, UnsafeKeyError
from osssync.model import Action, ActionKind, Entry, Failure, Outcome, Step, Task
from osssync.oss.connection import Connection
from osssync.planning.assembly import Assembly
from osssync.planning.diff import decide, merge_join
from osssync.planning.split import first_task, part_size_of
from osssync.progress import Monitor, ShieldedMonitor, SilentMonitor
from osssync.report import RunReport, Tally
from osssync.transfer.worker import Worker, failure_of
from osssync.trees import Trees, open_trees

FATAL_ERRORS = frozenset({"CredentialsError", "CredentialsRefusedError", "DiskFullError"})
"""Failures that every other object would meet as well: going on would only repeat them."""

FRUITLESS = 10
"""Objects failing in a row, each after all its repeats, that show that nothing can arrive."""

FRUITLESS_FILLS = 4
"""The same once something did arrive, as a multiple of what the engine holds.

Each of them has tried for half a minute, half of them at once: an outage of some minutes is
outlasted.
"""

UNFRUITFUL_ERRORS = frozenset({"NetworkError", "ServerFaultError", "ThrottledError"})

MAX_RESTARTS = 3
"""How often an object is begun again because its source changed under the transfer."""


def run(job: Job, monitor: Monitor | None = None, stop: threading.Event | None = None) -> RunReport:
    """Do a job. What goes wrong with single objects is in the report.

    Setting ``stop``, from another thread or a signal handler, ends it at the next part boundary:
    what is unfinished is put away, and the report says it was interrupted.

    Raises:
        UsageError: the job cannot be.
        CredentialsError: there is no identity to begin with.
        OsssyncError: a single source could not be found.
        Exception: what the monitor raised.
    """
    shielded, stop = ShieldedMonitor(monitor or SilentMonitor()), stop or threading.Event()
    _ = job.direction  # refuses what cannot be a job before anything is opened
    started_s = time.monotonic()
    with _connect(job, shielded) as connection:
        trees = open_trees(job, connection)
        actions = _decide_all(job, trees)
        if job.options.dry_run:
            return _rehearse(actions, shielded, started_s)
        worker = Worker(trees.open_steps(), trees.look, connection, job.options.transfer.retries)
        with closing(ThreadEngine(worker, job.options.transfer.jobs)) as engine:
            report = Run(job, trees, engine, shielded, stop).go(actions, started_s)
    if shielded.broken is not None:
        raise shielded.broken
    return report


def plan(job: Job) -> Iterator[Action]:
    """Every decision of a job in key order, nothing done.

    Raises:
        OsssyncError: a listing could not be read, or the job cannot be.
    """
    with _connect(job, SilentMonitor()) as connection:
        yield from _decide_all(job, open_trees(job, connection))


def _connect(job: Job, monitor: Monitor) -> Connection:
    options = job.options
    pool_size = options.transfer.jobs + 2  # two listings
    return Connection(options.credentials, options.oss, pool_size, monitor.warned)


def _decide_all(job: Job, trees: Trees) -> Iterator[Action]:
    """Source entries in key order, each with its decision; never ends early without an error."""
    options, direction = job.options, job.direction
    for entry, existing in merge_join(trees.source(), trees.destination()):
        if entry is None:
            continue  # only at the destination
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


def _rehearse(actions: Iterator[Action], monitor: ShieldedMonitor, started_s: float) -> RunReport:
    tally = Tally()
    for action in actions:
        tally.found()
        tally.decided(action)
        monitor.decided(action)
        if monitor.broken is not None:
            raise monitor.broken
        if action.kind is ActionKind.TRANSFER:
            entry = action.entry
            tally.ended(Outcome(Task(0, Step.WHOLE, entry, entry.key), moved_bytes=entry.size))
    elapsed_s = time.monotonic() - started_s
    return tally.report(elapsed_s=elapsed_s, rotations=0, fatal=None, is_dry_run=True)


class Run:
    """A job under way: which objects are open, what is in flight, what it has come to.

    Args:
        job: what to do.
        trees: names the target of an entry.
        engine: does the tasks.
        monitor: hears what happens.
        stop: set to end early.
    """

    def __init__(
        self,
        job: Job,
        trees: Trees,
        engine: Engine,
        monitor: ShieldedMonitor,
        stop: threading.Event,
    ) -> None:
        self._stop = stop
        self._trees = trees
        self._engine = engine
        self._monitor = monitor
        self._direction = job.direction
        self._settings = job.options.transfer
        self._tally = Tally()
        self._open: dict[int, Assembly] = {}
        self._hungry: deque[Assembly] = deque()  # may have a task to give
        self._restarts: dict[int, int] = {}
        self._in_flight = 0
        self._objects = 0
        self._arrived = 0
        self._fruitless = 0  # objects in a row that failed for want of an answer
        self._fatal: Failure | None = None

    def go(self, actions: Iterator[Action], started_s: float) -> RunReport:
        """Work until nothing is left, or nothing more makes sense."""
        while self._is_busy(actions):
            try:
                for outcome in self._engine.wait():
                    self._take(outcome)
            except KeyboardInterrupt:  # nobody set up signals for us: Python's own way
                if self._fatal is not None:
                    raise  # the second time: at once
                self._stop.set()
        self._give_up_lost()
        self._flush()
        return self._tally.report(
            elapsed_s=time.monotonic() - started_s,
            rotations=self._engine.rotations,
            fatal=self._fatal,
            is_dry_run=False,
        )

    def _is_busy(self, actions: Iterator[Action]) -> bool:
        """Hand out what can be; whether there is anything to wait for."""
        if self._stop.is_set():
            self._end_early(_interrupted())
        if self._monitor.broken is not None:
            self._end_early(_interrupted("nobody listens any more"))
        self._fill(actions)
        # After an interrupt an outcome may be lost on its way, so the engine's word counts too.
        return self._in_flight > 0 and (self._fatal is None or self._has_outstanding())

    def _has_outstanding(self) -> bool:
        """Whether outcomes may still come; asked twice, since the last may come between."""
        if self._engine.outstanding:
            return True
        for outcome in self._engine.wait():
            self._take(outcome)
        return self._engine.outstanding > 0

    def _give_up_lost(self) -> None:
        for assembly in list(self._open.values()):
            self._tally.ended(Outcome(assembly.first, failure=self._fatal))
        self._open.clear()

    def _flush(self) -> None:
        try:
            self._engine.flush()
        except OsssyncError as error:
            self._fatal = self._fatal or failure_of(error)

    def _fill(self, actions: Iterator[Action]) -> None:
        """Submit until the engine holds all it wants: open objects first, then new ones."""
        batch: list[Task] = []
        while self._in_flight + len(batch) < self._engine.capacity:
            task = self._next_task(actions)
            if task is None:
                break
            batch.append(task)
        if batch:
            self._in_flight += len(batch)
            self._engine.submit(batch)

    def _next_task(self, actions: Iterator[Action]) -> Task | None:
        parallel = self._settings.parallel or self._engine.capacity
        while True:
            while self._hungry:
                task = self._hungry[0].ready(parallel)
                if task is not None:
                    return task
                self._hungry.popleft()
            if self._fatal is not None or not self._open_next(actions):
                return None

    def _open_next(self, actions: Iterator[Action]) -> bool:
        """Take decisions up to the next transfer; whether there was one."""
        try:
            for action in actions:
                self._tally.found()
                self._tally.decided(action)
                self._monitor.decided(action)
                if action.kind is ActionKind.TRANSFER:
                    self._objects += 1
                    self._begin(self._objects, action.entry)
                    return True
        except OsssyncError as error:  # a listing that broke off
            self._end_early(_interrupted() if self._stop.is_set() else failure_of(error))
        return False

    def _begin(self, number: int, entry: Entry) -> None:
        target = self._trees.target_of(entry)
        task = first_task(number, entry, target, self._direction, self._settings)
        assembly = Assembly(task, part_size_of(entry, self._direction, self._settings))
        self._open[number] = assembly
        self._hungry.append(assembly)

    def _take(self, outcome: Outcome) -> None:
        self._in_flight -= 1
        assembly = self._open[outcome.task.object_number]
        assembly.feed(outcome)
        if outcome.failure is None:
            self._monitor.moved(outcome.moved_bytes)
        elif outcome.failure.error in FATAL_ERRORS:
            self._end_early(outcome.failure)
        self._go_on(assembly)

    def _go_on(self, assembly: Assembly) -> None:
        if assembly.outcome is None:
            self._hungry.append(assembly)
        elif self._open.pop(assembly.object_number, None) is not None:
            self._settle(assembly.object_number, assembly.outcome)

    def _settle(self, number: int, outcome: Outcome) -> None:
        """An object is over: begin it again if its source changed, else count it."""
        restarts = self._restarts.pop(number, 0)
        if outcome.restart is not None and restarts < MAX_RESTARTS and self._fatal is None:
            self._restarts[number] = restarts + 1
            self._monitor.moved(-outcome.moved_bytes)
            self._begin(number, outcome.restart)
            return
        self._tally.ended(outcome)
        self._monitor.ended(outcome)
        self._weigh(outcome)

    def _weigh(self, outcome: Outcome) -> None:
        """End the run early if what happens to one object happens to all."""
        if outcome.failure is None:
            self._arrived += 1
            self._fruitless = 0
            return
        self._fruitless += outcome.failure.error in UNFRUITFUL_ERRORS
        limit = FRUITLESS_FILLS * self._engine.capacity if self._arrived else FRUITLESS
        if self._fruitless >= limit:
            message = f"{self._fruitless} objects in a row failed, the last one so: "
            self._end_early(replace(outcome.failure, message=message + outcome.failure.message))

    def _end_early(self, reason: Failure) -> None:
        """Open nothing more; what is in flight comes home, what is unfinished is put away."""
        if self._fatal is not None:
            return
        self._fatal = reason
        self._engine.stop()
        put_away = replace(reason, message="not finished, as the run ended early")
        for assembly in list(self._open.values()):
            assembly.stop(put_away)
            self._go_on(assembly)


def _interrupted(why: str = "interrupted") -> Failure:
    return failure_of(InterruptedRunError(f"{why}; run again to go on"))
