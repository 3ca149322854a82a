"""What must survive a restart, as one append-only file of JSON lines.

Each line says ``[name, value]``; the last line of a name wins and ``null`` forgets it. A line is
written after the bytes it speaks of, so a killed emulator shows whole objects or none; a torn
last line is ignored. Opening writes the file anew without what was forgotten.
"""

import json
from pathlib import Path
from typing import Any, Protocol

Name = tuple[str, ...]


class Ledger(Protocol):
    """Where records go. Values are JSON documents."""

    def put(self, name: Name, value: dict[str, Any]) -> None:
        """Remember a value under a name."""

    def drop(self, name: Name) -> None:
        """Forget a name."""

    def close(self) -> None:
        """Write everything out."""


class NoLedger:
    """Objects in memory: nothing is remembered."""

    def put(self, name: Name, value: dict[str, Any]) -> None:
        """Do nothing."""

    def drop(self, name: Name) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class FileLedger:
    """A ledger in one file. ``records`` holds what earlier runs left, until it is taken."""

    def __init__(self, path: Path) -> None:
        self.records = _replay(path)
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8", errors="surrogatepass") as file:
            for name, value in self.records.items():
                file.write(_line(name, value))
        fresh.replace(path)
        # Line buffering: a killed process leaves whole lines to the kernel.
        self._file = path.open("a", buffering=1, encoding="utf-8", errors="surrogatepass")

    def put(self, name: Name, value: dict[str, Any]) -> None:
        """Remember a value under a name."""
        self._file.write(_line(name, value))

    def drop(self, name: Name) -> None:
        """Forget a name."""
        self._file.write(_line(name, None))

    def close(self) -> None:
        """Write everything out."""
        self._file.close()


def _line(name: Name, value: dict[str, Any] | None) -> str:
    return json.dumps([name, value], separators=(",", ":")) + "\n"


def _replay(path: Path) -> dict[Name, dict[str, Any]]:
    records: dict[Name, dict[str, Any]] = {}
    if not path.exists():
        return records
    for line in path.read_bytes().splitlines():
        try:
            name, value = json.loads(line)
        except ValueError:
            continue  # the torn last line of a killed run
        if value is None:
            records.pop(tuple(name), None)
        else:
            records.pop(tuple(name), None)  # keep the order of the last writing
            records[tuple(name)] = value
    return records
