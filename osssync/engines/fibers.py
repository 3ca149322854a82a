"""Brief tasks on one thread, many at once: a fiber for each, where there is anything to wait for.

    submit ─▶ deque ─▶ step: what has come is put in place, then the next requests go out ─▶ deliver
                        ├─ where connections are idle: worker.ask … the replies ─▶ worker.take
                        └─ else, and where that is not all: a fiber, worker.run or worker.finish

Doing the one for all, then the other for all, costs half of doing both in turn for each: what a
processor has at hand for the one, code and data, it loses over the other, ours and the system's;
and what all of a step have in common (who signs, and when; the note for a killed run) is done once.
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
            if self._heard:
                heard, self._heard = self._heard, []
                self._land(heard)
            count = min(len(self._tasks), self.wanted - self._under_way)
            if count > 0:
                self._begin([self._tasks.popleft() for _ in range(count)])
            self.loop.park()
        for line in self._idle:
            line.leave()

    def _begin(self, tasks: Sequence[Task]) -> None:
        self._under_way += len(tasks)
        lines = self._lines(len(tasks))
        flights = self._worker.ask(tasks[: len(lines)], lines) if lines else []
        for line, task, flight in zip(lines, tasks, flights, strict=False):
            if flight is not None:
                self._flying += 1
                self._listen(flight)
            else:
                line.leave()
                self._run(task)
        for task in tasks[len(lines) :]:
            self._run(task)

    def _lines(self, most: int) -> Sequence[Line]:
        """Idle connections, as many as there are of those wanted."""
        lines = self._idle[-most:]
        del self._idle[-most:]
        while len(lines) < most and (line := self._worker.line()) is not None:
            lines.append(line)
        return lines

    def _run(self, task: Task) -> None:
        self._spawn(lambda: self._worker.run(task))

    def _listen(self, flight: Flight) -> None:
        def heard(in_time: bool) -> None:  # noqa: FBT001 - as the loop tells it
            self._heard.append((flight, in_time))

        line = flight.asked.line
        self.loop.when_readable(line.fd, heard, line.timeout_s)

    def _land(self, flights: Sequence[tuple[Flight, bool]]) -> None:
        whole: list[Flight] = []
        for flight, in_time in flights:
            heard = flight.asked.line.hear(in_time=in_time)
            if heard is Heard.WHOLE:
                whole.append(flight)
            elif heard is Heard.NOTHING:
                self._listen(flight)
            else:
                self._finish(flight)
        landed: list[Outcome] = []
        outcomes = self._worker.take(whole) if whole else []
        for flight, outcome in zip(whole, outcomes, strict=True):
            if outcome is None:
                self._finish(flight)
                continue
            landed.append(outcome)
            line = flight.asked.line
            if line.is_ready():
                self._idle.append(line)
            else:
                line.leave()
        self._flying -= len(landed)
        self._under_way -= len(landed)
        self._done += landed

    def _finish(self, flight: Flight) -> None:
        self._flying -= 1
        self._spawn(lambda: self._worker.finish(flight))

    def _spawn(self, do: Callable[[], Outcome]) -> None:
        self.loop.spawn(lambda: self._end(do()))

    def _end(self, outcome: Outcome) -> None:
        self._under_way -= 1
        self._done.append(outcome)
