"""Objects on their way: a limit ends a run only if something is left, and a bar ends at its end."""

import os
import threading

import pytest
from msgspec.structs import replace

import osssync.traffic
from osssync.config import DeleteSettings, Job, LocalAddress, OssAddress
from osssync.emulator.faults import Effect
from osssync.limits import Limits
from osssync.model import Action, ActionKind, Entry
from osssync.progress import ShieldedMonitor, SilentMonitor
from osssync.runner import run
from tests.conftest import options_for
from tests.trees import tree_bytes

PART = 100 * 1024
MANY = 400  # more than any engine holds at once


@pytest.fixture
def download(emulator, tmp_path):
    """Run a download of the prefix ``t``; keywords are limits, ``jobs`` how many at once."""

    def start(*, jobs=2, deletes=False, monitor=None, **limits):
        options = options_for(emulator, jobs=jobs, part_size=PART, bigfile_threshold=PART)
        options = replace(
            options, limits=Limits(**limits), deletes=DeleteSettings(deletes, max_delete="off")
        )
        job = Job(OssAddress("bucket", "t"), LocalAddress(str(tmp_path / "out")), options=options)
        return run(job, monitor)

    return start


def put(emulator, **objects):
    for name, content in objects.items():
        emulator.objects.put("bucket", f"t/{name}", content)


class Bar(SilentMonitor):
    """Counts as a progress bar does."""

    def __init__(self):
        self.total = 0
        self.shown = 0

    def decided(self, action):
        self.total += action.entry.size

    def moved(self, byte_count):
        self.shown += byte_count


@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_max_transfer_that_the_last_object_reaches_is_kept(emulator, download, jobs):
    """Nothing is left to do: exit 0, whatever was in flight at once."""
    put(emulator, a=b"1" * 100, b=b"2" * 100, c=b"3" * 100)

    report = download(jobs=jobs, max_transfer_bytes=300)

    assert (0, 3, None) == (report.exit_code, report.totals.transferred, report.fatal)


def test_max_transfer_that_is_reached_before_the_last_object_ends_the_run(emulator, download):
    """With more objects than are in flight at once, exit 8: the last is not begun, nor counted."""
    put(emulator, **{f"{number:03}": b"1" * 100 for number in range(MANY)})

    report = download(jobs=1, max_transfer_bytes=300)

    assert 8 == report.exit_code
    assert 3 <= report.totals.transferred == report.totals.found < MANY
    assert f"t/{MANY - 1:03}" not in {request.key for request in emulator.requests}


def test_what_is_there_already_does_not_make_a_limit_count(emulator, download):
    """After the last transfer only unchanged objects follow: exit 0, and all are counted."""
    put(emulator, b=b"2", c=b"3")
    assert 0 == download().exit_code
    put(emulator, a=b"1" * 100)

    report = download(jobs=1, max_transfer_bytes=100)

    assert (0, 1, 2) == (report.exit_code, report.totals.transferred, report.totals.skipped)


def test_an_object_whose_last_part_reaches_the_limit_is_finished(emulator, download, tmp_path):
    """To finish it moves no byte, and it is whole: exit 0."""
    data = bytes(range(256)) * 1200
    put(emulator, large=data)

    report = download(max_transfer_bytes=len(data))

    assert (0, 1) == (report.exit_code, report.totals.transferred)
    assert {"large": data} == tree_bytes(tmp_path / "out")


@pytest.mark.parametrize(("objects", "is_over"), [(2, False), (MANY, True)])
def test_max_failure_that_the_last_object_exceeds_says_nothing(
    emulator, download, objects, is_over
):
    """Nothing else could have been tried: what failed is in the report, no limit is blamed."""
    put(emulator, **{f"{number:03}": b"1" for number in range(objects)})
    emulator.faults.inject(Effect.ERROR, operation="GetObject", status=404, code="NoSuchVersion")

    report = download(jobs=1, max_failure=1)

    assert is_over == (report.fatal is not None)
    assert is_over == (report.totals.failed < objects)
    assert report.exit_code == (4 if is_over else 2)  # 2: what all failures share


def test_max_duration_that_the_last_object_outlasts_is_kept(emulator, download):
    """Its answer comes after the time is over, and within the grace: all is done, exit 0."""
    put(emulator, a=b"1", b=b"2")
    emulator.faults.inject(Effect.DELAY, operation="GetObject", delay_s=0.5)

    report = download(max_duration_s=0.3)

    assert (0, 2) == (report.exit_code, report.totals.transferred)


def test_max_duration_ends_a_run_whose_last_answer_does_not_come(emulator, download, monkeypatch):
    """All that is left is in flight, and hangs: exit 10 once the grace is over."""
    monkeypatch.setattr(osssync.traffic, "GRACE_S", 0.1)
    put(emulator, a=b"1", b=b"2")
    emulator.faults.inject(Effect.HANG, operation="GetObject", key="t/b")

    report = download(max_duration_s=0.3)

    assert (10, 1, 1) == (report.exit_code, report.totals.transferred, report.totals.failed)


def test_max_duration_ends_a_run_that_still_has_to_delete(emulator, download, tmp_path):
    """Deletes are left to do, so the last object does not make it whole: exit 10."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_bytes(b"stays")
    put(emulator, a=b"1")
    emulator.faults.inject(Effect.DELAY, operation="GetObject", delay_s=0.5)

    report = download(deletes=True, max_duration_s=0.3)

    assert (10, 0) == (report.exit_code, report.totals.deleted)
    assert {"a": b"1", "old": b"stays"} == tree_bytes(tmp_path / "out")


def test_a_bar_ends_at_its_end_when_a_run_is_resumed(emulator, download):
    """What the first run moved is in its place: the second one counts it as well."""
    put(emulator, large=bytes(8 * PART))
    assert 8 == download(max_transfer_bytes=3 * PART).exit_code
    bar = Bar()

    report = download(monitor=bar)

    assert 0 == report.exit_code
    assert report.totals.moved_bytes < 8 * PART, "nothing was resumed: this shows nothing"
    assert (8 * PART, 8 * PART) == (bar.shown, bar.total)


def test_a_bar_ends_at_its_end_when_what_is_resumed_changes(emulator, download):
    """What was counted as moved, by both runs, is taken back when the object begins anew."""
    put(emulator, large=bytes(8 * PART))
    assert 8 == download(max_transfer_bytes=3 * PART).exit_code
    bar = Bar()
    emulator.faults.inject(Effect.CHANGE, operation="GetObject", after=1, times=1)

    report = download(jobs=1, monitor=bar)

    assert 0 == report.exit_code
    assert (8 * PART, 8 * PART) == (bar.shown, bar.total)


class Ear(SilentMonitor):
    """Writes down what it hears."""

    def __init__(self, *, hears_skips=True, hears_transfers=True):
        self.hears_skips = hears_skips
        self.hears_transfers = hears_transfers
        self.heard = []

    def decided(self, action):
        self.heard.append(action.kind)

    def ended(self, outcome):
        self.heard.append(outcome.task.entry.key)

    def warned(self, message):
        self.heard.append(message)


@pytest.mark.parametrize("hears_skips", [True, False])
def test_a_monitor_may_be_spared_the_skips_and_hears_all_else(hears_skips):
    """Warnings of other threads come with a skip, too."""
    ear = Ear(hears_skips=hears_skips)
    shielded = ShieldedMonitor(ear)

    thread = threading.Thread(target=shielded.warned, args=("slow",))
    thread.start()
    thread.join()
    for kind in ActionKind:
        shielded.decided(Action(kind, Entry("k", 1, 1), ""))

    skips = [ActionKind.SKIP] if hears_skips else []
    rest = [kind for kind in ActionKind if kind is not ActionKind.SKIP]
    assert sorted(map(str, ear.heard)) == sorted(map(str, ["slow", *skips, *rest]))


@pytest.mark.parametrize("dry_run", [True, False])
def test_sums_are_the_same_whether_skips_are_heard_or_not(emulator, tmp_path, dry_run):
    """Whoever hears of each hears as many as are counted; whoever does not, of none."""
    options = replace(options_for(emulator), dry_run=dry_run)
    for number in range(100):
        (tmp_path / f"{number:03}").write_bytes(b"same")
        os.utime(tmp_path / f"{number:03}", (1e9, 1e9))
        emulator.objects.put("bucket", f"t/{number:03}", b"same")
    (tmp_path / "050").write_bytes(b"another")
    (tmp_path / "051").write_bytes(b"another")
    job = Job(LocalAddress(str(tmp_path)), OssAddress("bucket", "t"), options=options)
    all_ears, no_ears = Ear(hears_skips=True), Ear(hears_skips=False)

    deaf = run(replace(job, options=replace(options, dry_run=True)), no_ears).totals
    heard = run(job, all_ears).totals

    assert (100, 98, 2) == (deaf.found, deaf.skipped, deaf.transferred)
    assert (100, 98, 2) == (heard.found, heard.skipped, heard.transferred)
    assert (0, 2) == tuple(map(no_ears.heard.count, (ActionKind.SKIP, ActionKind.TRANSFER)))
    assert (98, 2) == tuple(map(all_ears.heard.count, (ActionKind.SKIP, ActionKind.TRANSFER)))


@pytest.mark.parametrize("hears_transfers", [True, False])
def test_many_new_files_are_begun_together_and_each_is_heard_of(
    emulator, download, hears_transfers
):
    """Decisions only by whoever wants to hear them, ends by everybody."""
    put(emulator, **{f"{number:03}": b"1" for number in range(MANY)})
    ear = Ear(hears_transfers=hears_transfers)

    report = download(monitor=ear)

    assert (0, MANY, MANY) == (report.exit_code, report.totals.found, report.totals.transferred)
    assert (MANY, MANY) == (report.totals.moved_bytes, len(set(ear.heard) - {ActionKind.TRANSFER}))
    assert MANY * hears_transfers == ear.heard.count(ActionKind.TRANSFER)


def test_a_rehearsal_counts_many_new_files_as_the_run_does(emulator, tmp_path):
    """Found, transferred and bytes; heard of one by one, as they would be printed."""
    put(emulator, **{f"{number:03}": b"12" for number in range(MANY)})
    options = replace(options_for(emulator), dry_run=True)
    job = Job(OssAddress("bucket", "t"), LocalAddress(str(tmp_path / "out")), options=options)
    ear = Ear(hears_skips=False)

    totals = run(job, ear).totals

    assert (MANY, MANY, 2 * MANY) == (totals.found, totals.transferred, totals.moved_bytes)
    assert MANY == ear.heard.count(ActionKind.TRANSFER)


def test_a_limit_ends_a_run_among_many_new_files(emulator, download):
    """What was not begun is in no sum."""
    put(emulator, **{f"{number:03}": b"1" * 10 for number in range(MANY)})

    report = download(jobs=2, max_transfer_bytes=100)

    assert 8 == report.exit_code
    assert report.totals.found == report.totals.transferred + report.totals.failed
    assert 10 <= report.totals.transferred <= report.totals.found < MANY


def test_failures_among_many_new_files_are_told_with_their_objects(emulator, download):
    """The others arrive, in whatever order answers come."""
    put(emulator, **{f"{number:03}": b"1" for number in range(MANY)})
    for key in ("t/003", "t/222"):
        emulator.faults.inject(
            Effect.ERROR, operation="GetObject", key=key, status=404, code="NoSuchVersion"
        )

    report = download(jobs=8)

    assert ["003", "222"] == sorted(failed.key for failed in report.failures)
    assert (MANY, MANY - 2, 2) == (
        report.totals.found, report.totals.transferred, report.totals.failed
    )  # fmt: skip


def test_what_an_earlier_run_left_of_an_object_that_is_small_now_is_put_away(
    emulator, download, tmp_path
):
    """Among many new files, too: nothing stays behind."""
    put(emulator, large=bytes(8 * PART), **{f"{number:03}": b"1" for number in range(MANY)})
    assert 8 == download(max_transfer_bytes=3 * PART).exit_code
    put(emulator, large=b"small")

    report = download()

    assert 0 == report.exit_code
    assert b"small" == tree_bytes(tmp_path / "out")["large"]
    assert MANY + 1 == len(tree_bytes(tmp_path / "out"))
