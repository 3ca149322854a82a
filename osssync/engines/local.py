"""All of one process: what is soon done on fibers, what keeps a thread busy on threads.

Small objects wait most of the time, and need company; a part moves bytes all the time, and would
keep fibers waiting.
"""

import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from osssync import fibers
from osssync.engines.fibers import Fibers
from osssync.engines.threads import Threads
from osssync.model import Effort, Outcome, Task, Width
from osssync.transfer.worker import Worker

LOOK_AROUND_S = 0.5  # how soon the runner sees that it is to stop
FAREWELL_S = 0.2  # for all threads of an abandoned engine that can end to do so


class LocalEngine:
    """An engine over one worker of this process.

    Args:
        worker: does the tasks; safe to use from many threads.
        width: how many tasks run at once.
        outcomes: where they end, for somebody else to read; None for a queue that ``wait`` reads.
    """

    def __init__(
        self, worker: Worker, width: Width, outcomes: SimpleQueue[Sequence[Outcome]] | None = None
    ) -> None:
        self._worker = worker
        self._width = width
        self._outcomes: SimpleQueue[Sequence[Outcome]] = outcomes or SimpleQueue()
        self._threads = Threads(worker, width.long, self._outcomes.put)
        self._fibers: Fibers | None = None
        self._fiber_thread: threading.Thread | None = None
        self._broken: BaseException | None = None
        self._outstanding = 0
        self._patience_s: float | None = None
        worker.widen(max(width.brief, width.long))

    @property
    def capacity(self) -> int:
        """Running tasks and as many queued ones, so that no worker waits for the runner."""
        return 2 * max(self._width.brief, self._width.long)

    @property
    def outstanding(self) -> int:
        """Tasks queued or running, and outcomes not fetched yet."""
        return self._outstanding

    @property
    def effort(self) -> Effort:
        """What it took so far."""
        return self._worker.effort

    def widen(self, width: Width) -> None:
        """Run so many at once from now on."""
        self._width = width
        self._worker.widen(max(width.brief, width.long))
        self._threads.wanted = width.long
        if self._fibers is not None:
            self._fibers.wanted = width.brief
            self._fibers.loop.wake()

    def is_brief(self, task: Task) -> bool:
        """Whether a fiber does the task, if there are fibers."""
        return self._worker.is_brief(task)

    def brief_of(self, tasks: Sequence[Task]) -> list[Task]:
        """Those of them that a fiber does."""
        return self._worker.brief_of(tasks)

    def submit(self, batch: Sequence[Task]) -> None:
        """Queue tasks; workers start as they are needed, so a small job starts few."""
        self._outstanding += len(batch)
        if not fibers.AVAILABLE:
            self._threads.submit(batch)
            return
        brief = self._worker.brief_of(batch)
        if brief:
            self._begin_fibers().submit(brief)
        if len(brief) < len(batch):
            self._threads.submit([task for task in batch if not self._worker.is_brief(task)])

    def wait(self) -> Sequence[Outcome]:
        """Block for one outcome, then take what else is there."""
        outcomes: list[Outcome] = []
        try:
            outcomes += self._outcomes.get(timeout=LOOK_AROUND_S)
            while True:
                outcomes += self._outcomes.get_nowait()
        except Empty:
            self.check()
            self._outstanding -= len(outcomes)
            return outcomes

    def check(self) -> None:
        """Raise what has broken a thread: a bug, what it had to do would never come."""
        broken = self._broken or self._threads.broken
        if broken is not None:
            raise broken

    def stop(self) -> None:
        """Let workers give up waiting between retries."""
        self._worker.stop()

    def flush(self) -> None:
        """Make durable what has been done so far."""
        self._worker.flush()

    def abandon(self) -> None:
        """Let ``close`` leave threads behind that wait for an answer; they end with the process.

        Whatever they still learn goes nowhere, and the closed worker lets them write nothing.
        """
        self._patience_s = FAREWELL_S

    def close(self) -> None:
        """End all threads and fibers, wait for them, and close the worker."""
        self._threads.close(self._patience_s)
        if self._fibers is not None and self._fiber_thread is not None:
            self._fibers.end()
            self._fiber_thread.join(self._patience_s)
            if not self._fiber_thread.is_alive():
                self._fibers.loop.close()
        self._worker.close()

    def _begin_fibers(self) -> Fibers:
        if self._fibers is None:
            made = self._fibers = Fibers(self._worker, self._width.brief, self._deliver)
            self._fiber_thread = threading.Thread(
                target=self._run, args=(made,), name="osssync-fibers", daemon=True
            )
            self._fiber_thread.start()
        return self._fibers

    def _run(self, crew: Fibers) -> None:
        try:
            crew.run()
        except BaseException as error:  # a bug; whoever waits must not wait for ever
            self._broken = error
            raise

    def _deliver(self, outcomes: Sequence[Outcome]) -> float:
        if outcomes:
            self._outcomes.put(outcomes)
        return LOOK_AROUND_S
