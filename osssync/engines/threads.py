"""Threads: for tasks that keep one busy, such as the parts of large objects."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from osssync.model import Outcome, Task
from osssync.transfer.worker import Worker


class Threads:
    """Up to ``wanted`` threads over one shared worker; started as they are needed.

    ``wanted`` may be changed at any time; threads that are too many end after their task.

    Args:
        worker: does the tasks; safe to use from many threads.
        wanted: how many tasks run at once.
        deliver: takes what is done, in the thread that did it.
    """

    def __init__(
        self, worker: Worker, wanted: int, deliver: Callable[[Sequence[Outcome]], None]
    ) -> None:
        self._worker = worker
        self.wanted = wanted
        self._deliver = deliver
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []  # those that have ended, too
        self._at_work = 0
        self._lock = threading.Lock()  # guards the number at work
        self.broken: BaseException | None = None
        """Why tasks will not come back, if a thread has died."""

    def submit(self, batch: Sequence[Task]) -> None:
        """Queue tasks; never blocks."""
        for task in batch:
            self._tasks.put(task)
        missing = min(self.wanted, self._at_work + self._tasks.qsize()) - self._at_work
        for _ in range(missing):
            name = f"osssync-worker-{len(self._threads)}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            with self._lock:
                self._at_work += 1
            thread.start()
            self._threads.append(thread)

    def close(self, patience_s: float | None) -> None:
        """End all threads; wait for them, together no longer than ``patience_s`` seconds."""
        with suppress(Empty):
            while True:  # what is still queued is dropped
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)
        until_s = float("inf") if patience_s is None else time.monotonic() + patience_s
        for thread in self._threads:
            left_s = until_s - time.monotonic()
            thread.join(None if patience_s is None else max(left_s, 0.0))

    def _is_too_many(self) -> bool:
        with self._lock:
            if self._at_work > self.wanted:
                self._at_work -= 1
                return True
        return False

    def _serve(self) -> None:
        try:
            while not self._is_too_many() and (task := self._tasks.get()) is not None:
                self._deliver((self._worker.run(task),))
        except BaseException as error:  # a bug; whoever waits here must not wait for ever
            self.broken = error
            raise
