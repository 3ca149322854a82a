"""How many requests of one process may be in flight: less when OSS asks to slow down, then more.

    enter ─ below the limit ─▶ request ─▶ leave ─ success ─▶ one more, after ``limit`` of them
      └─── else wait in line ────▲          └─ throttled ──▶ half as many (at most once per burst)

Additive increase, multiplicative decrease, as TCP shares a line; all workers and listings of a
process share one ``Pace``. Waits between the attempts of one call are ``retry``'s.

Source: RFC 5681 section 3.1 (congestion avoidance); OSS "Limits", error codes of 503, read 2026-11.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from osssync.errors import ThrottledError
from osssync.fibers import acquire

SETTLE_S = 0.5
"""How long a cut takes to show: requests begun before its end say nothing about the new limit.

Some round trips and service times. One burst of refusals halves once, not once per request.
"""


class Pace:
    """A limit of requests in flight that follows what the service can take. Threads share it.

    First come, first served. While nothing is throttled it costs an uncontended lock twice.

    Args:
        limit: requests in flight when nobody complains; at least 1.
        clock: seconds, never going back.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = self._limit = self._lowest = limit
        self._clock = clock
        self._lock = threading.Lock()  # guards all below; held for an instant
        self._in_flight = 0
        self._line: deque[threading.Lock] = deque()  # who waits; each held until it is their turn
        self._settled_s = float("-inf")  # when the last cut has taken effect
        self._successes = 0  # since the limit last changed
        self._throttled = 0
        self._stopped = False

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._limit

    @property
    def lowest(self) -> int:
        """The smallest limit there has been."""
        return self._lowest

    @property
    def throttled(self) -> int:
        """Requests that OSS refused with the wish to slow down."""
        return self._throttled

    @property
    def waiting(self) -> int:
        """Callers in line; a snapshot, for tests and metrics."""
        return len(self._line)

    def slot(self) -> "Slot":
        """A place for the attempts of one call, one after the other.

        Not to be nested: at a limit of 1 the inner one would wait for the outer for ever.
        """
        return Slot(self)

    @property
    def stopped(self) -> bool:
        """Whether the run is to end: long work of its own looks here now and then."""
        return self._stopped

    def widen(self, most: int) -> None:
        """Let so many be in flight when nobody complains, from now on; at least 1."""
        with self._lock:
            self._limit = most if self._limit == self._most else min(self._limit, most)
            self._most = most
            if not self._throttled:
                self._lowest = self._limit
            self._admit()

    def stop(self) -> None:
        """Let everybody through, now and later: what is left to do is to put things away."""
        with self._lock:
            self._stopped = True
            self._admit()

    def enter(self) -> float:
        """Wait for a place; returns when the request begins, to be given to the other methods."""
        with self._lock:
            if self._stopped or self._in_flight < self._limit:  # then nobody is in line
                self._in_flight += 1
                return self._clock()
            turn = threading.Lock()
            turn.acquire()
            self._line.append(turn)
        try:
            acquire(turn)  # released by whoever makes room, who has counted us in by then
        except BaseException:  # Ctrl-C in the main thread: the place must not be lost with us
            self._step_out(turn)
            raise
        return self._clock()

    def try_enter(self, most: int) -> tuple[int, float]:
        """As ``enter`` for as many of ``most`` as have a place; and when they begin."""
        with self._lock:
            count = max(0, min(most, self._limit - self._in_flight))
            self._in_flight += count
            return count, self._clock()

    def leave(self, *began_s: float, succeeded: bool) -> None:
        """Give places back.

        Args:
            began_s: what ``enter`` returned, for each.
            succeeded: False if the requests failed, for whatever reason.
        """
        with self._lock:
            self._in_flight -= len(began_s)
            if succeeded and self._limit < self._most:
                for one_s in began_s:
                    self._grow(one_s)
            if self._line:
                self._admit()

    def slow_down(self, began_s: float) -> None:
        """OSS throttled the request that ``enter`` let begin then."""
        with self._lock:
            self._throttled += 1
            self._successes = 0
            if began_s < self._settled_s:
                return
            self._limit = max(1, self._limit // 2)
            self._lowest = min(self._lowest, self._limit)
            self._settled_s = self._clock() + SETTLE_S

    def _grow(self, began_s: float) -> None:
        if began_s < self._settled_s or self._limit >= self._most:
            return
        self._successes += 1
        if self._successes >= self._limit:  # every place has seen one: about a round trip
            self._successes = 0
            self._limit += 1

    def _admit(self) -> None:
        while self._line and (self._stopped or self._in_flight < self._limit):
            self._in_flight += 1
            self._line.popleft().release()

    def _step_out(self, turn: threading.Lock) -> None:
        with self._lock:
            if turn in self._line:
                self._line.remove(turn)
            else:  # the turn had come
                self._in_flight -= 1
                self._admit()


class Slot:
    """One call's place among the requests in flight: taken by ``with`` around each attempt.

    Belongs to one thread.

    Args:
        pace: who counts.
        entered_s: what ``Pace.try_enter`` gave to the first attempt, if that is under way.
    """

    __slots__ = ("_is_entered", "_pace", "began_s")

    def __init__(self, pace: Pace, entered_s: float | None = None) -> None:
        self._pace = pace
        self._is_entered = entered_s is not None
        self.began_s = entered_s or 0.0
        """When the last attempt took its place, by the clock of the pace."""

    def __enter__(self) -> Self:
        if not self._is_entered:
            self.began_s = self._pace.enter()
        self._is_entered = False  # for the next attempt
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pace.leave(self.began_s, succeeded=kind is None)

    def throttled(self, _error: ThrottledError) -> None:
        """The last attempt was throttled: the ``on_throttle`` of ``Retry.run``."""
        self._pace.slow_down(self.began_s)
