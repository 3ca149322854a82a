"""Several processes: what can be done anywhere goes to children, in batches; the rest stays here.

    submit ─┬─ the first LEAD objects; large ones, their parts too ─▶ local engine ────┐
            └─ all others ─▶ the child that has least ═ pipe ═▶ its fibers and threads ├─▶ wait
                                          outcomes ═ pipe ═▶ a thread that reads ──────┘

One interpreter does one thing at a time, however many cores there are. The parent decides and keeps
the books; children have their own connections, credentials and clocks. Brief tasks are given out at
once, those that keep a thread busy when a child has few bytes ahead, so that all end together. A
child that dies is told of and its tasks are done here: every one of them may be repeated.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce
from queue import Empty, SimpleQueue
from signal import Signals

from msgspec import Struct

from osssync.engines import messages
from osssync.engines.child import BATCH_BYTES, Child, Crew
from osssync.engines.local import FAREWELL_S, LOOK_AROUND_S, LocalEngine
from osssync.errors import LocalFileError
from osssync.model import Effort, Failure, Outcome, Step, Task, Width

LEAD = 256
"""Small objects that are done here before any child gets one: a small job needs none.

A larger one counts once for each ``LEAD_BYTES``: while both this process and children have some,
twice as many are under way as should be, and the climb takes that for what its level brings.
"""

LEAD_BYTES = 1 << 16
"""16 MiB of larger objects are as soon done as children are at work."""

AHEAD_BYTES = 24 << 20
"""Of tasks that keep a thread busy, what a child has for each thread: two objects at least."""

BATCH = 128
"""Tasks a child holds beyond those it can run, so that it is never without while we think."""

_PATIENCE_S = 10.0  # for a child to end in good order


_NO_ANSWER = Failure("LocalFileError", "it is gone", 3)


def lead_of(size: int, *, is_brief: bool) -> int:
    """As how many small objects one of ``size`` bytes counts, of the ``LEAD`` that stay here."""
    return 1 if is_brief else size // LEAD_BYTES


class _Gone(Struct, frozen=True):
    child: Child


class Processes:
    """An engine over children and a local engine. Used by one thread.

    Args:
        local: reads no outcomes: they go to ``outcomes``.
        outcomes: the queue of the local engine.
        crew: who else works.
        warn: hears what children have to say, from their threads.
    """

    def __init__(
        self,
        local: LocalEngine,
        outcomes: SimpleQueue[Sequence[Outcome] | _Gone],
        crew: Crew,
        warn: Callable[[str], None],
    ) -> None:
        self._local = local
        self._queue = outcomes
        self._crew = crew
        self._warn = warn
        self._children: list[Child] = []  # those alive and in use
        self._readers: dict[int, threading.Thread] = {}
        self._past = Effort()  # of children that are gone
        self._lead = 0  # small objects so far
        self._waiting: deque[Task] = deque()  # for a child to have few long ones left
        self._numbers = 0  # names of tasks, between us and the children
        self._outstanding = 0
        self._has_called = self._is_stopping = self._has_lost = False
        self._patience_s: float | None = None

    @property
    def capacity(self) -> int:
        """What runs and what waits, here and in all children."""
        width = self._crew.width
        each = 2 * max(width.brief, width.long) + BATCH
        return self._local.capacity + each * len(self._children)

    @property
    def outstanding(self) -> int:
        """Tasks queued or running, and outcomes not fetched yet."""
        return self._outstanding

    @property
    def effort(self) -> Effort:
        """Sets are replaced everywhere at about the same times; the rest is summed up."""
        return reduce(
            _sum, (child.effort for child in self._children), _sum(self._past, self._local.effort)
        )

    def widen(self, width: Width) -> None:
        """Run so many at once from now on, in all children together."""
        self._local.widen(width)
        share = self._crew.width = width.share(self._crew.count)
        for child in self._children:
            _tell(child, messages.WIDTH, share.brief, share.long)

    def submit(self, batch: Sequence[Task]) -> None:
        """Spread tasks; never blocks."""
        self._outstanding += len(batch)
        is_under_way = self._lead > LEAD and self._children and not self._is_stopping
        if is_under_way and len(self._local.brief_of(batch)) == len(batch):  # nearly always
            self._spread(batch)
            return
        here: list[Task] = []
        brief: list[Task] = []
        for task in batch:
            is_brief = self._local.is_brief(task)
            if not self._goes_out(task, is_brief=is_brief):
                here.append(task)
            elif is_brief:
                brief.append(task)
            else:
                self._waiting.append(task)
        if here:
            self._local.submit(here)
        if brief:
            self._spread(brief)
        self._give_long()

    def wait(self) -> Sequence[Outcome]:
        """Block for one outcome, then take what else is there."""
        outcomes: list[Outcome] = []
        try:
            self._add(self._queue.get(timeout=LOOK_AROUND_S), outcomes)
            while True:
                self._add(self._queue.get_nowait(), outcomes)
        except Empty:
            self._give_long()
            self._local.check()
            self._outstanding -= len(outcomes)
            return outcomes

    def stop(self) -> None:
        """Let all give up waiting between retries."""
        self._is_stopping = True
        self._give_long()
        self._local.stop()
        for child in self._children:
            _tell(child, messages.STOP)

    def flush(self) -> None:
        """Make durable what all have done so far.

        Raises:
            LocalFileError: a disk could not, or a child that wrote to it does not answer.
        """
        self._local.flush()
        for child in self._children:
            _tell(child, messages.FLUSH)
        failures = [child.flushed.get() for child in self._children]
        for failure in failures:
            if failure is not None and failure is not _NO_ANSWER:
                raise LocalFileError(failure.message)
        if self._has_lost or _NO_ANSWER in failures:
            os.sync()  # what the lost ones wrote, wherever it is

    def abandon(self) -> None:
        """Let ``close`` wait for nothing that does not end soon."""
        self._patience_s = FAREWELL_S
        self._local.abandon()

    def close(self) -> None:
        """End all children and the local engine."""
        self._is_stopping = True
        for child in self._children:
            _tell(child, messages.CLOSE)
        self._local.close()
        until_s = time.monotonic() + (self._patience_s or _PATIENCE_S)
        children, self._children = self._children, []  # from now on no end of one is a loss
        for child in children:
            self._readers[child.pid].join(max(until_s - time.monotonic(), 0.0))
            child.end()
            self._readers[child.pid].join()

    def _goes_out(self, task: Task, *, is_brief: bool) -> bool:
        if self._is_stopping:
            return False
        if task.step is Step.WHOLE:
            self._lead += lead_of(task.entry.size, is_brief=is_brief)
            if self._lead <= LEAD:
                return False
        elif task.step is not Step.PART or not self._crew.takes_parts:
            return False
        if not self._has_called:
            self._call()
        return bool(self._children)

    def _call(self) -> None:
        self._has_called = True
        self._children = list(self._crew.call())
        width = self._crew.width
        for child in self._children:
            _tell(child, messages.WIDTH, width.brief, width.long)
        for child in self._children:
            name = f"osssync-child-{child.pid}"
            thread = threading.Thread(target=self._read, args=(child,), name=name, daemon=True)
            self._readers[child.pid] = thread
            thread.start()

    def _spread(self, tasks: Sequence[Task]) -> None:
        """Brief ones, so that all children have as many; neighbours stay together."""
        loads = [len(child.tasks) for child in self._children]
        level = -(-(sum(loads) + len(tasks)) // len(loads))
        start = 0
        for child, load in zip(self._children, loads, strict=True):
            share = tasks[start : start + max(0, level - load)]
            start += len(share)
            self._give(child, share)

    def _give_long(self) -> None:
        """To children that may run dry, in batches; first to who has fewest bytes ahead."""
        if self._waiting and (self._is_stopping or not self._children):
            self._local.submit(tuple(self._waiting))
            self._waiting.clear()
        least = self._crew.width.long * AHEAD_BYTES
        most = least + self._crew.width.long * BATCH_BYTES
        hungry = [child for child in self._children if _bytes_ahead(child) < least]
        batches: dict[Child, list[Task]] = {child: [] for child in hungry}
        while self._waiting and hungry:
            child = min(hungry, key=_bytes_ahead)
            if _bytes_ahead(child) >= most:
                break
            task = self._waiting.popleft()
            child.bytes_given += _bytes_of(task)
            batches[child].append(task)
        for child, batch in batches.items():
            self._give(child, [task for task in batch if task.step is Step.WHOLE])
            self._give(child, [task for task in batch if task.step is not Step.WHOLE])

    def _give(self, child: Child, tasks: Sequence[Task]) -> None:
        """Tasks of one kind, whole files or parts, in one message."""
        if not tasks:
            return
        first = self._numbers + 1
        self._numbers += len(tasks)
        child.tasks.update(enumerate(tasks, first))
        if tasks[0].step is Step.WHOLE:
            _tell(child, messages.FILES, messages.pack_files(first, tasks))
        else:
            _tell(child, messages.PARTS, messages.pack_parts(first, tasks))

    def _read(self, child: Child) -> None:
        """All that a child says, until its end."""
        with suppress(EOFError, OSError):
            while True:
                kind, *content = messages.unpack(child.pipe.recv_bytes())
                if kind == messages.OUTCOMES:
                    child.effort = Effort(*content[0])
                    outcomes = messages.unpack_outcomes(content[1:], child.tasks)
                    if _bytes_ahead(child):  # else all are brief
                        child.bytes_done += sum(
                            _bytes_of(one.task)
                            for one in outcomes
                            if not self._local.is_brief(one.task)
                        )
                    self._queue.put(outcomes)
                elif kind == messages.FLUSHED:
                    child.flushed.put(messages.unpack_failure(content[0]))
                else:
                    self._warn(content[0])
        child.flushed.put(_NO_ANSWER)
        self._queue.put(_Gone(child))

    def _add(self, item: Sequence[Outcome] | _Gone, outcomes: list[Outcome]) -> None:
        if not isinstance(item, _Gone):
            outcomes += item
        elif item.child in self._children:
            self._lose(item.child)

    def _lose(self, child: Child) -> None:
        self._children.remove(child)
        self._has_lost = True
        self._past = _sum(self._past, child.effort)
        left = list(child.tasks.values())
        how = _how(child.end())
        self._warn(f"a worker process {how}; its {len(left)} tasks are done by this one")
        self._local.submit(left)


def _tell(child: Child, kind: str, *content: object) -> None:
    with suppress(OSError):  # it is gone; its reader will say so
        child.pipe.send_bytes(messages.pack(kind, *content))


def _bytes_of(task: Task) -> int:
    return len(task.byte_range) if task.step is Step.PART else task.entry.size


def _bytes_ahead(child: Child) -> int:
    return child.bytes_given - child.bytes_done


def _how(code: int) -> str:
    if code >= 0:
        return f"ended unexpectedly (exit code {code})"
    return f"was killed ({Signals(-code).name})"


def _sum(one: Effort, other: Effort) -> Effort:
    return Effort(
        max(one.rotations, other.rotations),
        one.throttled + other.throttled,
        one.fewest_jobs + other.fewest_jobs,
        one.cpu_s + other.cpu_s,
    )
