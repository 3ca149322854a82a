"""An engine that finds out how wide it should be: ``--jobs auto``. ``osssync.climb`` says how."""

import time
from collections.abc import Callable, Sequence

from osssync import processors
from osssync.climb import Climb
from osssync.config import MOST_JOBS
from osssync.engines.engine import Engine
from osssync.model import Effort, Outcome, Task, Width

BRIEF = 32
"""Brief tasks at once for each one that keeps a thread: they wait, and cost no thread.

Half as many take a twentieth more CPU beside the server, and a fifth more time 1 ms away from it.
"""

MOST_LEVEL = 48
"""Objects of a megabyte thirty milliseconds away use so many threads on two processors; each
holds a megabyte."""

FAR_S = 0.005
"""An answer that takes longer comes from another machine: some requests may always wait for it."""


class Climbing:
    """Another engine, made wider while that moves more. Used by one thread.

    Args:
        engine: does the work; as wide as the climb's level says.
        climb: at its beginning.
        answers_s: how long the quickest answer took so far, a listing's perhaps.
    """

    def __init__(self, engine: Engine, climb: Climb, answers_s: Callable[[], float]) -> None:
        self._engine = engine
        self._climb = climb
        self._answers_s = answers_s
        self._has_begun = False
        self._level = climb.level

    @property
    def capacity(self) -> int:
        """Of the engine as it is now."""
        return self._engine.capacity

    @property
    def outstanding(self) -> int:
        """Of the engine."""
        return self._engine.outstanding

    @property
    def effort(self) -> Effort:
        """Of the engine."""
        return self._engine.effort

    def widen(self, width: Width) -> None:
        """Begin anew from there."""
        self._engine.widen(width)

    def submit(self, batch: Sequence[Task]) -> None:
        """Pass on; the first time the way to the service is known, and says where to begin."""
        if not self._has_begun:
            self._has_begun = True
            if FAR_S < self._answers_s() < float("inf"):
                self._climb.begin_far()
                self._level = self._climb.level
                self._engine.widen(width_of(self._level))
        self._engine.submit(batch)

    def wait(self) -> Sequence[Outcome]:
        """Pass on what has come, and learn from it."""
        outcomes = self._engine.wait()
        climb = self._climb
        climb.moved(len(outcomes), sum([outcome.moved_bytes for outcome in outcomes]))
        now_s = time.monotonic()
        if climb.is_due(now_s):
            effort = self._engine.effort
            level = climb.look(now_s, effort.cpu_s, effort.throttled, processors.idle_s())
            if level != self._level:
                self._level = level
                self._engine.widen(width_of(level))
        return outcomes

    def stop(self) -> None:
        """Pass on."""
        self._engine.stop()

    def flush(self) -> None:
        """Pass on."""
        self._engine.flush()

    def abandon(self) -> None:
        """Pass on."""
        self._engine.abandon()

    def close(self) -> None:
        """Pass on."""
        self._engine.close()


def width_of(level: int) -> Width:
    """How wide an engine is at a level of the climb.

    Of the threads one more, as one waits for an answer while the others move bytes: at level 2,
    1 GiB in parts goes up in a twentieth less time, and comes down in no more.
    """
    return Width(min(BRIEF * level, MOST_JOBS), level + 1)
