"""The package's log, which costs nothing while nobody has loaded ``logging``.

Whoever has not loaded it has no handler that would show what is below WARNING, and loading it takes
2 ms of every start.
"""

import sys
from typing import Any


class Log:
    """Writes to ``logging``'s logger of that name."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, text: str, *arguments: Any) -> None:  # noqa: ANN401 - whatever can be formatted
        """For whoever follows every step (-vv)."""
        if "logging" in sys.modules:
            import logging

            logging.getLogger(self._name).debug(text, *arguments, stacklevel=2)

    def info(self, text: str, *arguments: Any) -> None:  # noqa: ANN401
        """For whoever wants to know how it goes (-vv)."""
        if "logging" in sys.modules:
            import logging

            logging.getLogger(self._name).info(text, *arguments, stacklevel=2)

    def warning(self, text: str, *arguments: Any) -> None:  # noqa: ANN401
        """For everybody; without a handler it goes to stderr."""
        import logging

        logging.getLogger(self._name).warning(text, *arguments, stacklevel=2)
