"""A call that may hang, made in a thread of its own: waited for until it ends, or until a stop.

    Errand ─▶ daemon thread: call ─▶ result
                                └─── stopped, and the grace is over: InterruptedRunError

A server that says nothing holds a call for its whole timeout, over and over; who is told to stop is
to end within seconds. So whoever listens for that makes no such call itself. The thread left behind
is a daemon: the interpreter waits at its end for all others. What it still learns goes nowhere.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from osssync.errors import InterruptedRunError

T = TypeVar("T")

GRACE_S = 3.0
"""How long a request whose outcome is to be told of is still waited for after a stop."""

_LOOK_S = 0.25  # between two looks at whether to stop; an answer ends the wait at once


class Errand(Generic[T]):
    """One call under way, begun by making this. Belongs to the thread that waits for it.

    Args:
        call: what is done; must be harmless when nobody waits for it any more.
        stopped: whether whoever waits is to end; asked in their thread.

    Raises:
        InterruptedRunError: it is too late to begin.
    """

    def __init__(self, call: Callable[[], T], stopped: Callable[[], bool]) -> None:
        if stopped():
            raise InterruptedRunError("interrupted; run again to go on")
        self._stopped = stopped
        self._result: T
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(call,), name="osssync-errand", daemon=True
        )
        self._thread.start()

    def result(self, grace_s: float = 0.0) -> T:
        """What the call returns, or raises.

        Args:
            grace_s: seconds that its end is waited for after a stop.

        Raises:
            InterruptedRunError: stopped, and it had not ended then.
        """
        while not self.join(_LOOK_S):
            if self._stopped() and not self.join(grace_s):
                raise InterruptedRunError(
                    "interrupted while a request had no answer yet; run again to go on"
                )
        if self._error is not None:
            raise self._error
        return self._result

    def join(self, seconds: float) -> bool:
        """Wait so long for the end of the call; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._result = call()
        except BaseException as error:  # noqa: BLE001 - ``result`` raises it, where somebody waits
            self._error = error
