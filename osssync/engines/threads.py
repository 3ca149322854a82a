"""Threads of this process: one queue in, one queue out."""

import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from osssync.model import Outcome, Task
from osssync.transfer.worker import Worker

LOOK_AROUND_S = 0.5  # how soon the runner sees that it is to stop
FAREWELL_S = 0.2  # for all threads of an abandoned engine that can end to do so


class ThreadEngine:
    """An engine of ``threads`` threads over one shared worker.

    Args:
        worker: does the tasks; safe to use from many threads.
        threads: how many tasks run at once.
    """

    def __init__(self, worker: Worker, threads: int) -> None:
        self._worker = worker
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._wanted = threads
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._outstanding = 0
        self._abandoned = False

    @property
    def capacity(self) -> int:
        """Running tasks and as many queued ones, so that no thread waits for the runner."""
        return 2 * self._wanted

    @property
    def outstanding(self) -> int:
        """Tasks queued or running."""
        return self._outstanding

    @property
    def rotations(self) -> int:
        """Credential sets replaced so far."""
        return self._worker.rotations

    def submit(self, batch: Sequence[Task]) -> None:
        """Queue tasks; threads start as they are needed, so a small job starts few."""
        with self._lock:
            self._outstanding += len(batch)
        for task in batch:
            self._tasks.put(task)
        missing = min(self._wanted, len(self._threads) + len(batch)) - len(self._threads)
        for _ in range(missing):
            name = f"osssync-worker-{len(self._threads)}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait(self) -> Sequence[Outcome]:
        """Block for one outcome, then take what else is there."""
        outcomes: list[Outcome] = []
        try:
            outcomes.append(self._outcomes.get(timeout=LOOK_AROUND_S))
            while True:
                outcomes.append(self._outcomes.get_nowait())
        except Empty:
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
        self._abandoned = True

    def close(self) -> None:
        """End all threads, wait for them, and close the worker."""
        for _ in self._threads:
            self._tasks.put(None)
        patience_s = FAREWELL_S if self._abandoned else None
        for thread in self._threads:
            thread.join(patience_s)
            if thread.is_alive():
                patience_s = 0.0
        self._worker.close()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            outcome = self._worker.run(task)
            self._outcomes.put(outcome)
            with self._lock:
                self._outstanding -= 1
