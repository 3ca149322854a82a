"""How many requests at once: more, while that moves more. Pure counting; ``--jobs auto``.

    window over ─ throttled ────────────▶ stay: ``throttle`` slows down
           ├─ processors busy ──────────▶ stay: more would only wait for them
           │  (by us, or by us and whoever answers us on this machine)
           ├─ climbed last, no gain ────▶ back, and rest for a while
           │  (as long as none failed before: if the next window says so, too)
           ├─ went back last, and lost ─▶ up again: what was compared with was a burst
           └─ gained, or rested ────────▶ climb: twice as many until a climb first fails (four
                                          times, if most processors idle), then a quarter more

What one connection moves depends on the way there: beside the processor a handful are as fast as
it gets, thirty milliseconds away hundreds are. So nobody can say beforehand, and the run finds out.
"""

from typing import NamedTuple

WINDOW_S = 0.2
"""The shortest time that says something; a window also lasts until every place had its turn."""

FIRST_WINDOW_S = 0.1
"""Until a climb first fails: then each changes so much that less time tells."""

REST_S = 3.0
"""After a climb that was for nothing, until the next one."""

REQUEST_BYTES = 1 << 16
"""What a request costs beside its bytes, so that small and large objects have one measure."""

_FAR = 8  # times as many from the beginning, where answers take some milliseconds
_GAIN = 1.1  # of a climb that was worth it
_BUSY = 0.85  # share of all processors, used by us
_FULL = 0.85  # likewise, used by anybody
_IDLE = 0.5  # share of all processors that nobody uses: whoever answers is far away
_PART = 0.3  # our share of them that is no trifle: a climb would take from others, and from us


class _Seen(NamedTuple):
    now_s: float
    cpu_s: float
    throttled: int
    idle_s: float | None


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
        self._began: _Seen | None = None  # the window
        self._before: tuple[int, float] | None = None  # level and rate that the last climb left
        self._above: tuple[int, float] | None = None  # that the last step back left
        self._is_first = True
        self._is_doubted = False  # the last climb brought nothing in its first window
        self._rested_s = 0.0

    def begin_far(self) -> None:
        """Begin higher, before anything has moved: answers take their time."""
        self.level = min(self.level * _FAR, self._most)

    def moved(self, requests: int, moved_bytes: int) -> None:
        """So many requests were answered, and moved so many bytes together."""
        self._requests += requests
        self._work += moved_bytes + requests * REQUEST_BYTES

    def is_due(self, now_s: float) -> bool:
        """Whether a window is over, so that a look would say something."""
        if self._began is None:
            return True
        shortest_s = FIRST_WINDOW_S if self._is_first else WINDOW_S
        return now_s - self._began.now_s >= shortest_s and self._requests >= self.level

    def look(self, now_s: float, cpu_s: float, throttled: int, idle_s: float | None = None) -> int:
        """The level from now on; the same one if nothing is due.

        Args:
            now_s: never going back.
            cpu_s: processor time of all our processes, since whenever.
            throttled: answers that asked to slow down, since whenever.
            idle_s: of all processors together, since whenever; None if nobody knows.
        """
        if not self.is_due(now_s):
            return self.level
        seen = _Seen(now_s, cpu_s, throttled, idle_s)
        if self._began is not None:
            rate = self._work / (now_s - self._began.now_s)
            idle = self._idle_share(self._began, seen)
            factor = 4 if idle is not None and idle > _IDLE else 2
            self._judge(now_s, rate, factor, is_held=self._is_held(self._began, seen, idle))
        self._began = seen
        self._requests = self._work = 0
        return self.level

    def _idle_share(self, began: "_Seen", seen: "_Seen") -> float | None:
        """Of all processors; None if nobody knows."""
        if seen.idle_s is None or began.idle_s is None:
            return None
        return (seen.idle_s - began.idle_s) / ((seen.now_s - began.now_s) * self._cores)

    def _is_held(self, began: "_Seen", seen: "_Seen", idle: float | None) -> bool:
        """Whether more at once would only wait, or be refused."""
        ours = (seen.cpu_s - began.cpu_s) / ((seen.now_s - began.now_s) * self._cores)
        if seen.throttled > began.throttled or ours > _BUSY:
            return True
        return idle is not None and ours > _PART and 1 - idle > _FULL

    def _judge(self, now_s: float, rate: float, factor: int, *, is_held: bool) -> None:
        above, self._above = self._above, None
        if above is not None and rate * _GAIN < above[1] and not is_held:
            self.level, self._rested_s = above[0], now_s
            return
        before, self._before = self._before, None
        is_vain = before is not None and rate < before[1] * _GAIN
        if is_vain and self._is_first and not self._is_doubted:
            self._before, self._is_doubted = before, True  # what has just begun may still pay
            return
        self._is_doubted = False
        if before is not None and is_vain:
            self._above = (self.level, rate)
            self.level = before[0]
            self._is_first = False
            self._rested_s = now_s + REST_S
        elif not is_held and now_s >= self._rested_s and self.level < self._most:
            self._before = (self.level, rate)
            more = max(1, self.level // 4)
            wanted = self.level * factor if self._is_first else self.level + more
            self.level = min(wanted, self._most)
