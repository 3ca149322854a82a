"""A server that says nothing holds up no run that is told to stop, whatever it was asked for."""

import os
import signal
import threading

import oss2
import pytest
from msgspec.structs import replace

from osssync.config import DeleteSettings, Job, LocalAddress, OssAddress
from osssync.emulator.faults import Effect
from osssync.runner import run
from tests.conftest import options_for
from tests.faults.programs import ended, start, wait_until
from tests.faults.traces import books_balance, part_files, threads
from tests.trees import tree_bytes

SOON_S = 8
"""A quarter of the read timeout, so who waits for an answer fails; it takes 3.5 s at most."""

DELETING = ("--delete", "--max-delete", "100%")

pytestmark = pytest.mark.timeout(90)


def keys_below(emulator, name):
    return [key for key in emulator.objects.keys("bucket") if key.startswith(f"{name}/")]


class Hanging:
    """A command, below a prefix and a directory of its own, that gets no answer to one request.

    ``present`` are names that exist on both sides, ``extra`` those that only OSS has.
    """

    def __init__(self, emulator, folder, name, *, present=(), extra=(), **rule):
        self._emulator = emulator
        self._number = len(emulator.faults.snapshot())
        self.url = f"oss://bucket/{name}"
        self.folder = folder / name
        self.folder.mkdir()
        for key in (*present, *extra):
            emulator.objects.put("bucket", f"{name}/{key}", b"content")
        for key in present:
            (self.folder / key).write_bytes(b"content")
            os.utime(self.folder / key, (1e9, 1e9))
        emulator.faults.inject(Effect.HANG, **rule)
        self._before = self.state()
        self.process = None

    def state(self):
        """What is visible on both sides."""
        return tree_bytes(self.folder), keys_below(self._emulator, self.folder.name)

    def start(self, *arguments):
        self.process = start(self._emulator, *arguments, "--retries", 3)
        return self

    def wait(self):
        """Until the request has been made."""
        wait_until(
            lambda: self._emulator.faults.snapshot()[self._number]["fired"] > 0, self.process
        )

    def check_end(self):
        """It ends soon, resumable, and neither side has changed."""
        code, said = ended(self.process, timeout_s=SOON_S)
        assert 5 == code, said
        assert "Traceback" not in said
        assert self._before == self.state()
        assert [] == part_files(self.folder)
        return said


def listing_of(name):
    return {"operation": "ListObjectsV2", "query": {"prefix": f"{name}/"}}


def start_listings(emulator, folder):
    """Runs that wait for a page: the first, a later one, one of a rehearsal."""
    first = Hanging(emulator, folder, "first", extra=["k"], **listing_of("first"))
    many = [f"{number:04}" for number in range(1001)]
    later = Hanging(
        emulator, folder, "later", present=["zz"], extra=many, after=1, **listing_of("later")
    )
    rehearsal = Hanging(emulator, folder, "rehearsal", extra=["k"], **listing_of("rehearsal"))
    return (
        first.start("sync", first.url, first.folder, *DELETING),
        later.start("sync", later.folder, later.url, *DELETING),
        rehearsal.start("sync", rehearsal.url, rehearsal.folder, "--dry-run"),
    )


def start_lookups(emulator, folder):
    """Runs that wait for a HEAD: of their only source, or of its only destination."""
    source = Hanging(
        emulator, folder, "source", extra=["k"], operation="HeadObject", key="source/k"
    )
    target = Hanging(
        emulator, folder, "target", present=["k"], operation="HeadObject", key="target/k"
    )
    return (
        source.start("cp", f"{source.url}/k", source.folder),
        target.start("cp", target.folder / "k", target.url + "/"),
    )


def start_deletes(emulator, folder):
    """Runs that have moved everything, and wait for a delete, or for the copy before it."""
    delete = Hanging(
        emulator, folder, "delete",
        present=["a"], extra=["b"], operation="DeleteMultipleObjects",
    )  # fmt: skip
    backup = Hanging(
        emulator, folder, "backup",
        present=["a"], extra=["b"], operation="CopyObject", key="attic/b",
    )  # fmt: skip
    return (
        delete.start("sync", delete.folder, delete.url, *DELETING),
        backup.start("sync", backup.folder, backup.url, *DELETING, "--backup-dir",
                     "oss://bucket/attic"),
    )  # fmt: skip


@pytest.mark.parametrize("begin", [start_listings, start_lookups, start_deletes])
def test_a_signal_ends_a_run_whatever_it_waits_for(emulator, tmp_path, begin):
    """SIGTERM while a request hangs: exit 5 within seconds, a summary, nothing changed."""
    runs = begin(emulator, tmp_path)
    for one in runs:
        one.wait()

    for one in runs:
        one.process.send_signal(signal.SIGTERM)

    for one in runs:
        assert "FinishWithError" in one.check_end()


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_a_second_signal_does_not_wait_for_any_answer(emulator, tmp_path, operation):
    """The end on the spot, exit 5, while a listing hangs and while a GET does."""
    one = Hanging(emulator, tmp_path, "twice", extra=["k"], operation=operation)
    one.start("sync", one.url, one.folder)
    one.wait()

    one.process.send_signal(signal.SIGTERM)
    one.process.send_signal(signal.SIGINT)

    said = one.check_end()
    assert "FinishWithError" not in said


# --- in this process, as programs that import us do it ---


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


def test_a_page_that_comes_after_the_run_is_for_nobody(emulator, tmp_path):
    """The answer would be there when the run is over: nothing is written, and its thread ends."""
    emulator.objects.put("bucket", "late/k", b"1")
    emulator.faults.inject(Effect.DELAY, operation="ListObjectsV2", delay_s=1.5)
    job = Job(OssAddress("bucket", "late"), LocalAddress(str(tmp_path / "out")))

    report = stopped_run(replace(job, options=options_for(emulator)), emulator)
    wait_until(lambda: not threads())

    assert (5, 0) == (report.exit_code, report.totals.found)
    assert {} == tree_bytes(tmp_path)


@pytest.mark.parametrize("key", ["looked/one", "looked/other"])
def test_a_lookup_that_is_broken_off_is_a_run_that_was_interrupted(emulator, tmp_path, key):
    """A report, as of any run, and no exception; the destination's lookup is no other."""
    emulator.objects.put("bucket", "looked/one", b"1")
    emulator.faults.inject(Effect.HANG, operation="HeadObject", key=key)
    ends = OssAddress("bucket", "looked/one"), OssAddress("bucket", "looked/other")
    job = Job(*ends, recursive=False)

    report = stopped_run(replace(job, options=options_for(emulator)), emulator)

    assert (5, "InterruptedRunError") == (report.exit_code, report.fatal.error)
    assert ["looked/one"] == keys_below(emulator, "looked")


def test_the_target_of_a_symlink_object_may_hang_too(emulator, tmp_path):
    """A listing asks for each with a HEAD, and a stop is heard there as well."""
    key = emulator.authority.current()
    auth = oss2.StsAuth(key.access_key_id, key.access_key_secret, key.security_token)
    oss2.Bucket(auth, emulator.endpoint, "bucket").put_symlink("links/target", "links/link")
    emulator.faults.inject(Effect.HANG, operation="HeadObject")
    job = Job(OssAddress("bucket", "links"), LocalAddress(str(tmp_path / "out")))

    report = stopped_run(replace(job, options=options_for(emulator)), emulator)

    assert (5, 0) == (report.exit_code, report.totals.found)


def test_a_delete_that_is_answered_in_time_is_told_of_as_it_was(emulator, tmp_path):
    """A stop waits a moment for what has been asked for: the books say what OSS says."""
    (tmp_path / "a").write_bytes(b"a")
    os.utime(tmp_path / "a", (1e9, 1e9))
    for key in ("a", "b", "c"):
        emulator.objects.put("bucket", f"told/{key}", b"a")
    emulator.faults.inject(Effect.DELAY, operation="DeleteMultipleObjects", delay_s=1.0)
    deletes = DeleteSettings(wanted=True, max_delete="off")
    options = replace(options_for(emulator), deletes=deletes)
    job = Job(LocalAddress(str(tmp_path)), OssAddress("bucket", "told"), options=options)

    report = stopped_run(job, emulator)

    assert (2, 0) == (report.totals.deleted, report.totals.undeleted)
    assert books_balance(report.totals)
    assert ["told/a"] == keys_below(emulator, "told")
