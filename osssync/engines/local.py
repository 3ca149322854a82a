"""All of one process: what is soon done on fibers, what keeps a thread busy on threads.

Small objects wait most of the time, and need company; a part moves bytes all the time, and would
keep fibers waiting.
"""

from collections.abc import Sequence
from queue import Empty, SimpleQueue

from osssync import fibers
from osssync.engines.fibers import Fibers
from osssync.engines.threads import Threads
from osssync.model import Outcome, Task
from osssync.transfer.worker import Worker

LOOK_AROUND_S = 0.5  # how soon the runner sees that it is to stop
FAREWELL_S = 0.2  # for all threads of an abandoned engine that can end to do so


class LocalEngine:
    """An engine over one worker of this process.

    Args:
        worker: does the tasks; safe to use from many threads.
        jobs: how many tasks run at once.
    """

    def __init__(self, worker: Worker, jobs: int) -> None:
        self._worker = worker
        self._jobs = jobs
        self._outcomes: SimpleQueue[Sequence[Outcome]] = SimpleQueue()
        self._threads = Threads(worker, jobs, self._outcomes)
        self._fibers = Fibers(worker, jobs, self._outcomes) if fibers.AVAILABLE else None
        self._outstanding = 0
        self._patience_s: float | None = None

    @property
    def capacity(self) -> int:
        """Running tasks and as many queued ones, so that no worker waits for the runner."""
        return 2 * self._jobs

    @property
    def outstanding(self) -> int:
        """Tasks queued or running, and outcomes not fetched yet."""
        return self._outstanding

    @property
    def rotations(self) -> int:
        """Credential sets replaced so far."""
        return self._worker.rotations

    def submit(self, batch: Sequence[Task]) -> None:
        """Queue tasks; workers start as they are needed, so a small job starts few."""
        self._outstanding += len(batch)
        if self._fibers is None:
            self._threads.submit(batch)
            return
        brief = [task for task in batch if self._worker.is_brief(task)]
        if brief:
            self._fibers.submit(brief)
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
            if self._fibers is not None and self._fibers.broken is not None:
                raise self._fibers.broken from None
            self._outstanding -= len(outcomes)
            return outcomes

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
        if self._fibers is not None:
            self._fibers.close(self._patience_s)
        self._worker.close()
