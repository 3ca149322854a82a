"""Imports without what they could have and do not need.

msgspec asks for typing_extensions, which takes longer to load than msgspec itself, and is content
without it: all that it wants from there is in the typing of Python 3.11.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def sparing(name: str) -> Iterator[None]:
    """As long as this lasts, no import finds this module.

    Unless it is loaded already, or another thread might ask for it meanwhile: in a host it may.
    """
    if name in sys.modules or threading.active_count() > 1:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # "importing it raises" (sys.modules)
    try:
        yield
    finally:
        del sys.modules[name]
