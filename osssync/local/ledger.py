"""Which part files are being written now, for the run that comes after a kill.

Large objects are in the journal. The others, thousands a second, get a line here before their
part file is made: one write into the page cache, no sync. A run that is killed leaves its lines
behind; the next one of the same job removes the part files they name, whether or not their
objects still exist. Only a power cut may lose a line.

    slot 0 │ length, target, padding │ slot 1 │ …      one slot for each file being written

A slot is never cleared, only used again: removing what is not there is harmless.
"""

import contextlib
import os
import struct
import threading
from collections.abc import Callable

_NO_SLOT = -1
_LENGTH = struct.Struct("<H")
_SLOT_BYTES = 4096  # a page: a line is written whole or not at all
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_SLOTS = 4096  # far more than jobs can be; a damaged file is not read beyond


class Ledger:
    """The targets of the part files one run is writing. Safe to use from many threads.

    Whatever goes wrong with its file costs only this: after a kill some part file may stay.

    Args:
        directory: of the ledgers of all runs of one job, made if missing; "" keeps none.
        run: this run's name; its processes each have a file of their own.
    """

    def __init__(self, directory: str, run: str) -> None:
        self._directory = directory
        self._run = run
        self._path = f"{directory}/{run}-{os.getpid()}"
        self._lock = threading.Lock()  # guards all below; the descriptor must not change hands
        self._fd = -1
        self._free: list[int] = []
        self._slots = 0
        if directory:
            with contextlib.suppress(OSError):
                os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103 - plain text here
                self._fd = os.open(self._path, _NEW_FILE, 0o600)

    def sweep(self, remove: Callable[[bytes], bool]) -> None:
        """Take up what other runs noted and did not live to see done. They must have ended.

        Args:
            remove: removes the part file of a target; False if the next run shall try again.
        """
        ledgers: list[str] = []
        with contextlib.suppress(OSError):
            ledgers += os.listdir(self._directory)  # noqa: PTH208 - likewise
        for name in ledgers:
            path = f"{self._directory}/{name}"
            with contextlib.suppress(OSError):
                if name.startswith(f"{self._run}-"):
                    continue
                if not [target for target in _targets(path) if not remove(target)]:
                    os.unlink(path)  # noqa: PTH108 - likewise

    def note(self, target: bytes) -> int:
        """Write down that a part file of this target is about to be made; returns its slot."""
        line = (_LENGTH.pack(len(target)) + target)[:_SLOT_BYTES]
        with self._lock:
            if self._fd < 0:
                return _NO_SLOT
            if self._free:
                slot = self._free.pop()
            else:
                slot, self._slots = self._slots, self._slots + 1
            try:
                os.pwrite(self._fd, line, slot * _SLOT_BYTES)
            except OSError:
                self._free.append(slot)
                return _NO_SLOT
        return slot

    def done(self, slot: int) -> None:
        """The part file of this slot has become the target, or was removed."""
        if slot != _NO_SLOT:
            self._free.append(slot)  # in one step: no lock is needed

    def close(self) -> None:
        """Remove the file, unless something noted is not done. Closing again is harmless."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd < 0:
                return
            os.close(fd)
            if len(self._free) < self._slots:
                return
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 - likewise
            os.rmdir(self._directory)  # noqa: PTH106 - likewise; fails while others are there


def _targets(path: str) -> list[bytes]:
    """All that was noted in a file, some of it perhaps long in place."""
    with open(path, "rb") as file:  # noqa: PTH123 - likewise
        lines = file.read(_MOST_SLOTS * _SLOT_BYTES)
    targets = []
    for start in range(0, len(lines) - 1, _SLOT_BYTES):
        (length,) = _LENGTH.unpack_from(lines, start)
        begin = start + _LENGTH.size
        if length:
            targets.append(lines[begin : begin + length])
    return targets
