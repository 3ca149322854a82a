"""When a run is to end early: too long, too much moved, too many failures. Pure counting.

    outcome ─▶ Budget.moved / failed ─▶ Budget.spent()       ─▶ None, or why nothing is begun
                             clock   ─▶ Budget.overdue(…)    ─▶ None, or why the run is to end

A limit ends a run only where it leaves something undone: one that is reached by the last object
is kept. What is in flight at that moment still comes home, so a run may go beyond a limit by what
its workers hold: ``jobs`` parts or small objects, and their failures. Sizes and durations are told
as plain bytes and seconds.
"""

from msgspec import Struct

from osssync.errors import (
    MaxDurationError,
    MaxTransferError,
    OsssyncError,
    TooManyFailuresError,
    UsageError,
)


class Limits(Struct, frozen=True):
    """What a run may use up; None is no limit.

    ``max_duration_s`` and ``max_transfer_bytes`` are reached by using up as much, as in rclone;
    ``max_failure`` failures are allowed and the next one is too many, as in juicefs (0: none is).

    Raises:
        UsageError: a limit that would end the run before it begins.
    """

    max_duration_s: float | None = None
    max_failure: int | None = None
    max_transfer_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.max_duration_s is not None and not self.max_duration_s > 0:  # NaN is refused, too
            raise UsageError(f"--max-duration {self.max_duration_s:g}s: give more than 0")
        if self.max_failure is not None and self.max_failure < 0:
            raise UsageError(f"--max-failure {self.max_failure}: give 0 or more")
        if self.max_transfer_bytes is not None and self.max_transfer_bytes <= 0:
            raise UsageError(f"--max-transfer {self.max_transfer_bytes}: give more than 0")


class Budget:
    """What one run has used up of its limits. Belongs to the thread of the runner.

    Args:
        limits: of the run.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._moved_bytes = 0
        self._failed = 0

    def moved(self, byte_count: int) -> None:
        """So many bytes more arrived: of parts, too, before their object is whole.

        Those that turn out to have been in vain stay counted: they were traffic.
        """
        self._moved_bytes += byte_count

    def failed(self) -> None:
        """One object more failed for good, or was refused."""
        self._failed += 1

    def spent(self) -> OsssyncError | None:
        """Why nothing more may be begun, or None. The error is for its exit code; never raised."""
        limits = self._limits
        if limits.max_failure is not None and self._failed > limits.max_failure:
            return TooManyFailuresError(
                f"{self._failed} objects failed, --max-failure allows {limits.max_failure}: "
                "see why, then run again"
            )
        if limits.max_transfer_bytes is not None and self._moved_bytes >= limits.max_transfer_bytes:
            return MaxTransferError(
                f"--max-transfer {limits.max_transfer_bytes} bytes reached: "
                f"{self._moved_bytes} bytes moved; run again to go on"
            )
        return None

    def overdue(self, elapsed_s: float) -> OsssyncError | None:
        """Why the run is to end although requests are in flight, or None; never raised.

        Args:
            elapsed_s: since the run began.
        """
        allowed_s = self._limits.max_duration_s
        if allowed_s is not None and elapsed_s >= allowed_s:
            return MaxDurationError(f"--max-duration {allowed_s:g}s reached; run again to go on")
        return None


FRUITLESS = 10
"""Objects failing in a row, each after all its repeats, that show that nothing can arrive."""

FRUITLESS_FILLS = 4
"""The same once something did arrive, as a multiple of what the engine holds.

Each of them has tried for half a minute, half of them at once: an outage of some minutes is
outlasted.
"""

MOST_FRUITLESS = 256
"""That many at the most, however wide the engine is."""

UNFRUITFUL_ERRORS = frozenset(
    {"NetworkError", "ServerFaultError", "ThrottledError", "IntegrityError"}
)


class Prospects:
    """Whether anything may still arrive, judged by what has become of objects so far."""

    def __init__(self) -> None:
        self._has_arrived = False
        self._in_a_row = 0  # objects that failed for want of an answer

    def arrived(self) -> None:
        """An object arrived."""
        self._has_arrived = True
        self._in_a_row = 0

    def failed(self, error: str, held: int) -> int:
        """An object failed for good; how many in a row did, if that is reason to end, else 0.

        Args:
            error: name of a class in ``osssync.errors``.
            held: tasks that the engine holds.
        """
        self._in_a_row += error in UNFRUITFUL_ERRORS
        fills = min(FRUITLESS_FILLS * held, MOST_FRUITLESS)
        return (
            self._in_a_row if self._in_a_row >= (fills if self._has_arrived else FRUITLESS) else 0
        )
