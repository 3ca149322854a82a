"""Which names of a run are one file at a destination that ignores case. Nothing, elsewhere.

    every source key ─▶ see ──▶ kept at the destination, whatever its case there
    to be written    ─▶ take ─▶ "" or the key that has the name already

Two such keys would overwrite each other, without an error and in the order of chance. Where that
cannot happen, nothing is remembered; elsewhere 16 bytes a key, in a table at most two thirds
full, and the keys themselves in a temporary file without a name.
"""

import contextlib
from array import array
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from osssync.errors import LocalFileError
from osssync.local.case import folded

_SLOTS = 1 << 10  # to begin with; a power of two
_SEEN = 1  # the value of a name that is in the source, and not taken; others are places + 2
_64_BITS = (1 << 64) - 1


class Namesakes:
    """The names one run has seen. For one thread; close it by ``with``.

    Args:
        ignores_case: whether the destination does; asked once, when the first key is seen.

    ``see`` and ``take`` may raise:
        LocalFileError: there is no room for temporary files.
    """

    def __init__(self, ignores_case: Callable[[], bool]) -> None:
        self._ignores_case = ignores_case
        self._is_asked = False
        self._keys: IO[bytes] | None = None  # none: all is remembered that has to be
        self._end = 0
        self._names = _Table()
        self._folder = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keys is not None:
            with contextlib.suppress(OSError):  # what it would write out nobody will read
                self._keys.close()

    @property
    def matter(self) -> bool:
        """Whether the destination ignores case, as far as any key was seen."""
        return self._keys is not None

    def see(self, key: str) -> None:
        """A key of the source, to be transferred or not."""
        if not self._is_asked:
            self._is_asked = True
            if self._ignores_case():
                self._keys = self._open()
        if self._keys is None:
            return
        self._names.add(_hash(key))
        folder = key.rpartition("/")[0]
        if folder == self._folder:
            return
        self._folder = folder  # of the key before this one: most keys share it
        while folder:
            self._names.add(_hash(f"{folder}/"))
            folder = folder.rpartition("/")[0]

    def matter_for(self, key: str) -> bool:
        """Whether the destination ignores case; of a key of the source, which may be the first."""
        if not self._is_asked:
            self.see(key)
        return self.matter

    def take(self, key: str) -> str:
        """Have a file's name for this key, which was seen; else the key that has it.

        Every key takes its name at most once in a run.
        """
        if self._keys is None:
            return ""
        name = _hash(key)
        value = self._names.get(name)
        if value > _SEEN:
            first = self._read(value - _SEEN - 1)
            return first if folded(first) == folded(key) else ""  # else two names of one hash
        self._names.put(name, self._append(key) + _SEEN + 1)
        return ""

    def is_of_source(self, key: str) -> bool:
        """Whether the source has this key, or another that is the same file or directory."""
        return self._keys is not None and self._names.get(_hash(key)) != 0

    def _open(self) -> IO[bytes]:
        import tempfile  # most runs need none

        try:
            return tempfile.TemporaryFile(prefix="osssync-")
        except OSError as error:
            raise _no_room(error) from error

    def _append(self, key: str) -> int:
        place, line = self._end, key.encode("utf-8", "surrogatepass")
        try:
            self._file.seek(place)
            self._file.write(len(line).to_bytes(2, "big") + line)
        except OSError as error:
            raise _no_room(error) from error
        self._end += 2 + len(line)
        return place

    def _read(self, place: int) -> str:
        try:
            self._file.seek(place)
            length = int.from_bytes(self._file.read(2), "big")
            return self._file.read(length).decode("utf-8", "surrogatepass")
        except OSError as error:
            raise _no_room(error) from error

    @property
    def _file(self) -> IO[bytes]:
        if self._keys is None:
            raise AssertionError("names are remembered where case is ignored, and only there")
        return self._keys


class _Table:
    """Numbers by hashes, open addressing: a ``dict`` of two ints would take five times as much."""

    def __init__(self, slots: int = _SLOTS) -> None:
        self._hashes = array("Q", bytes(8 * slots))
        self._values = array("Q", bytes(8 * slots))
        self._used = 0

    def get(self, name: int) -> int:
        """The value of a hash, 0 if it has none."""
        return self._values[self._slot(name)]

    def add(self, name: int) -> None:
        """Let a hash that has no value be seen."""
        if not self.get(name):
            self.put(name, _SEEN)

    def put(self, name: int, value: int) -> None:
        """Give a hash a value other than 0."""
        slot = self._slot(name)
        if not self._values[slot]:
            self._used += 1
            self._hashes[slot] = name
        self._values[slot] = value
        if self._used * 3 > len(self._values) * 2:
            self._grow()

    def _slot(self, name: int) -> int:
        mask = len(self._hashes) - 1
        slot = name & mask
        while self._values[slot] and self._hashes[slot] != name:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        bigger = _Table(2 * len(self._hashes))
        for name, value in zip(self._hashes, self._values, strict=True):
            if value:
                bigger.put(name, value)
        self._hashes, self._values = bigger._hashes, bigger._values


def _hash(key: str) -> int:
    return hash(folded(key)) & _64_BITS


def _no_room(error: OSError) -> LocalFileError:
    return LocalFileError(
        f"the names of this run cannot be kept in a temporary file: {error.strerror}; free some "
        "space there, or set TMPDIR to another directory"
    )
