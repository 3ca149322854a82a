"""``x-oss-traffic-limit``: a request that goes no faster than it asked to.

Source: help.aliyun.com, "Single-connection bandwidth throttling" (read 2026-11).
"""

import asyncio
import time

from osssync.emulator.call import Call, invalid_argument

_MIN_LIMIT, _MAX_LIMIT = 819_200, 838_860_800  # bit/s, documented
_STEPS_PER_S = 20  # how finely a body is cut, so that it flows rather than jumps


class Pace:
    """Keeps a transfer at ``bytes_per_s`` on average, counted from its making."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._started = time.monotonic()
        self._spent = 0  # bytes

    @property
    def step(self) -> int:
        """Bytes to send at once."""
        return max(int(self._bytes_per_s / _STEPS_PER_S), 1)

    async def spend(self, size: int) -> None:
        """Wait until ``size`` more bytes are due."""
        self._spent += size
        due_s = self._started + self._spent / self._bytes_per_s
        await asyncio.sleep(max(due_s - time.monotonic(), 0))


def pace_of(call: Call) -> Pace | None:
    """The pace that a request asks for by header or query; None without a limit.

    Raises:
        OssFault: InvalidArgument, out of bounds.
    """
    text = call.header("x-oss-traffic-limit") or call.parameter("x-oss-traffic-limit")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not _MIN_LIMIT <= int(text[:20]) <= _MAX_LIMIT:
        message = f"Bandwidth limit should be in [{_MIN_LIMIT}, {_MAX_LIMIT}]."
        raise invalid_argument(message, "x-oss-traffic-limit", text, ec="0004-00000502")
    return Pace(int(text) / 8)
