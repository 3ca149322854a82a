"""Fibers of one thread: for small objects, many at once. ``osssync.fibers`` says why.

submit ─▶ deque ─▶ a fiber: worker.run ─▶ done … all that could go on have ─▶ outcomes
"""

import threading
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue

from osssync.fibers import Loop
from osssync.model import Outcome, Task
from osssync.transfer.worker import Worker


class Fibers:
    """Up to ``wanted`` fibers on one thread, over one worker; both are made when needed.

    Args:
        worker: does the tasks, which must not keep the thread.
        wanted: how many tasks are under way at once.
        outcomes: where they end, in lists.
    """

    def __init__(
        self, worker: Worker, wanted: int, outcomes: SimpleQueue[Sequence[Outcome]]
    ) -> None:
        self._worker = worker
        self._wanted = wanted
        self._outcomes = outcomes
        self._tasks: deque[Task] = deque()
        self._done: list[Outcome] = []  # in this round of the loop
        self._loop: Loop | None = None
        self._thread: threading.Thread | None = None
        self._begun = 0
        self.broken: BaseException | None = None
        """Why nothing more will come, if the thread has died."""
        self._closing = False

    def submit(self, batch: Sequence[Task]) -> None:
        """Queue tasks; never blocks for long."""
        self._tasks.extend(batch)
        if self._thread is None:
            started = threading.Event()
            self._thread = threading.Thread(
                target=self._serve, args=(started,), name="osssync-fibers", daemon=True
            )
            self._thread.start()
            started.wait()
        elif self._loop is not None:
            self._loop.wake()

    def close(self, patience_s: float | None) -> None:
        """End all fibers and their thread; wait for it, no longer than ``patience_s`` seconds."""
        self._closing = True
        self._tasks.clear()
        thread, loop, self._loop = self._thread, self._loop, None
        if thread is None or loop is None:
            return
        loop.wake()
        thread.join(patience_s)
        if not thread.is_alive():
            loop.close()

    def _serve(self, started: threading.Event) -> None:
        try:
            loop = self._loop = Loop(lambda: self._between(loop))
            started.set()
            loop.run(lambda: not self._closing)
        except BaseException as error:  # a bug; whoever waits here must not wait for ever
            self.broken = error
            started.set()
            raise

    def _between(self, loop: Loop) -> None:
        """Hand over what is done, and have enough fibers at work."""
        if self._done:
            done, self._done = self._done, []
            self._outcomes.put(done)
        waiting = len(self._tasks)
        missing = min(waiting - loop.parked, self._wanted - self._begun)
        loop.unpark(self._wanted if self._closing else waiting)
        for _ in range(missing):
            self._begun += 1
            loop.spawn(lambda: self._work(loop))

    def _work(self, loop: Loop) -> None:
        while True:
            try:
                task = self._tasks.popleft()
            except IndexError:
                if self._closing:
                    return
                loop.park()
            else:
                outcome = self._worker.run(task)  # meanwhile another list may have begun
                self._done.append(outcome)
