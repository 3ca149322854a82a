"""A lock that a forked child always finds free. What it guards is decided by its users.

``os.fork`` copies a lock as it is at that instant; if another thread of the parent held it, nobody
is left in the child to release it. State guarded here is therefore swapped whole, never edited in
place, so that a child finds either the old or the new one.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager


class ForkSafeLock:
    """Mutual exclusion between the threads of one process, renewed in every forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _alive.add(self)

    @contextmanager
    def entered(self, timeout_s: float = -1) -> Iterator[bool]:
        """Enter, waiting at most ``timeout_s`` seconds (0: do not wait; -1: for ever).

        Yields whether we are in.

        The block runs either way; only an entered lock is left at its end.
        """
        lock = self._lock  # the very lock we took, even if a fork inside the block renews ours
        entered = lock.acquire(timeout=timeout_s)
        try:
            yield entered
        finally:
            if entered:
                lock.release()

    def renew(self) -> None:
        """Forget who held it. Only for the single thread of a fresh child process."""
        self._lock = threading.Lock()


_alive: "weakref.WeakSet[ForkSafeLock]" = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_alive):
        lock.renew()


os.register_at_fork(after_in_child=_renew_all)
