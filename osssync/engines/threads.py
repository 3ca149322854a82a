"""Threads of this process: one queue in, one queue out."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from osssync.model import Outcome, Task
from osssync.transfer.worker import Worker


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

    @property
    def capacity(self) -> int:
        """Running tasks and as many queued ones, so that no thread waits for the runner."""
        return 2 * self._wanted

    @property
    def rotations(self) -> int:
        """Credential sets replaced so far."""
        return self._worker.rotations

    def submit(self, batch: Sequence[Task]) -> None:
        """Queue tasks; threads start as they are needed, so a small job starts few."""
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
        # A bounded wait in a loop: a plain get() would keep Python from running signal handlers.
        first = _get(self._outcomes.get)
        outcomes = [first]
        while True:
            try:
                outcomes.append(self._outcomes.get_nowait())
            except Empty:
                return outcomes

    def stop(self) -> None:
        """Let workers give up waiting between retries."""
        self._worker.stop()

    def flush(self) -> None:
        """Make durable what has been done so far."""
        self._worker.flush()

    def close(self) -> None:
        """End all threads, wait for them, and close the worker."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        self._worker.close()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._outcomes.put(self._worker.run(task))


def _get(get: Callable[..., Outcome]) -> Outcome:
    while True:
        try:
            return get(timeout=0.5)
        except Empty:
            continue
