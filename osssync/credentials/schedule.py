"""When to look for new credentials: pure arithmetic on ages, without a clock.

All results are seconds. ``jitter`` is a number in [0, 1) drawn by the caller, so that the processes
and nodes of a fleet do not ask in the same second; it shortens the hour, the margin and the pauses.
"""

import math

from msgspec import Struct


class Pace(Struct, frozen=True):
    """The timing of refreshes. Every field is in seconds but ``margin_share``.

    The service replaces a six-hour set well ahead of its end, and old and new are both valid until
    then; so one look an hour finds the new set early, and the margin is only a second chance. Short
    lives (a test's three seconds, a role with fifteen minutes) scale the margin down.
    """

    look_s: float = 3600.0  # the vendor SDK's own prefetch time
    margin_s: float = 900.0  # the vendor SDK's own stale time before expiry
    margin_share: float = 0.15  # of the life left at the fetch: oss2's factor 0.85
    floor_s: float = 0.2  # between two looks, however close the end is
    retry_min_s: float = 1.0
    retry_max_s: float = 30.0
    wait_s: float = 30.0  # a waiting caller's patience: more than any fetch may last

    def refresh_after_s(self, life_s: float, jitter: float) -> float:
        """The age at which a new set that will live for ``life_s`` should be replaced.

        Infinity for keys that never expire.
        """
        if math.isinf(life_s):
            return math.inf
        margin_s = min(self.margin_s, self.margin_share * life_s) * (1 - 0.3 * jitter)
        return min(self._look_s(jitter), life_s - margin_s)

    def look_again_after_s(self, life_s: float, jitter: float) -> float:
        """The same for a set that we already had: the service has not rotated yet.

        Half of what is left, again and again: few looks, and the last ones close to the end.
        """
        if math.isinf(life_s):
            return math.inf
        return min(self._look_s(jitter), max(self.floor_s, life_s / 2))

    def retry_after_s(self, failures: int, life_left_s: float, jitter: float) -> float:
        """How long to leave the source alone after ``failures`` (1 …) failed looks in a row.

        Doubles from ``retry_min_s`` to ``retry_max_s``. While a set is valid for another
        ``life_left_s`` (0 when none is) never longer than half of that, so that the last look does
        not come too late.
        """
        doubled_s = self.retry_min_s * 2.0 ** min(failures - 1, 30)  # 30: no overflow, ever
        delay_s = min(self.retry_max_s, doubled_s) * (1 - 0.5 * jitter)
        if life_left_s > 0:
            return min(delay_s, max(self.floor_s, life_left_s / 2))
        return delay_s

    def _look_s(self, jitter: float) -> float:
        return self.look_s * (1 - 0.1 * jitter)
