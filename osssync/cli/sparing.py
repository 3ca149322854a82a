"""Imports without what they could have and do not need.

msgspec asks for typing_extensions, which takes longer to load than msgspec itself, and is content
without it: all that it wants from there is in the typing of Python 3.11.
"""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def sparing(name: str) -> Iterator[None]:
    """As long as this lasts, no import finds this module; unless it is loaded already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # "importing it raises" (sys.modules)
    try:
        yield
    finally:
        del sys.modules[name]
