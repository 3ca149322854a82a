"""A client whose clock is wrong by more than the 15 minutes that OSS tolerates."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

import osssync
from osssync.config import SignatureVersion
from osssync.credentials.sources import open_provider
from osssync.emulator.faults import Effect, Rule
from osssync.emulator.settings import Settings
from osssync.errors import ClockSkewedError
from osssync.oss.connection import LARGE_SKEW_S, Connection
from osssync.progress import SilentMonitor
from tests.conftest import options_for, run_osssync
from tests.trees import make_tree, tree_bytes

TWENTY_MINUTES_S = 1200
BOTH_WAYS = pytest.mark.parametrize("ahead_s", [TWENTY_MINUTES_S, -TWENTY_MINUTES_S])


class Warnings(SilentMonitor):
    """Keeps what a run warns of."""

    def __init__(self):
        self.messages = []

    def warned(self, message):
        self.messages.append(message)


def skewed(emulator):
    return [one for one in emulator.requests if one.code == "RequestTimeTooSkewed"]


def old_tree(root, sizes):
    """Files of an hour ago, so that no upload waits for the second of an edit to pass."""
    make_tree(root, sizes)
    for path in root.rglob("*"):
        then_s = path.stat().st_mtime - 3600
        os.utime(path, (then_s, then_s))


@BOTH_WAYS
@pytest.mark.parametrize("signature", list(SignatureVersion))
def test_a_tree_is_moved_both_ways_with_one_warning(emulator, tmp_path, ahead_s, signature):
    """Everything arrives; the user is told once which way the clock is off, and by how much."""
    emulator.clock.offset_s = -ahead_s  # then ours is ahead of the cloud's
    options = options_for(emulator, jobs=8, part_size=1 << 20, bigfile_threshold=1 << 20)
    options = replace(options, oss=replace(options.oss, signature=signature))
    old_tree(tmp_path / "in", {f"{number}": 1000 for number in range(40)} | {"large": 5 << 20})
    up, down = Warnings(), Warnings()

    uploaded = osssync.sync(tmp_path / "in", "oss://bucket/t", options, up)
    downloaded = osssync.sync("oss://bucket/t", tmp_path / "out", options, down)

    assert [(0, 41)] * 2 == [
        (report.exit_code, report.totals.transferred) for report in (uploaded, downloaded)
    ]
    assert tree_bytes(tmp_path / "in") == tree_bytes(tmp_path / "out")
    side = "ahead of" if ahead_s > 0 else "behind"
    for messages in (up.messages, down.messages):
        assert 1 == len(messages)
        assert f"s {side} OSS's" in messages[0]
        assert "NTP" in messages[0]


@BOTH_WAYS
def test_a_wrong_clock_costs_a_refusal_for_each_that_was_under_way(emulator, tmp_path, ahead_s):
    """Who signs after the first refusal signs with the service's time."""
    emulator.clock.offset_s = -ahead_s
    jobs = 4
    options = options_for(emulator, jobs=jobs)
    old_tree(tmp_path / "in", {f"{number}": 10 for number in range(60)})

    report = osssync.sync(tmp_path / "in", "oss://bucket/t", options)

    assert 0 == report.exit_code
    assert 1 <= len(skewed(emulator)) <= jobs + 1  # of the listing, and of each worker at most


def connected(emulator, warn):
    options = options_for(emulator)
    return Connection(options.credentials, options.oss, 8, warn)


def list_once(connection):
    bucket = connection.bucket("bucket")
    connection.repeat(connection.retry(0), lambda: bucket.list_page(""))


def test_threads_that_learn_at_once_warn_once(emulator):
    """Eight requests signed with the wrong clock, eight refusals, one warning."""
    emulator.clock.offset_s = TWENTY_MINUTES_S
    messages, signed = [], threading.Barrier(8)
    with connected(emulator, messages.append) as connection:
        adjust = connection._adjust

        def adjust_together(error):
            signed.wait(20)  # nobody learns before everybody was refused
            adjust(error)

        connection._adjust = adjust_together
        threads = [threading.Thread(target=list_once, args=(connection,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert 8 == len(skewed(emulator))
    assert 1 == len(messages)
    assert pytest.approx(TWENTY_MINUTES_S, abs=5) == connection.clock_offset.seconds


def test_a_clock_that_is_set_while_we_run_is_learned_again(emulator):
    """NTP may step the clock of a run that has learned to correct it: each change is told."""
    messages = []
    with connected(emulator, messages.append) as connection:
        for offset_s in (TWENTY_MINUTES_S, 0, -TWENTY_MINUTES_S, -TWENTY_MINUTES_S - 30):
            emulator.clock.offset_s = offset_s
            list_once(connection)
            list_once(connection)

    assert 3 == len(skewed(emulator))
    behind, agrees, ahead = messages
    assert "behind OSS's" in behind
    assert "agrees with OSS's" in agrees
    assert "ahead of OSS's" in ahead


def test_small_corrections_are_no_news(emulator):
    """An offset learned anew that differs by seconds is used, and not told."""
    messages = []
    with connected(emulator, messages.append) as connection:
        for server_time_s in (LARGE_SKEW_S * 20, LARGE_SKEW_S * 20.5):
            now_s = connection.clock_offset._clock()
            error = ClockSkewedError("late", 403, "", "", "", now_s + server_time_s)
            connection._adjust(error)

    assert 1 == len(messages)
    assert pytest.approx(LARGE_SKEW_S * 20.5, abs=5) == connection.clock_offset.seconds


# -- credentials: their expiry is an instant of the cloud's clock, and judged by ours -----------


def test_short_lived_credentials_of_a_clock_ahead_are_explained(emulate, tmp_path):
    """20 minutes ahead, 10 minutes of life: dead on arrival by our clock, and the error says so."""
    emulator = emulate(Settings(buckets=("bucket",), lifetime_s=600))
    emulator.clock.offset_s = -TWENTY_MINUTES_S

    report = osssync.sync("oss://bucket/", tmp_path / "out", options_for(emulator))

    assert (7, "CredentialsError") == (report.exit_code, report.fatal.error)
    assert "either the clock is ahead" in report.fatal.message
    assert "NTP" in report.fatal.message
    assert [] == emulator.requests


def test_credentials_that_outlive_the_error_of_the_clock_are_used(emulate, tmp_path):
    """20 minutes ahead, 30 minutes of life: ten are left by our clock, which is enough."""
    emulator = emulate(Settings(buckets=("bucket",), lifetime_s=1800))
    emulator.clock.offset_s = -TWENTY_MINUTES_S
    emulator.objects.put("bucket", "k", b"1")

    report = osssync.sync("oss://bucket/", tmp_path / "out", options_for(emulator))

    assert (0, 1) == (report.exit_code, report.totals.transferred)


def test_credentials_that_a_clock_behind_believes_alive_are_replaced(emulate, tmp_path):
    """20 minutes behind: nothing is refreshed ahead, so OSS's refusals do it, and all arrives."""
    emulator = emulate(Settings(buckets=("bucket",), lifetime_s=1))
    emulator.clock.offset_s = TWENTY_MINUTES_S
    for number in range(8):
        emulator.objects.put("bucket", f"{number}", b"x" * 100)
    emulator.faults.add(Rule(Effect.DELAY, operation="GetObject", delay_s=0.8))
    options = options_for(emulator, jobs=2)

    report = osssync.sync("oss://bucket/", tmp_path / "out", options)

    assert (0, 8) == (report.exit_code, report.totals.transferred)
    assert report.totals.rotations >= 1
    assert "SecurityTokenExpired" in {one.code for one in emulator.requests}


def test_a_clock_behind_never_makes_a_set_look_expired(emulator):
    """It looks younger than it is; only the age since the fetch counts against it."""
    emulator.clock.offset_s = TWENTY_MINUTES_S
    provider = open_provider(options_for(emulator).credentials)

    left_s = provider.snapshot().expires_at_s - provider._clock()

    assert pytest.approx(emulator.settings.lifetime_s + TWENTY_MINUTES_S, abs=5) == left_s


# -- the whole program with a false clock, by libfaketime ---------------------------------------


def false_clock(offset):
    """The environment that ``faketime -f OFFSET`` makes, as far as a child of ours needs it.

    The monotonic clock stays true: with a false one every wait with a time limit hangs, since
    libfaketime does not know sem_clockwait(3). For that time.sleep fails, which is why no upload
    here may have to wait.
    """
    shown = subprocess.run(
        ["faketime", "-m", "-f", offset, "env"], capture_output=True, check=True, text=True
    )
    made = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    return {
        "LD_PRELOAD": made["LD_PRELOAD"],
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@pytest.fixture
def _no_litter():
    """Libfaketime leaves two files for each process that ends without ceremony, as ours do."""
    memory = Path("/dev/shm")
    before = set(memory.glob("*faketime_*"))
    yield
    for file in set(memory.glob("*faketime_*")) - before:
        file.unlink(missing_ok=True)


@pytest.mark.needs("faketime")
@pytest.mark.usefixtures("_no_litter")
@pytest.mark.parametrize(("offset", "side"), [("+20m", "ahead of"), ("-20m", "behind")])
def test_the_command_works_on_a_machine_with_a_wrong_clock(emulator, tmp_path, offset, side):
    """``osssync sync`` up and down: exit 0, the same bytes, one warning on stderr each."""
    env = {**false_clock(offset), "OSSSYNC_STATE_DIR": str(tmp_path / "state")}
    old_tree(tmp_path / "in", {"a": 10, "b/c": 1000, "large": 20 << 20})

    up = run_osssync(emulator, "sync", tmp_path / "in", "oss://bucket/t", env=env)
    down = run_osssync(emulator, "sync", "oss://bucket/t", tmp_path / "out", env=env)

    assert (0, 0) == (up.code, down.code), (up, down)
    assert tree_bytes(tmp_path / "in") == tree_bytes(tmp_path / "out")
    assert len(skewed(emulator)) >= 2
    for finished in (up, down):
        assert 1 == finished.err.count("warning"), finished.err
        assert f"s {side} OSS's" in finished.err
