"""What an ``OSError`` means to the user: the path, the system's words, and what to do."""

import errno
from collections.abc import Iterable

from osssync.errors import DiskFullError, LocalFileError
from osssync.keys import display

_FULL = {
    errno.ENOSPC: "no space or inodes are left there: free some and run again",
    errno.EDQUOT: "your quota is used up there: free some or raise it, and run again",
}
_ADVICE = {
    errno.EROFS: "the file system is read-only: remount it, or choose another directory",
    errno.EACCES: "give this user permission, or run as one who has it",
    errno.EPERM: "give this user permission; the file may be immutable (lsattr)",
    errno.EMFILE: "lower --jobs, or raise the limit of open files (ulimit -n)",
    errno.ENFILE: "lower --jobs, or raise the system's limit of open files (fs.file-max)",
    errno.ENAMETOOLONG: "this file system takes no name as long: exclude it or rename the object",
    errno.EILSEQ: "this file system takes no such name: exclude it or rename the object",
    errno.EFBIG: "this file system (or ulimit -f) takes no file as large: choose another directory",
    errno.EIO: "the disk or its server failed: look into the system's log before running again",
    errno.ESTALE: "the network file system lost the file: remount it and run again",
    errno.ENOTCONN: "the network file system is gone: remount it and run again",
    errno.ENOTDIR: "a file stands where a directory is needed: choose another directory",
    errno.EEXIST: "a file stands where a directory is needed: choose another directory",
    errno.ETXTBSY: "the file is a running program: stop it and run again",
    errno.EBUSY: "it is a mount point or in use: unmount it, or choose another directory",
}


def local_error(doing: str, path: str, error: OSError) -> LocalFileError:
    """The error of our family for a failed system call.

    Args:
        doing: what failed, as in "write".
        path: on which path; it is made safe for a terminal.
        error: what the system said.
    """
    number = error.errno or 0
    said = error.strerror or type(error).__name__
    advice = _FULL.get(number) or _ADVICE.get(number)
    message = f"cannot {doing} {display(path)}: {said}"
    if advice:
        message = f"{message}; {advice}"
    return DiskFullError(message) if number in _FULL else LocalFileError(message)


def joined(root: str, components: Iterable[str]) -> str:
    """The path as the user knows it."""
    return "/".join((root.rstrip("/"), *components))
