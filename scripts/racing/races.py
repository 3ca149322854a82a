"""What is raced: the materials, and every race by name. Pure; runs nothing."""

import fnmatch
from dataclasses import dataclass
from enum import Enum
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
OBJECTS_A_FOLDER: Final = 1000


class Direction(Enum):
    """Which way the bytes go."""

    DOWN = "down"
    UP = "up"
    NOTHING = "noop"  # both sides are equal: nothing may be transferred


@dataclass(frozen=True, slots=True)
class Material:
    """Objects of one size (bytes); ``quick`` is how many of which size stand in for development."""

    name: str
    count: int
    size: int
    quick: tuple[int, int]

    @property
    def total(self) -> int:
        """Bytes of all objects."""
        return self.count * self.size

    def shrunk(self) -> "Material":
        """The same kind, for development."""
        count, size = self.quick
        return Material(self.name, count, size, self.quick)

    def fitted(self, room: int) -> "Material":
        """As much of it as ``room`` bytes hold: fewer objects, or smaller ones if there is one."""
        count, size = self.count, self.size
        while count * size > room and (count > 1 or size > MIB):
            if count > 1:
                count = (count + 1) // 2
            else:
                size //= 2
        return Material(self.name, count, size, self.quick)

    def key(self, index: int) -> str:
        """Key and relative path of one object."""
        if self.count == 1:
            return "object"
        return f"d{index // OBJECTS_A_FOLDER:03}/f{index:06}"


LARGE: Final = Material("large", 1, GIB, (1, 64 * MIB))
WIDE: Final = Material("wide", 8, 256 * MIB, (4, 16 * MIB))
MEDIUM: Final = Material("medium", 2000, MIB, (50, MIB))
SMALL: Final = Material("small", 20_000, 4 * KIB, (1000, 4 * KIB))
# Listed, never read: the server makes such keys up, and the local files are sparse.
SYNTHETIC: Final = Material("synthetic", 100_000, 0, (2000, 0))

LATENCIES_MS: Final = (0, 5, 30)


@dataclass(frozen=True, slots=True)
class Race:
    """One race: a material, a way, and what lies between client and server.

    ``latency_ms`` is added by the server to every request.
    """

    material: Material
    direction: Direction
    latency_ms: int = 0
    tls: bool = False

    @property
    def name(self) -> str:
        """As ``--only`` takes it, such as ``small-down-5ms``."""
        words = [self.material.name, self.direction.value]
        if self.direction is Direction.NOTHING:
            words = [self.direction.value]
        if self.latency_ms:
            words.append(f"{self.latency_ms}ms")
        if self.tls:
            words.append("tls")
        return "-".join(words)

    @property
    def bucket(self) -> str:
        """Where the objects are, or go."""
        return "incoming" if self.direction is Direction.UP else self.material.name

    @property
    def unit(self) -> str:
        """What a speed counts: large objects are bytes, small ones are objects."""
        return "MB/s" if self.material.size >= MIB else "objects/s"

    @property
    def amount(self) -> float:
        """How many units one run moves."""
        return self.material.total / 1e6 if self.unit == "MB/s" else self.material.count


def every_race() -> list[Race]:
    """All races, those without latency and TLS first; races of one material are neighbours."""
    races = []
    for material in (SMALL, LARGE, WIDE, MEDIUM):
        for direction in (Direction.DOWN, Direction.UP):
            races += [Race(material, direction, latency_ms) for latency_ms in LATENCIES_MS]
            races.append(Race(material, direction, tls=True))
    races += [Race(SYNTHETIC, Direction.NOTHING, latency_ms) for latency_ms in LATENCIES_MS]
    return races


def chosen(races: list[Race], patterns: list[str]) -> list[Race]:
    """The races that one of the shell patterns names; all if there is no pattern.

    Raises:
        ValueError: a pattern names no race.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(race.name, pattern) for race in races):
            raise ValueError(f"no race is called {pattern}")
    return [
        race
        for race in races
        if not patterns or any(fnmatch.fnmatchcase(race.name, pattern) for pattern in patterns)
    ]
