"""One race after the other: lay out, run everybody in turn, check, score.

for each material: make it, load it into the server
    for each race of it:   a lap that does not count, then A B C, A B C, …
                           a different one first in every round
        empty the destination, claim its memory → run, timed → compare every byte
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from racing import material, results
from racing.measure import Run, measure
from racing.peers import Peer, Stage
from racing.races import Direction, Race
from racing.serving import Server
from racing.workshop import Tools

# So much slower than the fastest so far, and further rounds would tell nothing new.
HOPELESS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Course:
    """What all races of one call share. ``place`` is a folder in memory."""

    tools: Tools
    server: Server
    place: Path
    peers: Sequence[Peer]
    rounds: int
    timeout_s: float
    learned: set[str] = field(default_factory=set)

    @property
    def root(self) -> Path:
        """The folder whose folders are the server's buckets."""
        return self.place / "buckets"

    def run(self, races: Sequence[Race]) -> Iterator[results.Result]:
        """Runs the races in their order, which keeps those of one material together."""
        made = None
        for race in races:
            if race.tls and self.server.tls_port is None:
                yield results.Result(race, [], self.tools.tls_reason)
                continue
            if made != race.material:
                self._lay_out(race)
                made = race.material
            yield self._race(race)

    def _lay_out(self, race: Race) -> None:
        material.empty(self.root)
        material.empty(self.place / "equal")
        if race.direction is Direction.NOTHING:
            material.make_synthetic(race.material.count, self.place / "equal")
            return
        material.make(race.material, self.root / race.material.name)
        self.server.ask(f"load/{race.material.name}")

    def _race(self, race: Race) -> results.Result:
        self.server.ask(f"latency/{race.latency_ms * 1000}")
        runs: dict[str, list[Run]] = {peer.name: [] for peer in self.peers if peer.enters(race)}
        starters = [peer for peer in self.peers if peer.name in runs]
        if race.direction is Direction.UP:
            for peer in starters:
                self._learn(race, peer, runs[peer.name])
        elif starters:  # whoever fills so much memory first waits for the machine to hand it out
            self._one_run(race, starters[0])
        for number in range(self.rounds):
            first = number % max(1, len(starters))
            for peer in starters[first:] + starters[:first]:
                if worth_a_run(runs, peer.name):
                    runs[peer.name].append(self._one_run(race, peer))
        self.server.ask("latency/0")
        return results.Result(
            race, [results.score(race, name, each) for name, each in runs.items()]
        )

    def _learn(self, race: Race, peer: Peer, runs: list[Run]) -> None:
        """An upload that is not timed: the server reads every byte, and knows its CRC from then on.

        Once for each client and material. A failure is kept as the client's result.
        """
        if _profile(race, peer) not in self.learned:
            run = self._one_run(race, peer, "learn")
            self.learned.add(_profile(race, peer))
            if run.problem:
                runs.append(run)

    def _one_run(self, race: Race, peer: Peer, bodies: str = "trust") -> Run:
        scratch = self.place / "scratch"
        material.empty(scratch)
        files = self._files(race)
        if race.direction is Direction.DOWN:
            material.empty(files)
            material.claim(self.place / "claimed", race.material.total)
        self.server.ask("forget")
        if race.direction is Direction.UP:
            self.server.ask(f"{bodies}/{_profile(race, peer)}")
        port = self.server.tls_port if race.tls else self.server.port
        stage = Stage(race, self.tools, port or 0, self.server.ca, files, scratch)
        output = self.place / "output"
        output.mkdir(exist_ok=True)
        run = measure(peer.command(stage), output, self.timeout_s)
        if run.problem is None:
            run = replace(run, problem=self._difference(race, files))
        if race.direction is Direction.DOWN:
            material.empty(files)
        return run

    def _files(self, race: Race) -> Path:
        match race.direction:
            case Direction.UP:
                return self.root / race.material.name
            case Direction.DOWN:
                return self.place / "downloaded"
            case Direction.NOTHING:
                return self.place / "equal"

    def _difference(self, race: Race, files: Path) -> str | None:
        match race.direction:
            case Direction.DOWN:
                return material.difference(self.root / race.material.name, files)
            case Direction.UP:
                expected = self.server.ask(f"manifest/{race.material.name}")
                return material.uploads_difference(
                    expected, self.server.ask("received"), race.bucket
                )
            case Direction.NOTHING:
                counts = self.server.counts()
                if moved := counts["reads"] + counts["writes"]:
                    return f"{moved} objects were transferred"
                # A page has a thousand keys: whoever asked for fewer pages has not looked.
                whole = counts["listings"] * 1000 >= race.material.count
                return None if whole else "the bucket was not listed to its end"


def _profile(race: Race, peer: Peer) -> str:
    """Under what name the server remembers a client's bodies of one material."""
    return f"{peer.name}-{race.material.name}".replace(" ", "_")


def worth_a_run(runs: dict[str, list[Run]], name: str) -> bool:
    """Whether another run can change a client's place: not after a failure, not when hopeless."""
    own = runs[name]
    if not own:
        return True
    if any(run.problem for run in own):
        return False
    walls = [run.wall_s for each in runs.values() for run in each if not run.problem]
    return own[0].wall_s <= HOPELESS * min(walls)
