"""The one retry loop: what is repeated, when, and how often. It knows no SDK and no thread.

    call ── refused credentials → on_refused ── fresh ones → repeat at once
         ├─ clocks apart        → on_skew    ──────────────→ repeat at once, the first time
         ├─ retryable           → wait, full jitter ───────→ repeat, ``retries`` times
         │    (throttled: on_throttle first, and no shorter than OSS asks;
         │     clocks apart once more: on_skew first)
         └─ anything else, or stopped, or too late ────────→ raise, with attempts and seconds

Requests are rebuilt and signed anew by ``call``; nothing here repeats bytes.
Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (full jitter);
limits 0.2 s and 20 s as in Alibaba's SDK V2, retry/defaults.py, read 2026-09.
"""

import random
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from msgspec import Struct

from osssync.errors import (
    ClockSkewedError,
    CredentialsRefusedError,
    InterruptedRunError,
    OsssyncError,
    ThrottledError,
)
from osssync.fibers import pause

T = TypeVar("T")
EXPIRED = "SecurityTokenExpired"
MOST_OVERTAKEN = 5
"""Different sets that may expire under one request; more is a clock or a service gone wrong."""

_MAX_DOUBLINGS = 32  # far above every cap; 2.0**1024 would overflow


class RetryPolicy(Struct, frozen=True):
    """How often and how patiently.

    ``retries`` are repeats after the first attempt. Not counted are the first repeat with a
    corrected clock, and those with fresh credentials, of which two follow each other only where
    the fresh ones had expired, too. A further skew counts: machines of a service that disagree on
    the time each refuse what another one would take.
    Waits are drawn evenly from 0 to ``base_s`` doubled with each failure, at most ``cap_s``.
    A pause that the service asks for is kept in full and comes before the drawn one, so that
    those who were told the same do not come back together; ``asked_cap_s`` is the longest that is
    believed. ``give_up_s``: no wait may end later than this after the first attempt.
    """

    retries: int = 9
    base_s: float = 0.2
    cap_s: float = 20.0
    throttle_base_s: float = 1.0  # a service asked to slow down: five times more patient
    asked_cap_s: float = 60.0  # a garbled header must not stop a run for days
    give_up_s: float = float("inf")

    def pause_s(self, error: OsssyncError, failures: int, draw: float) -> float:
        """Seconds to wait after ``error``, the ``failures``-th (from 1); ``draw`` is in [0, 1)."""
        if not isinstance(error, ThrottledError):
            return self.delay_s(failures, throttled=False, draw=draw)
        asked_s = min(error.delay_s, self.asked_cap_s)
        return asked_s + self.delay_s(failures, throttled=True, draw=draw)

    def delay_s(self, failures: int, *, throttled: bool, draw: float) -> float:
        """Seconds to wait after the ``failures``-th failure (from 1); ``draw`` is in [0, 1)."""
        base_s = self.throttle_base_s if throttled else self.base_s
        ceiling_s: float = base_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        return draw * min(self.cap_s, ceiling_s)


def sleep_through(delay_s: float) -> bool:
    """A ``wait`` that nothing interrupts."""
    pause(delay_s)
    return False


def _keep_pace(_error: ThrottledError) -> None:
    """For those who set no pace."""


def _is_hopeless(refused: list[CredentialsRefusedError]) -> bool:
    """Whether refusals in a row show that fresh credentials do not help.

    The second one does, unless it says that this token, another one, has expired as well: sets
    may be ended faster than a request travels.
    """
    last = refused[-1]
    known = {error.access_key_id for error in refused[:-1]}
    overtaken = last.code == EXPIRED and last.access_key_id not in known
    return len(refused) > (MOST_OVERTAKEN if overtaken else 1)


class Retry:
    """Repeats one call. For one call at a time; not shared between threads.

    After ``run``, however it ended, ``attempts`` and ``slept_s`` tell what it took.

    Args:
        policy: how often and how patiently.
        wait: waits the seconds it is given and says whether to stop, like ``Event.wait``.
        draw: a number in [0, 1) for the jitter.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        wait: Callable[[float], bool] = sleep_through,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._wait = wait
        self._draw = draw
        self._clock = clock
        self._started_s = 0.0
        self.attempts = 0
        self.slept_s = 0.0

    def run(
        self,
        call: Callable[[int], T],
        *,
        on_refused: Callable[[CredentialsRefusedError], bool],
        on_skew: Callable[[ClockSkewedError], None],
        on_throttle: Callable[[ThrottledError], None] = _keep_pace,
        since_s: float | None = None,
    ) -> T:
        """Call until it succeeds or nothing more can be expected.

        Args:
            call: takes the number of the attempt, from 1, and builds its request anew.
            on_refused: drops the refused credentials; whether fresh ones can be had. May block
                for a refresh, and may raise CredentialsError.
            on_skew: learns the clock offset, or raises where there is nothing to learn.
            on_throttle: tells whoever sets the pace, before the wait.
            since_s: when the first attempt began, if before this, by the same clock.

        Raises:
            InterruptedRunError: ``wait`` said stop.
            OsssyncError: the last error, its message extended by attempts and seconds if there
                was more than one.
        """
        self.attempts, self.slept_s = 0, 0.0
        self._started_s = self._clock() if since_s is None else since_s
        failures = 0
        skewed = False
        refused: list[CredentialsRefusedError] = []  # in a row
        while True:
            self.attempts += 1
            try:
                return call(self.attempts)
            except CredentialsRefusedError as error:
                refused.append(error)
                if _is_hopeless(refused) or not on_refused(error):
                    self._give_up(error)
            except ClockSkewedError as error:
                on_skew(error)  # before any wait: the service's word ages
                if skewed:
                    failures += 1
                    self._pause(error, failures)
                skewed = True
                refused.clear()
            except OsssyncError as error:
                if isinstance(error, ThrottledError):
                    on_throttle(error)
                failures += 1
                self._pause(error, failures)
                refused.clear()

    def _pause(self, error: OsssyncError, failures: int) -> None:
        if not error.retryable or failures > self._policy.retries:
            self._give_up(error)
        delay_s = self._policy.pause_s(error, failures, self._draw())
        if self._elapsed_s() + delay_s > self._policy.give_up_s:
            self._give_up(error)
        self.slept_s += delay_s
        if self._wait(delay_s):
            raise InterruptedRunError(f"stopped before a repeat of: {error}") from error

    def _give_up(self, error: OsssyncError) -> NoReturn:
        if self.attempts == 1:
            raise error
        message, *rest = error.args
        spent = f"after {self.attempts} attempts over {self._elapsed_s():.0f} s"
        raise type(error)(f"{message} ({spent})", *rest) from error

    def _elapsed_s(self) -> float:
        return self._clock() - self._started_s
