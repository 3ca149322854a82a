"""Entries put by in a temporary file, so that a million of them need no memory.

Deletes happen when all transfers are over, and whether at all depends on how many there are: so
what is to be deleted has to be kept somewhere. The file has no name and ends with its process.
"""

import contextlib
import errno
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from osssync.errors import DiskFullError, LocalFileError
from osssync.model import Entry, EntryKind

# kind, size, mtime_ns; then the bytes of key, etag, storage class and note
_HEAD = struct.Struct("<BqqIIII")
_KINDS = tuple(EntryKind)
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class Spool:
    """Entries in the order in which they were appended. For one thread; close it by ``with``.

    Any text is kept as it is, line breaks and lone surrogates included.

    Every method may raise:
        DiskFullError: no space is left in the directory for temporary files.
        LocalFileError: it cannot be used.
    """

    def __init__(self) -> None:
        import tempfile  # most runs need none

        self._count = 0
        try:
            self._file = tempfile.TemporaryFile(prefix="osssync-")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise _spool_error(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        """All entries appended so far. Append none meanwhile: there is one position in the file."""
        try:
            self._file.seek(0)
            while head := self._file.read(_HEAD.size):
                yield self._read_entry(head)
        except OSError as error:
            raise _spool_error(error) from error

    def append(self, entry: Entry) -> None:
        """Put an entry by."""
        texts = [
            text.encode("utf-8", "surrogatepass")
            for text in (entry.key, entry.etag, entry.storage_class, entry.note)
        ]
        kind = _KINDS.index(entry.kind)
        head = _HEAD.pack(kind, entry.size, entry.mtime_ns, *map(len, texts))
        try:
            self._file.write(b"".join((head, *texts)))
        except OSError as error:
            raise _spool_error(error) from error
        self._count += 1

    def close(self) -> None:
        """Forget everything."""
        with contextlib.suppress(OSError):  # closing writes out what nobody will read
            self._file.close()

    def _read_entry(self, head: bytes) -> Entry:
        kind, size, mtime_ns, *lengths = _HEAD.unpack(head)
        key, etag, storage_class, note = (
            self._file.read(length).decode("utf-8", "surrogatepass") for length in lengths
        )
        return Entry(key, size, mtime_ns, _KINDS[kind], etag, storage_class, note)


def _spool_error(error: OSError) -> LocalFileError:
    what = f"the list of deletes cannot be kept in a temporary file: {error.strerror}"
    advice = "free some space there, or set TMPDIR to another directory"
    kind = DiskFullError if error.errno in _FULL else LocalFileError
    return kind(f"{what}; {advice}")
