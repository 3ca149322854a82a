"""The report of a run as a file: true while the run goes on, readable after anything."""

import contextlib
import json
import os
import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.config import Job, LocalAddress, OssAddress
from osssync.errors import LocalFileError, UsageError
from osssync.model import Action, ActionKind, Entry, Failure, Outcome, Step, Task
from osssync.progress import SilentMonitor
from osssync.report import Tally, summary_fields
from osssync.report_file import ReportFile, failed_keys
from tests.trees import AWKWARD

DOWNLOAD = Job(OssAddress("bucket", "prefix"), LocalAddress("/out"))
DENIED = Failure("AccessDeniedError", "no permission", 7, "AccessDenied", "REQ1")


class Listening(SilentMonitor):
    """Notes what it hears."""

    def __init__(self):
        self.heard = []

    def decided(self, action):
        self.heard.append(action)

    def moved(self, byte_count):
        self.heard.append(byte_count)

    def ended(self, outcome):
        self.heard.append(outcome)

    def removed(self, entry, failure):
        self.heard.append((entry, failure))

    def warned(self, message):
        self.heard.append(message)


def ended(key, failure=None, **facts):
    """How an object ended; its target is its key."""
    return Outcome(Task(1, Step.WHOLE, Entry(key, 10, 0), key), failure=failure, **facts)


def refused(key):
    return Action(ActionKind.REFUSE, Entry(key, 10, 0), "it would leave the directory")


def report_of(*outcomes):
    tally = Tally()
    for outcome in outcomes:
        tally.decided(Action(ActionKind.TRANSFER, outcome.task.entry, "new"))
        tally.ended(outcome)
    return tally.report(elapsed_s=1.5)


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.ndjson"


def test_a_finished_run_is_written_down_whole(path):
    """The job first, an object a line, the sums last; of a failure all that is known."""
    arrived, failed = ended("a/b", retries=2, note="no CRC"), ended("c", DENIED, retries=1)

    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.ended(arrived)
        report.ended(failed)
        report.decided(refused("../x"))
        report.finish(report_of(arrived, failed))

    head, one, two, three, summary = lines_of(path)
    assert ("run", 1, "oss://bucket/prefix", "/out", True) == tuple(
        head[name] for name in ("event", "format", "source", "destination", "recursive")
    )
    base = {"event": "object", "size": 10}
    assert {
        **base, "state": "transferred", "key": "a/b", "source": "oss://bucket/prefix/a/b",
        "target": "/out/a/b", "retries": 2, "note": "no CRC",
    } == one  # fmt: skip
    assert {
        **base, "state": "failed", "key": "c", "source": "oss://bucket/prefix/c",
        "target": "/out/c", "retries": 1, "error": "AccessDeniedError", "message": "no permission",
        "code": "AccessDenied", "request_id": "REQ1",
    } == two  # fmt: skip
    assert {
        **base, "state": "refused", "key": "../x", "source": "oss://bucket/prefix/../x",
        "target": "", "retries": 0, "error": "UnsafeKeyError",
        "message": "it would leave the directory", "code": "", "request_id": "",
    } == three  # fmt: skip
    assert ("summary", 2, 1, 1, 1.5, 4) == tuple(
        summary[name]
        for name in ("event", "found", "transferred", "failed", "seconds", "exit_code")
    )


def test_only_finished_objects_have_lines(path):
    """Skipped, excluded, decided and moved leave no trace."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.ended(ended("k"))
        for kind in (ActionKind.SKIP, ActionKind.EXCLUDE, ActionKind.TRANSFER):
            report.decided(Action(kind, Entry("k", 1, 0), "why"))
        report.moved(5)
        report.warned("mind the clock")

    assert ["run", "object"] == [line["event"] for line in lines_of(path)]


def test_deletes_have_lines_of_their_own(path):
    """What was deleted, and what should have been; neither is a key to try again."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.removed(Entry("old", 10, 0), None)
        report.removed(Entry("kept", 10, 0), DENIED)

    _, gone, kept = lines_of(path)
    assert ("deleted", "old", "", "/out/old") == tuple(
        gone[name] for name in ("state", "key", "source", "target")
    )
    assert ("undeleted", "kept", "no permission") == tuple(
        kept[name] for name in ("state", "key", "message")
    )
    assert frozenset() == failed_keys(path, DOWNLOAD)


def test_everything_is_passed_on(path):
    """A report beside the printer takes nothing away from it."""
    listening, events = Listening(), [refused("r"), ended("e"), ended("f", DENIED)]

    with ReportFile(path, DOWNLOAD, listening) as report:
        report.decided(events[0])
        report.moved(7)
        report.ended(events[1])
        report.ended(events[2])
        report.removed(Entry("x", 1, 0), None)
        report.warned("w")

    expected = [events[0], 7, events[1], events[2], (Entry("x", 1, 0), None), "w"]
    assert expected == listening.heard


@pytest.mark.parametrize("hears", [True, False])
def test_skips_are_told_only_to_who_wants_to_hear_of_them(path, hears):
    """A report has no lines about them, and there may be millions."""

    class Listener(SilentMonitor):
        hears_skips = hears

    with ReportFile(path, DOWNLOAD, Listener()) as report:
        assert hears == report.hears_skips


def test_a_line_is_there_before_anybody_else_hears_of_it(path):
    """A printer whose terminal is gone does not keep the object out of the report."""

    class Broken(SilentMonitor):
        def ended(self, _outcome):
            raise BrokenPipeError

    with ReportFile(path, DOWNLOAD, Broken()) as report:
        with pytest.raises(BrokenPipeError):
            report.ended(ended("k", DENIED))

        assert {"k"} == failed_keys(path, DOWNLOAD)


UPLOAD_OF_ONE = Job(LocalAddress("/in/file"), OssAddress("bucket", "p/"), recursive=False)
DOWNLOAD_OF_ONE = Job(OssAddress("bucket", "p/k"), LocalAddress("/nowhere/file"), recursive=False)
INTO_FOLDER = Job(OssAddress("bucket", "p/k"), LocalAddress("/out/", is_folder=True), False)
WHOLE_BUCKET = Job(LocalAddress("in"), OssAddress("bucket"))


@pytest.mark.parametrize(
    ("job", "key", "target", "source", "destination"),
    [
        (UPLOAD_OF_ONE, "file", "p/file", "/in/file", "oss://bucket/p/file"),
        (DOWNLOAD_OF_ONE, "p/k", "file", "oss://bucket/p/k", "/nowhere/file"),
        (INTO_FOLDER, "p/k", "k", "oss://bucket/p/k", "/out/k"),
        (WHOLE_BUCKET, "a/b", "a/b", "in/a/b", "oss://bucket/a/b"),
    ],
)
def test_lines_name_the_addresses_of_this_job(path, job, key, target, source, destination):
    """Whole addresses, of single objects as of trees, that can be given to other commands."""
    outcome = Outcome(Task(1, Step.WHOLE, Entry(key, 1, 0), target))

    with ReportFile(path, job, SilentMonitor()) as report:
        report.ended(outcome)

    _, line = lines_of(path)
    assert (source, destination) == (line["source"], line["target"])


NAMES = st.text(st.characters(), min_size=1)  # lone surrogates included


@given(st.sets(NAMES), st.sets(NAMES))
def test_exactly_the_keys_that_did_not_arrive_are_read_back(tmp_path_factory, failed, arrived):
    """Whatever characters they hold; each line is one line, and UTF-8."""
    path = tmp_path_factory.mktemp("report") / "r"
    arrived -= failed

    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        for key in failed:
            report.ended(ended(key, DENIED))
        for key in arrived:
            report.ended(ended(key))
        report.finish(report_of())

    assert failed == failed_keys(path, DOWNLOAD)
    assert 2 + len(failed) + len(arrived) == len(path.read_bytes().decode().split("\n")) - 1


@pytest.mark.parametrize("key", [*AWKWARD, "stray\udcffbyte", "line\u2028separator", "\x00", "\r"])
def test_awkward_keys_come_back_as_they_were(path, key):
    """Refused ones as well as failed ones; names that are not UTF-8, too."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.decided(refused(key))

    assert {key} == failed_keys(path, DOWNLOAD)


def test_keys_stay_readable_for_people(path):
    """Japanese is not turned into escapes."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.ended(ended("ディレクトリ/ファイル.txt"))

    assert "ディレクトリ/ファイル.txt" in path.read_text()


def test_a_report_torn_anywhere_is_read_up_to_there(path):
    """Cut at every byte: exactly the failures whose lines are whole, or refused as no report."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        for number in range(3):
            report.ended(ended(f"ключ {number}", DENIED))
        report.finish(report_of())
    whole = path.read_bytes()
    starts = [position + 1 for position, byte in enumerate(whole) if byte == ord("\n")]

    for length in range(1, len(whole) + 1):
        path.write_bytes(whole[:length])
        complete = sum(start <= length for start in starts)
        if not complete:
            with pytest.raises(UsageError):
                failed_keys(path, DOWNLOAD)
            continue
        expected = {f"ключ {number}" for number in range(min(3, complete - 1))}
        assert expected == failed_keys(path, DOWNLOAD)


def test_zeros_at_the_end_are_a_torn_line(path):
    """What a file system may leave after a power cut."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.ended(ended("k", DENIED))
    with path.open("ab") as file:
        file.write(bytes(5000))

    assert {"k"} == failed_keys(path, DOWNLOAD)


HEAD = (
    b'{"event":"run","format":1,"source":"oss://bucket/prefix","destination":"/out",'
    b'"recursive":true}\n'
)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 1),
        (b"hello", 1),
        (b"a\nb\n", 1),
        (b"[1]\n", 1),
        (b"1\n", 1),
        (b'{"event":"object","state":"failed","key":"k"}\n', 1),  # no head
        (HEAD.replace(b'"format":1', b'"format":2'), 1),  # of a version to come
        (HEAD + b'nonsense\n{"event":"summary"}\n', 2),
        (HEAD + b"\xff\xff\n", 2),
        (HEAD + b'{"event":"object","state":"failed"}\n', 2),
        (HEAD + b'{"event":"object","state":"failed","key":7}\n', 2),
        (HEAD + b"[" * 100_000 + b"\n", 2),
        (bytes(3 << 20), 1),
    ],
)
def test_what_is_no_report_is_refused(path, content, line):
    """A list of keys, a job file, a log: said to be none, before anything is transferred."""
    path.write_bytes(content)

    with pytest.raises(UsageError, match=f"--retry-from.*line {line} is not of a report"):
        failed_keys(path, DOWNLOAD)


def test_a_report_that_is_not_there_is_refused(path, tmp_path):
    """Missing, or a directory."""
    for missing in (path, tmp_path):
        with pytest.raises(UsageError, match="--retry-from"):
            failed_keys(missing, DOWNLOAD)


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path):
    """Before the run, not after hours of it."""
    with pytest.raises(LocalFileError, match="--report"):
        ReportFile(tmp_path / "no" / "such" / "place", DOWNLOAD, SilentMonitor())


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{root!r}]
from tests.test_report_file import *
report = ReportFile(Path(sys.argv[1]), DOWNLOAD, SilentMonitor())
for number in range(100):
    report.ended(ended(str(number), DENIED))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_every_line_it_wrote(path, pytestconfig):
    """Nothing waits in a buffer."""
    program = KILLED.format(root=str(pytestconfig.rootpath))

    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60)

    assert -9 == killed.returncode
    assert {str(number) for number in range(100)} == failed_keys(path, DOWNLOAD)


@contextlib.contextmanager
def small_files():
    """No file may grow beyond 1,000 bytes, as on a disk that is full.

    Not for longer than needed: what the test runner writes may be such a file, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_neither_ends_the_run_nor_spoils_the_lines_so_far(path):
    """One warning, whole lines only, everything still passed on, and an error at the end."""
    listening = Listening()

    with small_files(), ReportFile(path, DOWNLOAD, listening) as report:
        for number in range(50):
            report.ended(ended(str(number), DENIED))
        with pytest.raises(LocalFileError, match="--report"):
            report.finish(report_of())

    lines = lines_of(path)
    assert path.read_bytes().endswith(b"\n")
    assert 1 < len(lines) < 50
    warnings = [heard for heard in listening.heard if isinstance(heard, str)]
    assert 1 == len(warnings)
    assert 50 == len([heard for heard in listening.heard if isinstance(heard, Outcome)])


def test_a_pipe_will_do(tmp_path):
    """For those who look on: every line arrives as it is written."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    with ReportFile(fifo, DOWNLOAD, SilentMonitor()) as report:
        report.ended(ended("k"))
        received = os.read(reading, 1 << 16)
    os.close(reading)

    assert ["run", "object"] == [json.loads(line)["event"] for line in received.splitlines()]


def test_an_older_report_is_replaced(path):
    """One file, one run."""
    path.write_text("old\n" * 1000)

    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.finish(report_of())

    assert ["run", "summary"] == [line["event"] for line in lines_of(path)]


def test_a_run_that_never_begins_leaves_the_older_report(path):
    """It was refused, by a busy lock or a wrong address: what failed before is still known."""
    path.write_text("older\n")

    with ReportFile(path, DOWNLOAD, SilentMonitor()) as report:
        report.warned("not today")

    assert "older\n" == path.read_text()


def test_two_runs_never_write_one_file(path):
    """The later one warns and raises at its end; the file is all of the earlier one."""
    listening = Listening()
    with (
        ReportFile(path, DOWNLOAD, SilentMonitor()) as first,
        ReportFile(path, DOWNLOAD, listening) as second,
    ):
        first.ended(ended("a", DENIED))
        second.ended(ended("b", DENIED))
        first.ended(ended("c", DENIED))
        with pytest.raises(LocalFileError, match="another run is writing it"):
            second.finish(report_of(ended("b", DENIED)))

    assert {"a", "c"} == failed_keys(path, DOWNLOAD)
    assert 1 == len([heard for heard in listening.heard if isinstance(heard, str)])


def test_a_run_that_waited_for_another_writes_after_it(path):
    """Opened while the other one runs, as with --lock-wait; the first line comes later."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as second:
        with ReportFile(path, DOWNLOAD, SilentMonitor()) as first:
            first.ended(ended("a", DENIED))
            first.finish(report_of(ended("a", DENIED)))

        second.ended(ended("b", DENIED))

        assert {"b"} == failed_keys(path, DOWNLOAD)


def test_a_skipped_run_leaves_the_report_of_the_one_under_way(path):
    """--lock-busy skip: nothing was found, nothing is written, nothing is an error."""
    with ReportFile(path, DOWNLOAD, SilentMonitor()) as first:
        first.ended(ended("a", DENIED))
        with ReportFile(path, DOWNLOAD, SilentMonitor()) as second:
            second.finish(report_of())

        assert {"a"} == failed_keys(path, DOWNLOAD)


def test_the_summary_has_every_sum():
    """A sum added to Totals is added here, or this fails."""
    report = report_of(ended("a"), ended("b", DENIED))
    renamed = {"moved_bytes": "bytes", "elapsed_s": "seconds"}

    fields = summary_fields(report)

    for name in type(report.totals).__slots__:
        assert getattr(report.totals, name) == fields[renamed.get(name, name)]
