"""The races' arithmetic, command lines and byte checks; nothing is raced here."""

import json
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from racing import course, material, peers, races, results
from racing.__main__ import arguments
from racing.chart import chart
from racing.measure import Command, Run, measure
from racing.workshop import Tools

RACES = {race.name: race for race in races.every_race()}
SMALL_DOWN = replace(RACES["small-down"], material=races.Material("small", 100, 4096, (1, 1)))
TOOLS = Tools(Path("/peers"), Path("/venv/osssync"), Path("/server"), None, "no front")


def stage(name: str) -> peers.Stage:
    return peers.Stage(RACES[name], TOOLS, 4711, Path("/ca"), Path("/files"), Path("/scratch"))


def line(peer: str, race: str) -> list[str]:
    found = next(each for each in peers.PEERS if each.name == peer)
    return list(found.command(stage(race)).argv)


def made_result() -> results.Result:
    runs = {
        "osssync": [Run(1.0, 0.5, 50 << 20), Run(3.0, 0.7, 70 << 20), Run(2.0, 0.6, 60 << 20)],
        "juicefs": [Run(4.0, 1.2, 120 << 20)],
        "s5cmd": [Run(0.1, 0.1, 1 << 20, "exit code 1: <refused>")],
        "bare loop": [Run(1.6, 0.2, 10 << 20)],
    }
    return results.Result(
        SMALL_DOWN, [results.score(SMALL_DOWN, name, each) for name, each in runs.items()]
    )


def test_a_score_is_the_median_of_the_good_runs() -> None:
    """The middle of an odd number of runs, each figure for itself."""
    score = made_result().score("osssync")

    assert score is not None
    assert (score.wall_s, score.cpu_s, score.rss) == (2.0, 0.6, 60 << 20)
    assert score.speed == 50.0  # objects/s: 100 in 2 s


def test_ratios_are_to_the_fastest_client_that_did_its_work() -> None:
    """A client that failed quickly is not fast, and the bare loop is no client."""
    result = made_result()

    assert result.fastest_peer() == result.score("juicefs")
    assert result.ratio(result.fastest_peer()) == 2.0
    assert result.ratio(result.score("bare loop")) == 0.8


def test_a_table_names_every_client_and_why_one_failed() -> None:
    """Fastest first; a failure is a row, not an absence."""
    text = results.table(made_result())

    places = [text.index(name) for name in ("bare loop", "  osssync", "juicefs", "s5cmd")]
    assert places == sorted(places)
    assert "exit code 1: <refused>" in text


def test_a_summary_compares_speed_processor_and_memory() -> None:
    """Speed twice, half the CPU, half the memory, 0.8 of the bare loop."""
    last = results.summary([made_result()]).splitlines()[-1]

    assert last.split() == ["small-down", "juicefs", "2.00", "0.50", "0.50", "0.80"]


def test_a_race_without_runs_says_so_everywhere() -> None:
    """No TLS front: the reason stands in table, summary and document, and no bar is drawn."""
    result = results.Result(RACES["small-down-tls"], [], "no front")

    assert "skipped: no front" in results.table(result)
    assert "no front" in results.summary([result])
    assert json.loads(results.document([result], {}))["races"][0]["skipped"] == "no front"
    assert "small-down-tls" not in chart([result])


def test_a_document_holds_every_figure() -> None:
    """What the table rounds, the JSON does not."""
    document = json.loads(results.document([made_result()], {"cpus": "2"}))

    assert document["machine"] == {"cpus": "2"}
    assert document["races"][0]["osssync_to_bare_loop"] == 0.8
    assert [score["peer"] for score in document["races"][0]["scores"]] == [
        "osssync",
        "juicefs",
        "s5cmd",
        "bare loop",
    ]


def test_a_chart_draws_bars_in_proportion() -> None:
    """Well-formed; osssync at half a second an object less than the bare loop is 0.8 as long."""
    root = ET.fromstring(chart([made_result()]))

    widths = [
        int(bar.attrib["width"]) for bar in root.iter("{http://www.w3.org/2000/svg}rect")
        if bar.attrib["width"] != "100%"
    ]  # fmt: skip
    assert len(widths) == 3
    assert widths[1] / widths[0] == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("name", ["juicefs", "s5cmd", "rclone", "aws", "osssync"])
def test_a_way_up_is_the_way_down_turned_round(name: str) -> None:
    """Every client reads from where it writes to in the other direction; listings aside."""
    down, up = line(name, "small-down"), line(name, "small-up")

    assert down[-2 if name != "osssync" else 2].rstrip("*") == up[
        -1 if name != "osssync" else 3
    ].replace("incoming", "small")


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_nobody_is_sent_anywhere_but_loopback(peer: peers.Peer) -> None:
    """Every address on a command line is the server's, and no metadata service is asked."""
    command = peer.command(stage("large-down"))
    words = [word for word in command.argv if "4711" in word]

    assert words
    assert all("127.0.0.1:4711" in word for word in words)
    assert command.env["AWS_EC2_METADATA_DISABLED"] == "true"
    assert command.env["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"


def test_only_over_tls_a_client_gets_the_certificate() -> None:
    """The races' own authority is for the races' own front."""
    osssync = peers.PEERS[0]

    assert osssync.command(stage("small-down-tls")).env["SSL_CERT_FILE"] == "/ca"
    assert "--ca-file" in line("osssync", "small-down-tls")
    assert "SSL_CERT_FILE" not in osssync.command(stage("small-down")).env


def test_the_bare_loop_races_where_nothing_is_between() -> None:
    """It has no TLS, one request in flight, and no idea of what is equal already."""
    bare = next(peer for peer in peers.PEERS if peer.name == peers.BARE)

    entered = {name for name, race in RACES.items() if bare.enters(race)}
    assert entered == {
        f"{kind}-{way}" for kind in ("small", "large", "wide", "medium") for way in ("down", "up")
    }


def test_races_are_chosen_by_pattern_and_unknown_ones_are_refused() -> None:
    """A typing error must not race nothing, or everything."""
    every = races.every_race()

    assert [race.name for race in races.chosen(every, ["noop*"])] == [
        "noop",
        "noop-5ms",
        "noop-30ms",
    ]
    assert races.chosen(every, []) == every
    with pytest.raises(ValueError, match="smal-down"):
        races.chosen(every, ["smal-down"])


def test_names_of_peers_are_whole_or_their_first_word() -> None:
    """``rclone`` is rclone with and without tuning; osssync is always there."""
    assert [peer.name for peer in peers.chosen(["rclone"])] == ["osssync", "rclone", "rclone tuned"]
    with pytest.raises(ValueError, match="rclon"):
        peers.chosen(["rclon"])


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--only", "nothing"], ["--peers", "x"]])
def test_what_can_not_be_raced_is_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is installed or started."""
    with pytest.raises(SystemExit) as exit_info:
        arguments(words)

    assert exit_info.value.code == 2
    assert "error" in capsys.readouterr().err


def test_material_that_does_not_fit_shrinks() -> None:
    """Fewer objects; one object gets smaller; enough room changes nothing."""
    wide, large = races.WIDE, races.LARGE

    assert wide.fitted(wide.total) == wide
    assert wide.fitted(wide.total - 1).count == 4
    assert large.fitted(700 << 20).size == 512 << 20


def test_a_difference_of_one_byte_or_one_name_is_found(tmp_path: Path) -> None:
    """Names, sizes and every byte."""
    source, copy = tmp_path / "source", tmp_path / "copy"
    kind = races.Material("m", 3, (1 << 20) + 5, (1, 1))
    material.make(kind, source)
    material.make(kind, copy)
    assert material.difference(source, copy) == "d000/f000000 differs"
    for index in range(kind.count):
        (copy / kind.key(index)).write_bytes((source / kind.key(index)).read_bytes())

    assert material.difference(source, copy) is None

    with (copy / kind.key(2)).open("r+b") as file:
        file.seek(1 << 20)
        last = file.read(1)
        file.seek(1 << 20)
        file.write(bytes([last[0] ^ 1]))
    assert material.difference(source, copy) == "d000/f000002 differs"
    (copy / ".f.part").touch()
    assert material.difference(source, copy) == ("1 files are missing or too many, such as .f.part")


def test_memory_is_claimed_and_given_back(tmp_path: Path) -> None:
    material.claim(tmp_path / "claimed", 3 * races.MIB + 1)

    assert not list(tmp_path.iterdir())


def test_uploads_are_compared_without_their_bucket() -> None:
    """CRC, size and key of every object; one more, less or other is told."""
    source = "00aa 5 d/x\n00bb 6 d/y\n"

    assert material.uploads_difference(source, "00aa 5 in/d/x\n00bb 6 in/d/y\n", "in") is None
    odd = material.uploads_difference(source, "00aa 5 in/d/x\n", "in")
    assert odd == "1 objects differ, such as 00bb 6 d/y"


def test_synthetic_files_are_what_the_server_lists(tmp_path: Path) -> None:
    """Name, size and time follow from the number alone."""
    material.make_synthetic(1002, tmp_path)

    status = (tmp_path / "d0001" / "f00001001").stat()
    assert (status.st_size, status.st_mtime) == (1001, material.SYNTHETIC_TIME_S)
    server = (Path(course.__file__).parent / "server" / "store.rs").read_text()
    assert f"SYNTHETIC_TIME: i64 = {material.SYNTHETIC_TIME_S:_};" in server
    assert f"index % {material.SYNTHETIC_SIZES:_}" in server


def test_a_run_costs_what_its_children_cost(tmp_path: Path) -> None:
    """CPU time and memory of the whole tree, from a child that takes 64 MiB and computes."""
    program = "import time; x = b'1' * (64 << 20); end = time.process_time() + 0.3\n"
    program += "while time.process_time() < end: pass"
    shell = f'{sys.executable} -c "{program}"; true'

    run = measure(Command(["/bin/sh", "-c", shell], {}), tmp_path, 60.0)

    assert run.problem is None
    assert run.cpu_s >= 0.3
    assert run.wall_s >= 0.3
    assert run.rss >= 64 << 20


def test_a_failed_run_and_an_endless_one_are_problems(tmp_path: Path) -> None:
    """With what the program said last, or the time it had."""
    failed = measure(Command(["/bin/sh", "-c", "echo sorry >&2; exit 3"], {}), tmp_path, 60.0)
    endless = measure(Command(["/bin/sleep", "60"], {}), tmp_path, 0.2)

    assert failed.problem == "exit code 3: sorry"
    assert endless.problem == "not done after 0 s"


def test_the_hopeless_and_the_failed_do_not_run_again() -> None:
    """Five times slower than the fastest is enough to know the place."""
    runs = {
        "fast": [Run(1.0, 1, 1)],
        "slow": [Run(5.1, 1, 1)],
        "failed": [Run(0.5, 1, 1, "exit code 1")],
        "new": [],
    }

    again = {name: course.worth_a_run(runs, name) for name in runs}

    assert again == {"fast": True, "slow": False, "failed": False, "new": True}
