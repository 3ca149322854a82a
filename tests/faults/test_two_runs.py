"""Two runs of one job at once: one works, the other keeps out of its way, as it was told to."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from osssync.emulator.faults import Effect
from tests.conftest import run_osssync
from tests.faults.programs import ended, start, wait_until
from tests.faults.traces import part_files, uploads

pytestmark = pytest.mark.timeout(60)


class Slow:
    """An upload that waits for its only answer until ``release``; again and again the same job."""

    def __init__(self, emulator, folder, prefix):
        self._emulator = emulator
        self._prefix = prefix
        (folder / "in").mkdir()
        (folder / "in" / "file").write_bytes(b"content")
        os.utime(folder / "in" / "file", (1e9, 1e9))
        self.command = ["sync", folder / "in", f"oss://bucket/{prefix}", "--json"]

    def start_held(self):
        """The first run, once it is under way."""
        self._emulator.faults.inject(Effect.HANG, operation="PutObject", key=f"{self._prefix}/*")
        process = start(self._emulator, *self.command)
        wait_until(lambda: self._emulator.faults.snapshot()[0]["fired"] == 1, process)
        return process

    def start(self, *flags):
        return start(self._emulator, *self.command, *flags)

    def run(self, *flags):
        return run_osssync(self._emulator, *self.command, *flags)

    def arrived(self):
        return f"{self._prefix}/file" in self._emulator.objects.keys("bucket")


@pytest.fixture
def slow(emulator, tmp_path):
    return Slow(emulator, tmp_path, tmp_path.name.replace("_", "-"))


def summary(text):
    """The last object of a --json output: the sums of the run."""
    return json.loads([line for line in text.splitlines() if line.startswith("{")][-1])


def is_at_lock(process):
    """Whether it has opened the lock file."""
    places = Path(f"/proc/{process.pid}/fd").iterdir()
    with contextlib.suppress(FileNotFoundError):  # one that it closed meanwhile
        return any(str(place.readlink()).endswith(".lock") for place in places)
    return False


def test_the_second_run_of_a_job_is_told_who_works(slow, emulator):
    """Exit 11, the holder's process named, not one request sent; the first run is not disturbed."""
    holder = slow.start_held()
    before = len(emulator.requests)

    second = slow.run()

    assert 11 == second.code
    assert str(holder.pid) in second.err
    assert before == len(emulator.requests)
    assert holder.poll() is None
    holder.kill()
    ended(holder)


def test_a_run_may_leave_the_work_to_the_other(slow):
    """--lock-busy skip: exit 0, a warning that says so, nothing done."""
    holder = slow.start_held()

    second = slow.run("--lock-busy", "skip")

    assert 0 == second.code
    assert "skipped" in second.err
    assert not slow.arrived()
    holder.kill()
    ended(holder)


def test_a_run_that_waits_has_its_turn_when_the_other_is_killed(slow, emulator):
    """--lock-wait: kill -9 of the holder frees the lock, and the one who waited does the work."""
    holder = slow.start_held()
    waiting = slow.start("--lock-wait", "30s")
    wait_until(lambda: is_at_lock(waiting), waiting)
    emulator.faults.clear()

    holder.kill()
    code, said = ended(waiting)

    assert -9 == ended(holder)[0]
    assert 0 == code
    assert slow.arrived()
    assert 1 == summary(said)["transferred"]


def test_one_that_waited_in_vain_says_so(slow):
    """--lock-wait that is over: exit 11."""
    holder = slow.start_held()

    second = slow.run("--lock-wait", "300ms")

    assert (11, True) == (second.code, "0.3 s of waiting" in second.err)
    holder.kill()
    ended(holder)


def test_six_runs_started_at_once_do_the_work_once(emulator, tmp_path):
    """One transfers, the others wait and then find nothing to do; nobody's parts are in the way."""
    (tmp_path / "in").mkdir()
    data = os.urandom(3 * 1024 * 1024)
    (tmp_path / "in" / "large").write_bytes(data)
    os.utime(tmp_path / "in" / "large", (1e9, 1e9))
    command = ["sync", tmp_path / "in", "oss://bucket/six", "--part-size", "1M",
               "--bigfile-threshold", "1M", "--lock-wait", "50s"]  # fmt: skip

    processes = [start(emulator, *command) for _ in range(6)]
    results = [ended(process, timeout_s=50) for process in processes]

    assert [0] * 6 == [code for code, _ in results]
    assert 3 == sum(request.operation == "UploadPart" for request in emulator.requests)
    assert data == emulator.objects.get("bucket", "six/large")
    assert ([], []) == (uploads(emulator, "six/"), part_files(tmp_path))
