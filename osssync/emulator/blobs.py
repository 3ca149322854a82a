"""The bytes of objects: immutable pieces in memory or in files, shared and never copied.

An object's content is a sequence of extents. Completing a multipart upload, copying an object or
a range of one only makes new lists of extents; a file disappears when the last content that
refers to it, stored or being sent, is gone.
"""

import os
import secrets
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path


class BlobFile:
    """A file of the vault. It is unlinked when nothing refers to it any more.

    The reference count of Python is the reference count of the file: a GET that is being sent
    holds its extents, so an object may be deleted or overwritten under it, as on OSS.
    """

    __slots__ = ("_vault", "name")

    def __init__(self, vault: "Vault", name: str) -> None:
        self._vault = vault
        self.name = name

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self._vault.folder / self.name

    def __del__(self) -> None:
        if not self._vault.closed:
            with suppress(OSError):
                self.path.unlink()


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes ``[start, stop)`` of one piece."""

    source: bytes | BlobFile
    start: int
    stop: int

    def read(self) -> bytes:
        """The bytes themselves; meant for small extents."""
        if isinstance(self.source, bytes):
            return self.source[self.start : self.stop]
        with self.source.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.stop - self.start)


class Content:
    """An immutable sequence of extents."""

    __slots__ = ("_starts", "extents", "size")

    def __init__(self, extents: Iterable[Extent] = ()) -> None:
        self.extents = tuple(extent for extent in extents if extent.stop > extent.start)
        lengths = (extent.stop - extent.start for extent in self.extents)
        *self._starts, self.size = accumulate(lengths, initial=0)

    @classmethod
    def of(cls, data: bytes) -> "Content":
        """Content held in memory."""
        return cls((Extent(data, 0, len(data)),))

    @classmethod
    def join(cls, contents: Iterable["Content"]) -> "Content":
        """All contents, one after the other."""
        return cls(extent for content in contents for extent in content.extents)

    def slice(self, start: int, stop: int) -> "Content":
        """Bytes ``[start, stop)``; both must lie within the content."""
        if start == 0 and stop == self.size:
            return self
        first = max(bisect_right(self._starts, start) - 1, 0)
        cut: list[Extent] = []
        for extent, offset in zip(self.extents[first:], self._starts[first:], strict=True):
            if offset >= stop:
                break
            length = extent.stop - extent.start
            low, high = max(start - offset, 0), min(stop - offset, length)
            cut.append(Extent(extent.source, extent.start + low, extent.start + high))
        return Content(cut)

    def read(self) -> bytes:
        """Everything in one piece of memory."""
        return b"".join(extent.read() for extent in self.extents)


class Vault:
    """The folder that holds the files of contents. Thread-safe.

    Without ``root`` it is a temporary folder, made at the first file and removed by ``close``.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.persistent = root is not None
        self.closed = False
        self._folder = None if root is None else root / "blobs"
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="oss-emulator-"))
        return self._folder

    def create(self) -> tuple[BlobFile, int]:
        """A new empty file, and a descriptor to write it that the caller closes."""
        blob = BlobFile(self, secrets.token_hex(16))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return blob, os.open(blob.path, flags, 0o600)

    def open(self, name: str) -> BlobFile:
        """A file of an earlier run."""
        return BlobFile(self, name)

    def keep(self, data: bytes) -> Content:
        """Content of these bytes: in a file if contents outlive the process, else in memory."""
        if not data or not self.persistent:
            return Content.of(data)
        blob, descriptor = self.create()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        return Content((Extent(blob, 0, len(data)),))

    def sweep(self, names: set[str]) -> None:
        """Remove the files that no record names: left by a run that was killed."""
        for path in self.folder.iterdir():
            if path.name not in names:
                path.unlink()

    def close(self) -> None:
        """Keep the files of a persistent vault, remove a temporary one."""
        self.closed = True
        if not self.persistent and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
