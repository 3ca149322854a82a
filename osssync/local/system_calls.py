"""The two system calls Python lacks: ``fallocate`` and ``syncfs``.

``os.posix_fallocate`` is not used: where the file system has no preallocation, glibc imitates it
by writing into every block, which takes minutes for a large file.

Source: fallocate(2), posix_fallocate(3) "NOTES", syncfs(2); read 2026-11.
"""

import errno
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_NO_PREALLOCATION = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_TRIAL_BYTES = 1 << 22
_TRIAL_S = 0.0003  # what keeps extents needs microseconds; tmpfs makes every page at once, in 1 ms


def preallocate(fd: int, size: int) -> None:
    """Give an empty file its size, its blocks reserved where that costs next to nothing.

    Where reserving takes as long as writing (tmpfs), it is only looked whether there is room: all
    else would wait for it, 0.25 s for each GiB.

    Raises:
        OSError: no room for it, or any other failure.
    """
    if size == 0:
        return
    fallocate = _function("fallocate64", "fallocate")
    if fallocate is None:
        os.ftruncate(fd, size)
        return
    import ctypes

    began_s = time.perf_counter()
    try:
        _call(fallocate, fd, 0, ctypes.c_int64(0), ctypes.c_int64(min(size, _TRIAL_BYTES)))
        if size <= _TRIAL_BYTES:
            return
        if time.perf_counter() - began_s < _TRIAL_S:
            _call(fallocate, fd, 0, ctypes.c_int64(0), ctypes.c_int64(size))
            return
        _check_room(fd, size)
    except OSError as error:
        if error.errno not in _NO_PREALLOCATION:
            raise
    os.ftruncate(fd, size)


def _check_room(fd: int, size: int) -> None:
    """Raise OSError where a file of ``size`` bytes, some of them reserved, has no room."""
    status = os.fstatvfs(fd)
    room = status.f_bfree * status.f_frsize + os.fstat(fd).st_blocks * 512
    if status.f_blocks and room < size:  # no blocks at all: without a limit
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sync_file_system(fd: int) -> None:
    """Make everything written to the file system of ``fd`` durable, names included.

    Raises:
        OSError: something written there could not be stored.
    """
    syncfs = _function("syncfs")
    if syncfs is None:
        os.sync()
    else:
        _call(syncfs, fd)


@lru_cache(maxsize=4)
def _function(*names: str) -> Callable[..., int] | None:
    """The C library's function by its first name that exists; it runs without the GIL."""
    import ctypes  # most runs need neither call

    library = ctypes.CDLL(None, use_errno=True)
    return next((getattr(library, name) for name in names if hasattr(library, name)), None)


def _call(function: Callable[..., int], *arguments: Any) -> None:  # noqa: ANN401 - C values
    import ctypes

    while function(*arguments) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
