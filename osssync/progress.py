"""How a run tells what it is doing: the Monitor protocol, one that is silent, one with a bar."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self, TextIO, TypeVarTuple

from osssync.model import Action, ActionKind, Entry, Failure, Outcome

Ts = TypeVarTuple("Ts")

_SKIP = ActionKind.SKIP


class Monitor(Protocol):
    """Hears about a run, in the thread of the runner alone. Methods must be quick.

    A monitor that has the attribute ``hears_skips``, and has it False, is spared being told of
    entries that are skipped, as there may be millions; likewise ``hears_transfers`` and decisions
    to transfer something.

    When a monitor raises, the run is stopped in good order, and then raises that. Until then the
    monitor goes on hearing what becomes of everything; what else it raises is dropped.
    """

    def decided(self, action: Action) -> None:
        """Planning decided about one source entry."""

    def moved(self, byte_count: int) -> None:
        """So many bytes more reached their place; negative: so many were in vain."""

    def ended(self, outcome: Outcome) -> None:
        """An object arrived, or finally failed."""

    def removed(self, entry: Entry, failure: Failure | None) -> None:
        """A destination entry was deleted, or could not be."""

    def warned(self, message: str) -> None:
        """Something the user should know, that fails nothing."""


class SilentMonitor:
    """Says nothing; the default of the Python API."""

    def decided(self, action: Action) -> None:
        """Nothing."""

    def moved(self, byte_count: int) -> None:
        """Nothing."""

    def ended(self, outcome: Outcome) -> None:
        """Nothing."""

    def removed(self, entry: Entry, failure: Failure | None) -> None:
        """Nothing."""

    def warned(self, message: str) -> None:
        """Nothing."""


class ShieldedMonitor:
    """Passes everything on to a monitor, and keeps what that raises from tearing a run.

    Belongs to the thread that makes it, which is the runner's. Only ``warned`` may be called from
    any other: the warning waits there until the runner's thread comes by.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        is_deaf = type(monitor) is SilentMonitor  # what is made of it may hear
        self.hears_skips: bool = getattr(monitor, "hears_skips", not is_deaf)
        """Whether the monitor wants to be told of each entry that is skipped."""
        self.hears_transfers: bool = getattr(monitor, "hears_transfers", not is_deaf)
        """Whether it wants to be told of each decision to transfer something."""
        self._thread = threading.get_ident()
        self._warnings: deque[str] = deque()
        self.broken: Exception | None = None
        """What the monitor raised first, None while all is well."""

    def decided(self, action: Action) -> None:
        """Pass on, unless it is a skip and the monitor does not want to hear of those."""
        if self.hears_skips or action.kind is not _SKIP:
            self._tell(self._monitor.decided, action)
        elif self._warnings:
            self.deliver()

    def moved(self, byte_count: int) -> None:
        """Pass on."""
        self._tell(self._monitor.moved, byte_count)

    def ended(self, outcome: Outcome) -> None:
        """Pass on."""
        self._tell(self._monitor.ended, outcome)

    def arrived(self, outcomes: Iterable[Outcome]) -> None:
        """Pass on each."""
        ended = self._monitor.ended
        for outcome in outcomes:
            self._tell(ended, outcome)

    def removed(self, entry: Entry, failure: Failure | None) -> None:
        """Pass on."""
        self._tell(self._monitor.removed, entry, failure)

    def warned(self, message: str) -> None:
        """Pass on, at once in the runner's thread, from another one with what comes next."""
        self._warnings.append(message)
        if threading.get_ident() == self._thread:
            self.deliver()

    def deliver(self) -> None:
        """Pass on the warnings of other threads; in the runner's."""
        while self._warnings:
            self._shield(self._monitor.warned, self._warnings.popleft())

    def _tell(self, method: Callable[[*Ts], None], *what: *Ts) -> None:
        if self._warnings:
            self.deliver()
        try:
            method(*what)
        except Exception as error:  # noqa: BLE001 - raised again when nothing is under way
            self.broken = self.broken or error

    def _shield(self, method: Callable[[*Ts], None], *what: *Ts) -> None:
        try:  # as above: called three times an object, that one does without another call
            method(*what)
        except Exception as error:  # noqa: BLE001 - likewise
            self.broken = self.broken or error


class ProgressBar:
    """A tqdm bar over the bytes found so far; for a terminal.

    Args:
        stream: where to draw, normally stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        from tqdm import tqdm

        class Bar(tqdm):  # type: ignore[type-arg] # of nothing: it iterates over nothing
            monitor_interval = 0  # no thread: a process without others can be forked

        self._bar = Bar(
            total=0,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            dynamic_ncols=True,
            file=stream,
            leave=False,
            bar_format="{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {elapsed} {rate_fmt}",
        )
        self._found = 0
        self._bytes = 0
        self._ended = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone, and so is its bar
            self._bar.close()

    def expect(self, byte_count: int) -> None:
        """One object more is to be transferred."""
        self._found += 1
        self._bytes += byte_count
        self._bar.total = self._bytes
        self._describe()

    def advance(self, byte_count: int) -> None:
        """So many bytes more arrived."""
        self._bar.update(byte_count)

    def end_one(self) -> None:
        """One object more is done with."""
        self._ended += 1
        self._describe()

    def write(self, line: str, stream: TextIO) -> None:
        """Print a line above the bar."""
        self._bar.write(line, file=stream)

    def _describe(self) -> None:
        self._bar.set_description_str(f"{self._ended}/{self._found} objects ", refresh=False)
