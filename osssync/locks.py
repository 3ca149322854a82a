"""One run at a time for one job: a file under an exclusive lock while the run lasts.

    open ─ lock it ─ free ─▶ write who we are ─▶ the run ─▶ empty the file, close: unlocked
               └─ busy ─ wait and try again, up to ``wait_s`` ─▶ LockBusyError: who, since when

The lock is the kernel's, not the file's existence: it ends with the process, kill -9 included, and
a file that is left over means nothing. The file is never removed: a run that had opened the
removed one would hold a lock that nobody else sees.

Where the state directory cannot be written, or its file system has no locks, the run goes on
without one and says so: a read-only container must be able to transfer, and the part files of two
runs are checked before they become visible anyway. On NFS (Linux 2.6.12 and later) flock is a lock
of the server's, seen by every client; a mount with ``local_lock=flock`` keeps it to one machine.

Source: flock(2), open(2), nfs(5).
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from osssync.errors import InterruptedRunError, LockBusyError

POLL_S = 0.2  # between two tries; there is no waiting for a flock with a bound
_HOLDER_BYTES = 512

_held: set["Lock"] = set()  # what a forked child has to close


class Lock:
    """A job's lock, held until ``release`` or the end of the process. Made by ``acquire``.

    Args:
        path: of the lock file.
        fd: of the locked file, owned from now on; None when it is not locked.
    """

    def __init__(self, path: Path, fd: int | None) -> None:
        self.path = path
        self._fd = fd
        if fd is not None:
            _held.add(self)

    @property
    def held(self) -> bool:
        """Whether anybody else is kept out: False after a warning, and after ``release``."""
        return self._fd is not None

    def release(self) -> None:
        """Let others run this job; again is harmless."""
        if self._fd is not None:
            with contextlib.suppress(OSError):  # a name left in the file is only a name
                os.ftruncate(self._fd, 0)
        self.close()

    def close(self) -> None:
        """Close the file and no more: the lock ends when nobody else has it open, as a fork has."""
        fd, self._fd = self._fd, None
        _held.discard(self)
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def acquire(
    path: Path,
    wait_s: float,
    *,
    wait: Callable[[float], bool],
    warn: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Lock:
    """Lock a job, or find out who has it.

    Args:
        path: of the lock file, one for each pair of source and destination; it and its directory
            are made for this user alone.
        wait_s: how long to wait for another run to end; 0 to try once.
        wait: waits the seconds it is given and says whether to stop, like ``Event.wait``.
        warn: hears why there is no lock where there can be none.
        clock: seconds, never going back.

    Returns:
        The lock, not ``held`` after a warning.

    Raises:
        LockBusyError: another run has it still.
        InterruptedRunError: ``wait`` said stop.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return _unlocked(path, error, warn)
    try:
        _await(fd, path, wait_s, wait, clock)
    except OSError as error:
        os.close(fd)
        return _unlocked(path, error, warn)
    except BaseException:
        os.close(fd)
        raise
    _write_holder(fd)
    return Lock(path, fd)


def _await(
    fd: int,
    path: Path,
    wait_s: float,
    wait: Callable[[float], bool],
    clock: Callable[[], float],
) -> None:
    deadline_s = clock() + wait_s
    while not _try_lock(fd):
        left_s = deadline_s - clock()
        if left_s <= 0:
            raise LockBusyError(_about_holder(fd, path, wait_s))
        if wait(min(POLL_S, left_s)):
            raise InterruptedRunError(f"stopped while waiting for the lock {path}")


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlocked(path: Path, error: OSError, warn: Callable[[str], None]) -> Lock:
    warn(
        f"no lock: {path}: {error.strerror}. Another run of this job at the same time would not be "
        "noticed; give a --state-dir that can be written"
    )
    return Lock(path, None)


def _write_holder(fd: int) -> None:
    """Say who we are, for people: the lock does not depend on it, so a full disk is no obstacle."""
    since = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(
            fd, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0
        )


def _about_holder(fd: int, path: Path, wait_s: float) -> str:
    try:
        who = os.pread(fd, _HOLDER_BYTES, 0).decode(errors="replace").strip()
    except OSError:
        who = ""
    still = f" still, after {wait_s:g} s of waiting" if wait_s else ""
    return (
        f"another run of this job is under way{still}: {who or 'it has not said who it is yet'} "
        f"(lock {path}); let it end, or give --lock-wait to wait for it"
    )


def _close_all() -> None:
    """In a forked child, which would keep its parent's locks alive after the parent's end."""
    for lock in list(_held):
        lock.close()


os.register_at_fork(after_in_child=_close_all)
