"""What came out: medians, ratios, the table and the JSON. Pure."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from racing.measure import Run
from racing.peers import BARE, OSSSYNC
from racing.races import MIB, Race

_HEADINGS: Final = ("", "speed", "of osssync", "wall s", "CPU s", "RSS MiB", "runs")


@dataclass(frozen=True, slots=True)
class Score:
    """One client in one race, medians over its good runs.

    ``speed`` is in the race's unit; 0 and a problem where no run was good.
    """

    peer: str
    speed: float
    wall_s: float
    cpu_s: float
    rss: float
    runs: int
    problem: str | None
    walls_s: Sequence[float] = ()  # every good run, in order


@dataclass(frozen=True, slots=True)
class Result:
    """One race: scores in the order of the start, or why there was none."""

    race: Race
    scores: Sequence[Score]
    skipped: str | None = None

    def score(self, peer: str) -> Score | None:
        """A client's score; None if it did not finish."""
        found = [score for score in self.scores if score.peer == peer and not score.problem]
        return found[0] if found else None

    def fastest_peer(self) -> Score | None:
        """The best of the others; the bare loop is no client and does not count."""
        others = [
            score
            for score in self.scores
            if score.peer not in (OSSSYNC, BARE) and not score.problem
        ]
        return max(others, key=lambda score: score.speed, default=None)

    def ratio(self, to: Score | None) -> float | None:
        """How many times as fast as ``to`` osssync is; None if either has no score."""
        own = self.score(OSSSYNC)
        return own.speed / to.speed if own and to else None


def score(race: Race, peer: str, runs: Sequence[Run]) -> Score:
    """Medians of the runs that succeeded."""
    good = [run for run in runs if not run.problem]
    problem = next((run.problem for run in runs if run.problem), None)
    if not good:
        return Score(peer, 0.0, 0.0, 0.0, 0.0, 0, problem or "never ran")
    walls_s = [run.wall_s for run in good]
    wall_s = statistics.median(walls_s)
    cpu_s = statistics.median(run.cpu_s for run in good)
    rss = statistics.median(run.rss for run in good)
    return Score(peer, race.amount / wall_s, wall_s, cpu_s, rss, len(good), problem, walls_s)


def table(result: Result) -> str:
    """One race as text, fastest first; ``of osssync`` is a client's speed in osssync's."""
    race = result.race
    title = f"{race.name}: {race.material.count} x {_size(race)}, {race.unit}"
    if result.skipped:
        return f"{title}\n  skipped: {result.skipped}\n"
    own = result.score(OSSSYNC)
    lines = [title, _columns(_HEADINGS)]
    for each in sorted(result.scores, key=lambda each: -each.speed):
        if not each.runs:
            lines.append(f"  {each.peer:<15}{each.problem}")
            continue
        share = f"{each.speed / own.speed:.2f}" if own else "-"
        cells = (each.peer, f"{each.speed:,.0f}", share, f"{each.wall_s:.2f}")
        more = (f"{each.cpu_s:.2f}", f"{each.rss / MIB:.0f}", str(each.runs))
        note = f"  {each.problem}" if each.problem else ""
        lines.append(_columns((*cells, *more)) + note)
    return "\n".join(lines) + "\n"


def summary(results: Sequence[Result]) -> str:
    """A line for each race: osssync against the fastest peer and against the bare loop."""
    lines = [f"{'race':<20}{'fastest peer':<16}{'speed x':>9}{'CPU x':>8}{'RSS x':>8}{'bare x':>8}"]
    for result in results:
        own, best = result.score(OSSSYNC), result.fastest_peer()
        bare = result.score(BARE)
        if result.skipped or own is None or best is None:
            lines.append(f"{result.race.name:<20}{result.skipped or 'no comparison'}")
            continue
        figures = (
            own.speed / best.speed,
            own.cpu_s / best.cpu_s,
            own.rss / best.rss,
        )
        bare_cell = f"{own.speed / bare.speed:.2f}" if bare else "-"
        cells = "".join(
            f"{figure:>{width}.2f}" for figure, width in zip(figures, (9, 8, 8), strict=True)
        )
        lines.append(f"{result.race.name:<20}{best.peer:<16}{cells}{bare_cell:>8}")
    return "\n".join(lines) + "\n"


def document(results: Sequence[Result], machine: Mapping[str, str]) -> str:
    """Everything as JSON."""
    races = [
        {
            "race": result.race.name,
            "objects": result.race.material.count,
            "object_bytes": result.race.material.size,
            "unit": result.race.unit,
            "skipped": result.skipped,
            "osssync_to_fastest_peer": result.ratio(result.fastest_peer()),
            "osssync_to_bare_loop": result.ratio(result.score(BARE)),
            "scores": [asdict(each) for each in result.scores],
        }
        for result in results
    ]
    return json.dumps({"machine": dict(machine), "races": races}, indent=2) + "\n"


def _columns(cells: Sequence[str]) -> str:
    first, *rest = cells
    return f"  {first:<15}" + "".join(f"{cell:>11}" for cell in rest)


def _size(race: Race) -> str:
    size = race.material.size
    return f"{size // MIB} MiB" if size >= MIB else f"{size // 1024} KiB"
