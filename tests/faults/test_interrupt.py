"""A run that is to end ends within seconds, whatever hangs; nothing partial, nothing repeated."""

import os
import signal
import threading
from collections import Counter

import pytest
from msgspec.structs import replace

import osssync.traffic
from osssync.config import Job, LocalAddress, OssAddress, TransferSettings
from osssync.emulator.faults import Effect
from osssync.limits import Limits
from osssync.progress import SilentMonitor
from osssync.runner import run
from tests.conftest import options_for, run_osssync
from tests.faults.programs import ended, start, wait_until
from tests.faults.traces import books_balance, part_files, threads, uploads
from tests.trees import tree_bytes

MIB = 1 << 20
PARTS = 8
JOBS = 4
ARRIVE = 3  # parts that do; the others hang
PART = 100 * 1024

pytestmark = pytest.mark.timeout(90)


class Large:
    """One object of eight parts on its way in a process, of which all but three hang."""

    def __init__(self, emulator, folder, prefix, *, is_upload):
        self._emulator = emulator
        self._prefix = prefix
        self._is_upload = is_upload
        self.data = os.urandom(PARTS * PART - 17)
        self.disk = folder / prefix
        self.disk.mkdir()
        if is_upload:
            (self.disk / "large").write_bytes(self.data)
            os.utime(self.disk / "large", (1e9, 1e9))
        else:
            emulator.objects.put("bucket", f"{prefix}/large", self.data)
        ends = [self.disk, f"oss://bucket/{prefix}"]
        self.command = ["sync", *(ends if is_upload else reversed(ends)), "--jobs", JOBS,
                        "--part-size", "100K", "--bigfile-threshold", "100K", "-v"]  # fmt: skip
        self.process = None

    def hang(self):
        """Let three parts pass, and the others get no answer."""
        self._emulator.faults.inject(
            Effect.HANG,
            operation="UploadPart" if self._is_upload else "GetObject",
            key=f"{self._prefix}/large",
            after=ARRIVE,
        )

    def start(self, *flags):
        self.process = start(self._emulator, *self.command, *flags)

    def is_stuck(self):
        """Whether every worker waits for an answer that will not come."""
        fired = [
            rule["fired"]
            for rule in self._emulator.faults.snapshot()
            if rule["key"] == f"{self._prefix}/large"
        ]
        return fired == [JOBS]

    def visible(self):
        """What stands under the destination's name."""
        if self._is_upload:
            known = f"{self._prefix}/large" in self._emulator.objects.keys("bucket")
            return self._emulator.objects.get("bucket", f"{self._prefix}/large") if known else None
        path = self.disk / "large"
        return path.read_bytes() if path.exists() else None

    def arrivals(self):
        """How often each part was transferred, by its number or its range."""
        return Counter(
            request.part_number or request.range
            for request in self._emulator.requests
            if request.key == f"{self._prefix}/large"
            and request.status in (200, 206)
            and (request.operation == "UploadPart" or request.range)
        )

    def unfinished(self):
        return [*part_files(self.disk), *uploads(self._emulator, f"{self._prefix}/")]


def test_whoever_ends_a_run_it_ends_at_once_and_goes_on_later(emulator, tmp_path):
    """Three signals and --max-duration, up and down: exit 5 (10) while requests hang, then resume.

    The limit of 10 s is a third of the read timeout: a run that waited for its requests fails it.
    """
    endings = {
        "int": (signal.SIGINT, (), 5),
        "term": (signal.SIGTERM, (), 5),
        "hup": (signal.SIGHUP, (), 5),
        "duration": (None, ("--max-duration", "4s"), 10),
    }
    stuck = {}
    for is_upload in (True, False):
        for name, ending in endings.items():
            prefix = f"{'up' if is_upload else 'down'}-{name}"
            stuck[prefix] = (Large(emulator, tmp_path, prefix, is_upload=is_upload), ending)
    for large, (_, flags, _) in stuck.values():
        large.hang()
        large.start(*flags)
    for large, (number, _, _) in stuck.values():
        wait_until(large.is_stuck, large.process)
        if number is not None:
            large.process.send_signal(number)

    for large, (_, _, code) in stuck.values():
        assert code == ended(large.process, timeout_s=10)[0]
        assert large.visible() is None
        assert 1 == len(large.unfinished())
        assert ARRIVE == large.arrivals().total()

    emulator.faults.clear()
    for large, _ in stuck.values():
        large.start()
    for large, _ in stuck.values():
        assert 0 == ended(large.process)[0]
        assert large.data == large.visible()
        assert {1} == set(large.arrivals().values()), "a part was transferred twice"
        assert PARTS == large.arrivals().total()
        assert [] == large.unfinished()


def test_a_second_signal_ends_the_program_on_the_spot(emulator, tmp_path):
    """No summary, no waiting: exit 5, nothing visible, and the next run goes on."""
    large = Large(emulator, tmp_path, "twice", is_upload=True)
    large.hang()
    large.start()
    wait_until(large.is_stuck, large.process)

    large.process.send_signal(signal.SIGTERM)
    large.process.send_signal(signal.SIGINT)
    code, said = ended(large.process, timeout_s=10)

    assert 5 == code
    assert "FinishWithError" not in said
    assert large.visible() is None
    emulator.faults.clear()
    assert 0 == run_osssync(emulator, *large.command).code
    assert {1} == set(large.arrivals().values())
    assert large.data == large.visible()


# --- in this process, as programs that import us do it ---


@pytest.fixture
def options(emulator):
    transfer = TransferSettings(jobs=2, part_size=PART, bigfile_threshold=PART, retries=2)
    return replace(options_for(emulator), transfer=transfer)


@pytest.fixture
def _no_grace(monkeypatch):
    monkeypatch.setattr(osssync.traffic, "GRACE_S", 0.1)


def stopped_run(job, emulator):
    """Run a job, and set its stop event as soon as a fault has hit a request of it."""
    stop = threading.Event()

    def watch():
        wait_until(lambda: emulator.faults.snapshot()[0]["fired"] > 0)
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    report = run(job, None, stop)
    watcher.join()
    return report


@pytest.mark.usefixtures("_no_grace")
def test_a_download_that_answers_after_the_run_writes_nothing(emulator, options, tmp_path):
    """The answer comes when the run is over: no file, no part file, and the books are right."""
    emulator.objects.put("bucket", "late/streamed", os.urandom(2 * MIB))
    emulator.objects.put("bucket", "late/in-memory", b"small")
    emulator.faults.inject(Effect.DELAY, operation="GetObject", delay_s=1.5)
    whole = replace(options, transfer=replace(options.transfer, bigfile_threshold=4 * MIB))
    out = LocalAddress(str(tmp_path / "out"))

    report = stopped_run(Job(OssAddress("bucket", "late"), out, options=whole), emulator)
    left = threads()
    wait_until(lambda: not threads())  # the answers have come by then

    assert 5 == report.exit_code
    assert (2, 2) == (report.totals.found, report.totals.failed)
    assert left, "nothing was left behind, so this test has shown nothing"
    assert {} == tree_bytes(tmp_path / "out")


@pytest.mark.usefixtures("_no_grace")
def test_an_upload_that_could_go_on_after_the_run_sends_nothing_more(emulator, options, tmp_path):
    """OSS takes the rest of a body when the run is over: it does not get it, so nothing appears."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "large").write_bytes(bytes(64 * MIB))
    os.utime(tmp_path / "in" / "large", (1e9, 1e9))
    emulator.faults.inject(Effect.DELAY, operation="PutObject", delay_s=1.5)
    whole = replace(options, transfer=replace(options.transfer, bigfile_threshold=128 * MIB))
    here = LocalAddress(str(tmp_path / "in"))

    report = stopped_run(Job(here, OssAddress("bucket", "late-up"), options=whole), emulator)
    wait_until(lambda: not threads())

    assert 5 == report.exit_code
    assert [] == [key for key in emulator.objects.keys("bucket") if key.startswith("late-up")]


class StopAfter(SilentMonitor):
    """Wants a run to end after so many decisions."""

    def __init__(self, decisions):
        self.stop = threading.Event()
        self._left = decisions

    def decided(self, action):  # noqa: ARG002 - the Monitor protocol's
        self._left -= 1
        if self._left == 0:
            self.stop.set()


def test_a_run_that_transfers_nothing_can_be_ended_too(emulator, options, tmp_path):
    """A signal among a thousand files that are there already is heard before their end."""
    (tmp_path / "in").mkdir()
    for number in range(1000):
        path = tmp_path / "in" / f"{number:03}"
        path.write_bytes(b"")
        os.utime(path, (1e9, 1e9))
        emulator.objects.put("bucket", f"same/{number:03}", b"")
    monitor = StopAfter(10)
    here, there = LocalAddress(str(tmp_path / "in")), OssAddress("bucket", "same")

    report = run(Job(here, there, options=options), monitor, monitor.stop)

    assert 5 == report.exit_code
    assert (10, 10) == (report.totals.found, report.totals.skipped)


def test_what_max_transfer_leaves_is_gone_on_with(emulator, options, tmp_path):
    """Each run moves what it may and what is in flight, exit 8; no part is moved twice."""
    data = os.urandom(8 * PART)
    emulator.objects.put("bucket", "budget/large", data)
    limited = replace(options, limits=Limits(max_transfer_bytes=2 * PART))
    job = Job(OssAddress("bucket", "budget"), LocalAddress(str(tmp_path / "out")), options=limited)

    codes = []
    while not (tmp_path / "out" / "large").exists():
        assert len(codes) < PARTS
        codes.append(run(job).exit_code)

    assert len(codes) >= 2
    assert {8} == set(codes[:-1])
    assert data == (tmp_path / "out" / "large").read_bytes()
    ranges = Counter(request.range for request in emulator.requests if request.range)
    assert (8, {1}) == (len(ranges), set(ranges.values()))
    assert 0 == run(job).exit_code


def test_more_failures_than_max_failure_end_a_run(emulator, options, tmp_path):
    """Three of four hundred may fail, not four: exit 4, the books are right, most is not tried."""
    for number in range(400):
        emulator.objects.put("bucket", f"denied/{number:03}", b"1")
    emulator.faults.inject(
        Effect.ERROR,
        operation="GetObject", status=403, code="AccessDenied",
    )  # fmt: skip
    limited = replace(options, limits=Limits(max_failure=3))

    report = run(
        Job(OssAddress("bucket", "denied"), LocalAddress(str(tmp_path / "out")), options=limited)
    )

    assert 4 == report.exit_code
    assert books_balance(report.totals)
    assert 4 <= report.totals.failed <= 4 + 2 * 2 * options.transfer.jobs
    assert {} == tree_bytes(tmp_path / "out")
