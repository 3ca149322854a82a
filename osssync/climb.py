"""How many requests at once: more, while that moves more. Pure counting; ``--jobs auto``.

    window over ─ throttled ────────────▶ stay: ``throttle`` slows down
           ├─ processors busy ──────────▶ stay: more would only wait for them
           ├─ climbed last, no gain ────▶ back, and rest for a while
           └─ gained, or rested ────────▶ climb: twice as many until a climb first fails,
                                          then a quarter more

What one connection moves depends on the way there: beside the processor a handful are as fast as
it gets, thirty milliseconds away hundreds are. So nobody can say beforehand, and the run finds out.
"""

WINDOW_S = 0.2
"""The shortest time that says something; a window also lasts until every place had its turn."""

REST_S = 3.0
"""After a climb that was for nothing, until the next one."""

REQUEST_BYTES = 1 << 16
"""What a request costs beside its bytes, so that small and large objects have one measure."""

_GAIN = 1.1  # of a climb that was worth it
_BUSY = 0.85  # share of all processors


class Climb:
    """The level of one run.

    Args:
        start: the first level.
        most: the highest one.
        cores: processors that can be used.
    """

    def __init__(self, start: int, most: int, cores: int) -> None:
        self.level = min(start, most)
        """How many at once."""
        self._most = most
        self._cores = cores
        self._requests = 0
        self._work = 0
        self._began: tuple[float, float, int] | None = None  # time, CPU seconds, throttled
        self._before: tuple[int, float] | None = None  # level and rate that the last climb left
        self._is_first = True
        self._rested_s = 0.0

    def moved(self, moved_bytes: int) -> None:
        """A request was answered."""
        self._requests += 1
        self._work += moved_bytes + REQUEST_BYTES

    def is_due(self, now_s: float) -> bool:
        """Whether a window is over, so that a look would say something."""
        if self._began is None:
            return True
        return now_s - self._began[0] >= WINDOW_S and self._requests >= self.level

    def look(self, now_s: float, cpu_s: float, throttled: int) -> int:
        """The level from now on; the same one if nothing is due.

        Args:
            now_s: never going back.
            cpu_s: processor time of all our processes, since whenever.
            throttled: answers that asked to slow down, since whenever.
        """
        if not self.is_due(now_s):
            return self.level
        if self._began is not None:
            began_s, began_cpu_s, began_throttled = self._began
            elapsed_s = now_s - began_s
            busy = (cpu_s - began_cpu_s) / (elapsed_s * self._cores)
            is_held = throttled > began_throttled or busy > _BUSY
            self._judge(now_s, self._work / elapsed_s, is_held=is_held)
        self._began = (now_s, cpu_s, throttled)
        self._requests = self._work = 0
        return self.level

    def _judge(self, now_s: float, rate: float, *, is_held: bool) -> None:
        before, self._before = self._before, None
        if before is not None and rate < before[1] * _GAIN:
            self.level = before[0]
            self._is_first = False
            self._rested_s = now_s + REST_S
        elif not is_held and now_s >= self._rested_s and self.level < self._most:
            self._before = (self.level, rate)
            wanted = self.level * 2 if self._is_first else self.level + max(1, self.level // 4)
            self.level = min(wanted, self._most)
