"""The package's log, which costs nothing while nobody has loaded ``logging``.

Whoever has not loaded it has no handler that would show what is below WARNING, and loading it takes
2 ms of every start.
"""

import sys
from typing import Any

_DEBUG, _INFO, _WARNING = 10, 20, 30  # as logging has them


class Log:
    """Writes to ``logging``'s logger of that name."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, text: str, *arguments: Any) -> None:  # noqa: ANN401 - whatever can be formatted
        """For whoever follows every step (-vv)."""
        self._write(_DEBUG, text, arguments)

    def info(self, text: str, *arguments: Any) -> None:  # noqa: ANN401
        """For whoever wants to know how it goes (-vv)."""
        self._write(_INFO, text, arguments)

    def warning(self, text: str, *arguments: Any) -> None:  # noqa: ANN401
        """For everybody; without a handler it goes to stderr."""
        self._write(_WARNING, text, arguments)

    def _write(self, level: int, text: str, arguments: tuple[Any, ...]) -> None:
        if level < _WARNING and "logging" not in sys.modules:
            return
        import logging

        logging.getLogger(self._name).log(level, text, *arguments, stacklevel=3)
