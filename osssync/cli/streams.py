"""The standard streams as the world hands them over: closed, broken, full, in any encoding."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import IO, Any

from osssync.errors import LocalFileError


def prepare_streams() -> None:
    """Have all three streams open, and able to write any name.

    A closed stream's number would go to the next file that is opened, and what is meant for
    people would be written into it. Reading a closed standard input stays an error: an empty
    stream would become an empty object.
    """
    sys.stdin = sys.stdin or _reopened(0, os.O_WRONLY, "r")
    sys.stdout = sys.stdout or _reopened(1, os.O_WRONLY, "w")
    sys.stderr = sys.stderr or _reopened(2, os.O_WRONLY, "w")
    for stream in (sys.stdout, sys.stderr):
        # File names need not be UTF-8; a line about one must not end the run.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


@contextlib.contextmanager
def writing_output() -> Iterator[None]:
    """Around writes to standard output: a disk that is full is explained.

    Raises:
        BrokenPipeError: its reader is gone, which needs no explanation.
        LocalFileError: it cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(error) from error


def unwritable(error: OSError) -> LocalFileError:
    """Why nothing more can be said."""
    return LocalFileError(f"cannot write to standard output: {error.strerror}")


def write_output(data: memoryview) -> None:
    """Write bytes to standard output.

    Raises:
        BrokenPipeError: its reader is gone.
        LocalFileError: it cannot be written.
    """
    with writing_output():
        sys.stdout.buffer.write(data)


def flush_output() -> None:
    """Write what is still held back; errors as of ``write_output``."""
    with writing_output():
        sys.stdout.flush()


def drop_output() -> None:
    """Let standard output lead nowhere, so that what python flushes at exit cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _reopened(number: int, flags: int, mode: str) -> IO[Any]:
    descriptor = os.open(os.devnull, flags)
    if descriptor != number:
        os.dup2(descriptor, number)
        os.close(descriptor)
    return os.fdopen(number, mode, encoding="utf-8")
