"""The cloud's clock: the machine's, plus an offset that may change while the emulator runs."""

import time
from collections.abc import Callable


class CloudClock:
    """Epoch seconds of the emulated cloud: one clock for OSS, metadata and expiry.

    With an offset it is the client, whose clock is the machine's, that looks wrong. Reading and
    setting are atomic, from any thread.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self.offset_s = 0.0

    def __call__(self) -> float:
        """Now, in epoch seconds."""
        return self._source() + self.offset_s
