"""When what was written becomes durable, as ``--fsync`` asks: together, each at once, or never.

    batch  large file: fsync ─▶ rename; for all: one syncfs every few seconds and at the end
    each   file: fsync ─▶ rename ─▶ fsync of its directory
    none   nothing

A sync of everything now and then costs far less than one per file, and what was not synced yet
when the power failed is transferred again. Flushing goes on beside the work, in a thread of its
own: a syncfs waits for everything that anybody has written to that file system.

Source: fsync(2), syncfs(2) "VERSIONS" (an error is told once per descriptor); read 2026-11.
"""

import os
import threading

from osssync.config import Fsync
from osssync.errors import LocalFileError
from osssync.local.directories import Directory
from osssync.local.failures import local_error
from osssync.local.system_calls import sync_file_system

FLUSH_S = 5.0
"""Between two syncs: as long as ext4 keeps names back on its own (its ``commit=`` default)."""

_FAREWELL_S = 1.0  # for a sync that is under way when all is closed; a dead disk takes longer


class Durability:
    """Makes the files of one destination durable. Safe to use from many threads.

    Args:
        path: of the destination, for messages.
        fsync: when.
    """

    def __init__(self, path: str, fsync: Fsync) -> None:
        self._path = path
        self._is_each = fsync is Fsync.EACH
        self._is_batch = fsync is Fsync.BATCH
        self._lock = threading.Lock()  # guards the two below
        self._unsynced: set[int] = set()  # devices
        self._descriptors: dict[int, int] = {}  # by device: one to syncfs by
        self._flushing = threading.Lock()  # held while a flush is under way
        self._lost: LocalFileError | None = None  # the system says it once; we, from then on
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def written(self, fd: int, *, is_large: bool) -> None:
        """A file is complete, and about to get its name.

        Raises:
            OSError: it could not be stored.
        """
        if self._is_each or (is_large and self._is_batch):
            os.fsync(fd)

    def named(self, directory: Directory) -> None:
        """Something has got its name in this directory; called after that, never before.

        Raises:
            OSError: the name could not be stored.
        """
        if self._is_each:
            os.fsync(directory.fd)
        elif self._is_batch and directory.device not in self._unsynced:
            # No lock is needed to see it is remembered: a flush that takes this set syncs later.
            self._remember(directory)

    def flush(self) -> None:
        """Make everything that has its name by now durable, by one syncfs per file system.

        Raises:
            LocalFileError: something written could not be stored, now or earlier. What it was is
                not known, so nothing may be called done.
        """
        with self._flushing:
            self._flush()
            if self._lost is not None:
                raise self._lost

    def close(self) -> None:
        """Close every descriptor. Nothing is flushed; closing again is harmless."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_FAREWELL_S)
            if self._thread.is_alive():  # a closed descriptor's number would be another file's
                return
        with self._lock:
            descriptors, self._descriptors = self._descriptors, {}
            self._unsynced = set()
        for fd in descriptors.values():
            os.close(fd)

    def _remember(self, directory: Directory) -> None:
        with self._lock:
            if self._closing.is_set():
                return
            if directory.device not in self._descriptors:
                self._descriptors[directory.device] = os.dup(directory.fd)
            self._unsynced.add(directory.device)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="osssync-flush", daemon=True
                )
                self._thread.start()

    def _serve(self) -> None:
        while not self._closing.wait(FLUSH_S):
            with self._flushing:
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
            descriptors = [self._descriptors[device] for device in unsynced]
        try:
            for fd in descriptors:
                sync_file_system(fd)
        except OSError as error:
            self._lost = local_error("flush", self._path, error)
