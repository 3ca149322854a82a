"""The garbage collector of the program: at rest while it loads.

What is loaded stays until the end. Looking through it while it grows takes some 15 ms; and a forked
child that looks through it gets a copy of its own.
Only the program does this: in a host that calls ``main`` the collector is the host's.
"""

import contextlib
import gc
from collections.abc import Iterator

_is_ours = False  # a fact about the process


def rest_collecting() -> None:
    """Collect nothing until ``resume_collecting``: this process is the program."""
    global _is_ours  # noqa: PLW0603 - gc itself is as global, and counts what is frozen in 3 ms
    _is_ours = True
    gc.disable()


def resume_collecting() -> None:
    """Collect what is made from now on. Does nothing in a host."""
    if _is_ours:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Around imports of a command: they are not looked through either."""
    if _is_ours:
        gc.disable()
    try:
        yield
    finally:
        resume_collecting()
