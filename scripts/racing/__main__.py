"""``scripts/bench``: what is asked for, then tools, server, races, and the files they leave."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from racing import material, peers, results
from racing.chart import chart
from racing.course import Course
from racing.races import SYNTHETIC, Race, chosen, every_race
from racing.serving import serving
from racing.workshop import PACKAGES, Tools, WorkshopError, cache_folder, equip

QUICK_TIMEOUT_S: Final = 60.0
TIMEOUT_S: Final = 300.0


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Race osssync against its peers on loopback, in memory, every byte checked.",
        epilog="A peer five times slower than the fastest runs once. All races take about an hour.",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--only", default="", help="races, comma-separated; * and ? match")
    parser.add_argument("--peers", default="", help="peers, comma-separated; osssync always")
    parser.add_argument("--rounds", type=int, help="runs of each peer in each race [3; quick 1]")
    parser.add_argument(
        "--out",
        type=Path,
        default=cache_folder() / "results",
        help="folder for bench.json and bench.svg [%(default)s]",
    )
    parser.add_argument("--osssync", type=Path, help="race this program instead of .venv's")
    parser.add_argument("--list", action="store_true", help="name races and peers, do nothing")
    parsed = parser.parse_args(words)
    if parsed.rounds is not None and parsed.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        parsed.races = chosen(every_race(), _names(parsed.only))
        parsed.starters = peers.chosen(_names(parsed.peers))
    except ValueError as error:
        parser.error(str(error))
    return parsed


def main(words: Sequence[str]) -> int:
    """Runs the races; 0 if every client that ran did what it should, else 1."""
    parsed = arguments(words)
    if parsed.list:
        sys.stdout.write("\n".join(race.name for race in parsed.races) + "\n\n")
        sys.stdout.write("\n".join(peer.name for peer in parsed.starters) + "\n")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and memory go too
    try:
        tools = equip(cache_folder())
        if parsed.osssync:
            tools = replace(tools, osssync=parsed.osssync.absolute())
        with tempfile.TemporaryDirectory(prefix="osssync-bench-", dir=material.MEMORY) as place:
            outcome = _compete(parsed, tools, Path(place))
    except WorkshopError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    parsed.out.mkdir(parents=True, exist_ok=True)
    (parsed.out / "bench.json").write_text(results.document(outcome, _machine(tools)))
    (parsed.out / "bench.svg").write_text(chart(outcome))
    sys.stdout.write(f"{results.summary(outcome)}\n{parsed.out}/bench.json, bench.svg\n")
    return int(any(score.problem for result in outcome for score in result.scores))


def _compete(parsed: argparse.Namespace, tools: Tools, place: Path) -> list[results.Result]:
    place.chmod(0o755)  # the TLS front has dropped its rights when it reads its certificate
    room = material.room(place)
    races = [_sized(race, room, quick=parsed.quick) for race in parsed.races]
    synthetic = next((race.material.count for race in races if race.material.size == 0), 0)
    (place / "buckets").mkdir()
    outcome = []
    with serving(tools, place / "buckets", synthetic) as server:
        course = Course(
            tools=tools,
            server=server,
            place=place,
            peers=parsed.starters,
            rounds=parsed.rounds or (1 if parsed.quick else 3),
            timeout_s=QUICK_TIMEOUT_S if parsed.quick else TIMEOUT_S,
        )
        for result in course.run(races):
            sys.stdout.write(results.table(result) + "\n")
            sys.stdout.flush()
            outcome.append(result)
    return outcome


def _sized(race: Race, room: int, *, quick: bool) -> Race:
    wanted = race.material.shrunk() if quick else race.material
    if wanted.name == SYNTHETIC.name:
        return replace(race, material=wanted)
    fitted = wanted.fitted(room)
    if fitted != wanted:
        sys.stderr.write(
            f"{race.name}: memory holds {room >> 20} MiB of sources, so "
            f"{fitted.count} x {fitted.size} bytes instead of {wanted.count} x {wanted.size}\n"
        )
    return replace(race, material=fitted)


def _machine(tools: Tools) -> Mapping[str, str]:
    freeze = subprocess.run(  # noqa: S603 - the workshop's own pip
        [tools.program("python"), "-m", "pip", "freeze", "--disable-pip-version-check"],
        check=False,
        text=True,
        capture_output=True,
    )
    raced = {name.split(">=")[0].split("[")[0] for name in PACKAGES}
    lines = [line for line in freeze.stdout.split() if line.split("==")[0] in raced]
    return {
        "cpus": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "osssync": version("osssync"),
        "peers": " ".join(lines),
    }


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
