"""Signals: the first asks a run to stop at a part boundary, the second ends the program at once."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED_EXIT = 5


def interrupt_on_signals() -> None:
    """Outside of runs: SIGTERM and SIGHUP end a command as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(ValueError):  # not the main thread: a test, or somebody's host
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                signal.signal(number, _interrupt)


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that the first of the signals sets, while the block lasts.

    Raising from a handler could lose a decision half made; an event can not. A second signal ends
    the process on the spot: what is under way was never visible, and the next run starts clean.
    """
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED_EXIT)
        stop.set()
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), b"osssync: stopping (once more: at once)\n")

    before = {}
    for number in SIGNALS:
        with contextlib.suppress(ValueError):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
