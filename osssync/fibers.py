"""Many waits on one thread: a fiber runs ordinary code and gives way wherever that would wait.

    spawn ─▶ fiber runs ─▶ must wait: for its socket, or for a time ─▶ loop ─▶ the next one
                ▲                                                       │
                └─────────────── epoll says ready, or time is up ◀──────┘

Thousands of small requests need many connections in flight, and threads are a poor way to have
them: all take turns at one lock. Here one thread serves them all, and the code below, from the
worker to the socket, is the same that threads run; only where it would block it asks ``running``.

A fiber gives way nowhere else. So a lock that is never held across a wait needs no thought, and one
that is would stop them all.

Source: epoll(7), edge-triggered; https://greenlet.readthedocs.io (read 2026-11).
"""

import heapq
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

from greenlet import getcurrent, greenlet

AVAILABLE = hasattr(select, "epoll") and hasattr(os, "eventfd")
"""Whether this system has what a loop needs (Linux has)."""

_SWEEP_S = 0.5  # how late a wait may notice that its time is up
_NAP_S = 0.05  # between two looks at an event that threads set

_READY, _LATE = True, False  # what a fiber is told when it goes on
_SOMETHING = select.EPOLLIN | select.EPOLLRDHUP if AVAILABLE else 0  # to read, or the end
_BREAK = select.EPOLLHUP | select.EPOLLERR if AVAILABLE else 0

_here = threading.local()


class Loop:
    """The fibers of the thread that calls ``run``. All but ``wake`` belongs to that thread.

    Args:
        between: called between two rounds, when every fiber that could go on has; says for how
            many seconds it need not be called.
    """

    def __init__(self, between: Callable[[], float]) -> None:
        self._between = between
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._hub = getcurrent()  # of the thread that runs, once it does
        self._ready: deque[greenlet] = deque()
        self._parked: deque[greenlet] = deque()
        self._waiting: dict[int, tuple[Callable[[bool], object], int, float]] = {}  # by descriptor
        self._listeners: dict[int, Callable[[], None]] = {}
        self.unheard: set[int] = set()
        """Descriptors where something came, or the end, while nobody waited for it."""
        self._sleepers: list[tuple[float, int, greenlet]] = []
        self._slept = 0
        self._alive = 0
        self._swept_s = 0.0

    def spawn(self, work: Callable[[], None]) -> None:
        """Have a fiber do ``work``, which must not raise."""

        def run(_told: bool) -> None:  # noqa: FBT001 - as ``switch`` tells it
            try:
                work()
            finally:
                self._alive -= 1

        self._alive += 1
        self._ready.append(greenlet(run, self._hub))

    def run(self, goes_on: Callable[[], bool], *first: Callable[[], None]) -> None:
        """Serve all fibers while ``goes_on`` says so, and until the last has ended.

        Args:
            goes_on: asked after each round.
            first: what is to be spawned before that.
        """
        _here.loop = self
        self._hub = getcurrent()
        for work in first:
            self.spawn(work)
        try:
            while True:
                self._resume()
                pause_s = self._between()
                if not (goes_on() or self._alive):
                    return
                self._look(pause_s)
        finally:
            del _here.loop

    def close(self) -> None:
        """Give back the descriptors; nothing runs any more."""
        self._epoll.close()
        os.close(self._bell)

    def wake(self) -> None:
        """End the current wait soon; from any thread."""
        os.eventfd_write(self._bell, 1)

    def listen(self, descriptor: int, heard: Callable[[], None]) -> None:
        """Call ``heard``, which must not wait for anything, while there is something to read."""
        self._listeners[descriptor] = heard
        self._epoll.register(descriptor, select.EPOLLIN)

    @property
    def parked(self) -> int:
        """Fibers that ``park``."""
        return len(self._parked)

    def park(self) -> None:
        """Wait, in a fiber, until ``unpark``."""
        self._parked.append(getcurrent())
        self._hub.switch()

    def unpark(self, count: int) -> None:
        """Let so many parked fibers go on."""
        for _ in range(min(count, len(self._parked))):
            self._ready.append(self._parked.popleft())

    def watch(self, descriptor: int) -> None:
        """Tell of this socket from now on; closing it ends that."""
        self.unheard.discard(descriptor)
        interest = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
        self._epoll.register(descriptor, interest)

    def wait_readable(self, descriptor: int, timeout_s: float) -> None:
        """Give way until the socket may have something to read; it may also have nothing.

        Raises:
            TimeoutError: so many seconds passed.
        """
        if descriptor in self.unheard:
            self.unheard.remove(descriptor)
            return
        self._wait(descriptor, _SOMETHING, timeout_s)

    def when_readable(
        self, descriptor: int, heard: Callable[[bool], object], timeout_s: float
    ) -> None:
        """Call ``heard``, which must not wait for anything, when ``wait_readable`` would return.

        Args:
            descriptor: of a socket that is watched.
            heard: is told whether that was in time.
            timeout_s: in which something may come.
        """
        if descriptor in self.unheard:
            self.unheard.remove(descriptor)
            heard(_READY)
            return
        self._waiting[descriptor] = (heard, _SOMETHING, time.monotonic() + timeout_s)

    def wait_writable(self, descriptor: int, timeout_s: float) -> None:
        """Give way until the socket takes more.

        Raises:
            TimeoutError: so many seconds passed.
        """
        self._wait(descriptor, select.EPOLLOUT, timeout_s)

    def sleep(self, seconds: float) -> None:
        """Give way for so long."""
        self._slept += 1  # fibers cannot be compared where two times are equal
        heapq.heappush(self._sleepers, (time.monotonic() + seconds, self._slept, getcurrent()))
        self._hub.switch()

    def _wait(self, descriptor: int, wanted: int, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        self._waiting[descriptor] = (getcurrent().switch, wanted, until_s)
        if not self._hub.switch():
            raise TimeoutError("timed out")

    def _resume(self) -> None:
        ready = self._ready
        for _ in range(len(ready)):
            ready.popleft().switch(_READY)

    def _look(self, pause_s: float) -> None:
        """Wait for what fibers wait for, and let those go on."""
        now_s = time.monotonic()
        pause_s = min(pause_s, _SWEEP_S)
        if self._sleepers:
            pause_s = min(pause_s, max(self._sleepers[0][0] - now_s, 0.0))
        waiting = self._waiting
        for descriptor, events in self._epoll.poll(0 if self._ready else pause_s):
            found = waiting.get(descriptor)
            if found is not None and events & (found[1] | _BREAK):
                del waiting[descriptor]
                found[0](_READY)
            else:
                self._told(descriptor, events)
        self._wake_sleepers()
        if now_s - self._swept_s >= _SWEEP_S:
            self._swept_s = now_s
            self._sweep(now_s)

    def _told(self, descriptor: int, events: int) -> None:
        """Something happened where no fiber waits for that."""
        if descriptor == self._bell:
            os.eventfd_read(self._bell)
            return
        heard = self._listeners.get(descriptor)
        if heard is not None:
            heard()
            return
        if events & ~select.EPOLLOUT:
            self.unheard.add(descriptor)

    def _wake_sleepers(self) -> None:
        now_s = time.monotonic()
        while self._sleepers and self._sleepers[0][0] <= now_s:
            heapq.heappop(self._sleepers)[2].switch(_READY)

    def _sweep(self, now_s: float) -> None:
        late = [one for one, (_, _, until_s) in self._waiting.items() if until_s < now_s]
        for descriptor in late:
            go_on, _, _ = self._waiting.pop(descriptor)
            go_on(_LATE)


def running() -> Loop | None:
    """The loop whose fiber the caller is; None on a thread of its own."""
    return getattr(_here, "loop", None)


def pause(seconds: float) -> None:
    """Sleep: the fiber if there is one, else the thread."""
    loop = running()
    if loop is None:
        time.sleep(seconds)  # noqa: TID251 - what retry and throttle wait by
    else:
        loop.sleep(seconds)


def wait_for(event: threading.Event, seconds: float) -> bool:
    """``event.wait(seconds)``, which no other fiber has to wait for."""
    loop = running()
    if loop is None:
        return event.wait(seconds)
    until_s = time.monotonic() + seconds
    while not event.is_set():
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return False
        loop.sleep(min(left_s, _NAP_S))
    return True


def acquire(lock: threading.Lock) -> None:
    """``lock.acquire()``, which no other fiber has to wait for."""
    loop = running()
    if loop is None:
        lock.acquire()
        return
    while not lock.acquire(blocking=False):
        loop.sleep(_NAP_S / 10)
