"""Brief tasks on one thread, many at once: a fiber for each, where there is anything to wait for.

    submit ─▶ deque ─▶ step: what has come is put in place, then the next requests go out ─▶ deliver
                        ├─ where a connection is idle: worker.ask … its reply ─▶ worker.take
                        └─ else, and where that is not all: a fiber, worker.run or worker.finish

Doing the one for all, then the other for all, costs half of doing both in turn for each: what a
processor has at hand for the one, code and data, it loses over the other, ours and the system's.
"""

from collections import deque
from collections.abc import Callable, Sequence

from osssync.fibers import Loop
from osssync.model import Outcome, Task
from osssync.oss.line import Heard, Line
from osssync.transfer.worker import Flight, Worker


class Fibers:
    """Up to ``wanted`` tasks at once over one worker, on the thread that calls ``run``.

    ``wanted`` may be changed at any time; what is too much ends before anything begins.

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
        self._under_way = 0
        self._flying = 0  # of those under way: without a fiber
        self._heard: list[tuple[Flight, bool]] = []  # of those; and whether it was in time
        self._idle: list[Line] = []
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
        self.loop.run(lambda: not self._is_closing, self._serve)

    def _between(self) -> float:
        """Hand over what is done, and have a step made if there is anything to do."""
        done, self._done = self._done, []
        pause_s = self._deliver(done)
        may_begin = self._tasks and self._under_way < self.wanted
        if self._heard or may_begin or (self._is_closing and not self._flying):
            self.loop.unpark(1)
        return pause_s

    def _serve(self) -> None:
        """All steps, in a fiber: what has to be waited for after all stops no other one."""
        while self._flying or not self._is_closing:
            heard, self._heard = self._heard, []
            for flight, in_time in heard:
                self._look(flight, in_time=in_time)
            while self._tasks and self._under_way < self.wanted:
                self._begin(self._tasks.popleft())
            self.loop.park()
        for line in self._idle:
            line.leave()

    def _begin(self, task: Task) -> None:
        self._under_way += 1
        line = self._idle.pop() if self._idle else self._worker.line()
        if line is not None:
            flight = self._worker.ask(task, line)
            if flight is not None:
                self._flying += 1
                self._listen(flight)
                return
            line.leave()
        self._spawn(lambda: self._worker.run(task))

    def _listen(self, flight: Flight) -> None:
        def heard(in_time: bool) -> None:  # noqa: FBT001 - as the loop tells it
            self._heard.append((flight, in_time))

        line = flight.asked.line
        self.loop.when_readable(line.fd, heard, line.timeout_s)

    def _look(self, flight: Flight, *, in_time: bool) -> None:
        line = flight.asked.line
        heard = line.hear(in_time=in_time)
        if heard is Heard.NOTHING:
            self._listen(flight)
            return
        self._flying -= 1
        outcome = self._worker.take(flight) if heard is Heard.WHOLE else None
        if outcome is None:
            self._spawn(lambda: self._worker.finish(flight))
            return
        if line.is_ready():
            self._idle.append(line)
        else:
            line.leave()
        self._end(outcome)

    def _spawn(self, do: Callable[[], Outcome]) -> None:
        self.loop.spawn(lambda: self._end(do()))

    def _end(self, outcome: Outcome) -> None:
        self._under_way -= 1
        self._done.append(outcome)
