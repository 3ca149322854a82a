"""Which part files are being written now, for the run that comes after a kill.

Large objects are in the journal. The others, thousands a second, are noted here before their
part file is made: one write into the page cache for those of a moment, no sync. A run that is
killed leaves its notes behind; the next one of the same job removes the part files they name,
whether or not their objects still exist. Only a power cut may lose a note.

    slot 0 │ length, target, length, target, 0, what was there │ slot 1 │ …

A slot is never cleared, only used again: removing what is not there is harmless.
"""

import contextlib
import os
import struct
import threading
from collections.abc import Callable, Sequence

_LENGTH = struct.Struct("<H")
_END = _LENGTH.pack(0)
_SLOT_BYTES = 4096  # a page: it is written whole or not at all
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

    def note(self, targets: Sequence[bytes]) -> Sequence[int]:
        """Write down that part files of these targets are about to be made; returns their slots."""
        slots: list[int] = []
        with self._lock:
            if self._fd >= 0:
                for page in _pages(targets):
                    if self._free:
                        slots.append(self._free.pop())
                    else:
                        slots.append(self._slots)
                        self._slots += 1
                    with contextlib.suppress(OSError):
                        os.pwrite(self._fd, page, slots[-1] * _SLOT_BYTES)
        return slots

    def done(self, slots: Sequence[int]) -> None:
        """The part files of these slots have become their targets, or were removed."""
        self._free.extend(slots)  # in one step: no lock is needed

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


def _pages(targets: Sequence[bytes]) -> list[bytes]:
    """The targets, as few slots' worth as hold them; one that no slot holds is left out."""
    pages = [b""]
    for target in targets:
        line = _LENGTH.pack(len(target)) + target
        if len(pages[-1]) + len(line) + _LENGTH.size > _SLOT_BYTES:
            pages.append(b"")
        pages[-1] += line
    return [page + _END for page in pages if 0 < len(page) <= _SLOT_BYTES - len(_END)]


def _targets(path: str) -> list[bytes]:
    """All that was noted in a file, some of it perhaps long in place."""
    with open(path, "rb") as file:  # noqa: PTH123 - likewise
        pages = file.read(_MOST_SLOTS * _SLOT_BYTES)
    targets = []
    for start in range(0, len(pages), _SLOT_BYTES):
        page = pages[start : start + _SLOT_BYTES]
        begin = _LENGTH.size
        while begin <= len(page):
            (length,) = _LENGTH.unpack_from(page, begin - _LENGTH.size)
            if not length:
                break
            targets.append(page[begin : begin + length])
            begin += length + _LENGTH.size
    return targets
