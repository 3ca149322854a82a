"""Fibers on one thread: for small objects, many at once. ``osssync.fibers`` says why.

submit ─▶ deque ─▶ a fiber: worker.run ─▶ done … all that could go on have ─▶ deliver
              ▲                            └─ let the others come as far ─┐
              └───────────────────────────────────────────────────────────┘

So all answers that have come are written to their files, and then all next requests go out. Each
fiber doing both in turn costs up to half as much again: what a processor has at hand for the one,
code and data, it loses over the other, ours and the system's.
"""

from collections import deque
from collections.abc import Callable, Sequence

from osssync.fibers import Loop
from osssync.model import Outcome, Task
from osssync.transfer.worker import Worker


class Fibers:
    """Up to ``wanted`` fibers over one worker, made when needed, on the thread that calls ``run``.

    ``wanted`` may be changed at any time; fibers that are too many end after their task.

    Args:
        worker: does the tasks, which must not keep the thread.
        wanted: how many tasks are under way at once.
        deliver: takes what was done since it was last called, perhaps nothing, and says for how
            many seconds it need not be called; between two rounds of the loop.
    """

    def __init__(
        self, worker: Worker, wanted: int, deliver: Callable[[Sequence[Outcome]], float]
    ) -> None:
        self._worker = worker
        self.wanted = wanted
        self._deliver = deliver
        self._tasks: deque[Task] = deque()
        self._done: list[Outcome] = []  # in this round of the loop
        self._begun = 0
        self._is_closing = False
        self.loop = Loop(self._between)
        """Of the thread that will ``run``; others may only ``wake`` it."""

    def submit(self, batch: Sequence[Task]) -> None:
        """Queue tasks, from any thread; never blocks."""
        self._tasks.extend(batch)
        self.loop.wake()

    def end(self) -> None:
        """Begin nothing more, and let ``run`` return when what is under way has ended."""
        self._is_closing = True
        self._tasks.clear()
        self.loop.wake()

    def run(self) -> None:
        """Do what is submitted until ``end``; then give back what the loop holds."""
        self.loop.run(lambda: not self._is_closing)

    def _between(self) -> float:
        """Hand over what is done, and have enough fibers at work."""
        done, self._done = self._done, []
        pause_s = self._deliver(done)
        waiting = len(self._tasks)
        missing = min(waiting - self.loop.parked, self.wanted - self._begun)
        self.loop.unpark(self._begun if self._is_closing else waiting)
        for _ in range(missing):
            self._begun += 1
            self.loop.spawn(self._work)
        return pause_s

    def _work(self) -> None:
        while self._begun <= self.wanted:
            try:
                task = self._tasks.popleft()
            except IndexError:
                if self._is_closing:
                    return
                self.loop.park()
            else:
                outcome = self._worker.run(task)  # meanwhile another list may have begun
                self._done.append(outcome)
                self.loop.turn()
        self._begun -= 1
