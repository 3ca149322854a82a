"""What a run comes to: the sums always add up, and the exit code says the most important thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync import errors
from osssync.model import Action, ActionKind, Entry, EntryKind, Failure, Outcome, Step, Task
from osssync.report import KEPT_FAILURES, SOME_FAILED_EXIT, Tally, refusal

DENIED = Failure("AccessDeniedError", "no permission", 7)
BROKEN = Failure("NetworkError", "cut off", 3)


def entry(name="key"):
    """One source entry."""
    return Entry(name, 10, 0)


def outcome(failure=None, name="key"):
    """How an object ended."""
    task = Task(1, Step.WHOLE, entry(name), name)
    return Outcome(task, failure=failure, moved_bytes=0 if failure else 10, retries=1)


def report_of(*failures, arrived=0, skipped=0, fatal=None):
    """The report of a run with so many ends of each kind."""
    tally = Tally()
    for _ in range(skipped):
        tally.decided(Action(ActionKind.SKIP, entry(), "unchanged"))
    for failure in (*failures, *[None] * arrived):
        tally.decided(Action(ActionKind.TRANSFER, entry(), "new"))
        tally.ended(outcome(failure))
    return tally.report(elapsed_s=2.0, fatal=fatal)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (report_of(), 0),
        (report_of(arrived=2, skipped=1), 0),
        (report_of(DENIED), 7),
        (report_of(DENIED, DENIED), 7),
        (report_of(BROKEN, BROKEN), 3),
        (report_of(DENIED, BROKEN), SOME_FAILED_EXIT),
        (report_of(DENIED, arrived=1), SOME_FAILED_EXIT),
        (report_of(DENIED, skipped=1), SOME_FAILED_EXIT),
        (report_of(fatal=BROKEN), 3),
        (report_of(DENIED, arrived=5, fatal=BROKEN), 3),
    ],
)
def test_the_exit_code_says_the_most_important_thing(report, code):
    """0; what ended the run; what all failures share if nothing was done; else "some failed"."""
    assert code == report.exit_code
    assert (code == 0) == report.succeeded


@given(st.lists(st.sampled_from(["arrive", "fail", *ActionKind])))
def test_found_is_always_the_sum_of_all_ends(ends):
    """Found = transferred + skipped + excluded + failed, in any mixture."""
    tally = Tally()
    for end in ends:
        kind = end if isinstance(end, ActionKind) else ActionKind.TRANSFER
        tally.decided(Action(kind, entry(), "why"))
        if kind is ActionKind.TRANSFER:
            tally.ended(outcome(BROKEN if end == "fail" else None))

    totals = tally.report(elapsed_s=1.0).totals

    assert len(ends) == totals.found
    assert totals.found == sum((totals.transferred, totals.skipped, totals.excluded, totals.failed))


def test_every_failure_is_counted_and_only_the_first_are_kept():
    """Memory stays flat though all of a million objects fail."""
    tally = Tally()
    for number in range(KEPT_FAILURES + 5):
        tally.ended(outcome(BROKEN, f"{number:06}"))

    report = tally.report(elapsed_s=1.0)

    assert KEPT_FAILURES + 5 == report.totals.failed
    assert [f"{number:06}" for number in range(KEPT_FAILURES)] == [
        failed.key for failed in report.failures
    ]


def test_a_deletion_that_failed_is_no_success():
    """What should be gone and is not makes the run fail, and is in no sum of transfers."""
    tally = Tally()
    tally.removed(entry("gone"), None)
    tally.removed(entry("stays"), DENIED)

    report = tally.report(elapsed_s=1.0)

    assert (1, 1, 0) == (report.totals.deleted, report.totals.undeleted, report.totals.failed)
    assert (False, SOME_FAILED_EXIT) == (report.succeeded, report.exit_code)
    assert ["stays"] == [failed.key for failed in report.failures]


def test_bytes_of_failed_objects_are_not_moved():
    """Bytes count when the object arrived; repeats count either way; the rate is over all time."""
    report = report_of(BROKEN, arrived=3)

    assert (30, 4) == (report.totals.moved_bytes, report.totals.retries)
    assert 15.0 == report.bytes_per_s


def test_a_run_without_time_has_a_rate_all_the_same():
    """No division by zero where the clock did not move."""
    assert 0.0 == Tally().report(elapsed_s=0.0).bytes_per_s


REFUSED = {
    "a pipe": (Entry("pipe", 0, 0, EntryKind.UNUSABLE, note="a named pipe"), "LocalFileError"),
    "unreadable": (Entry("dir/", 0, 0, EntryKind.UNUSABLE, note="denied"), "LocalFileError"),
    "too large": (Entry("huge", 1 << 60, 0), "UnsupportedFileError"),
    "a stray byte here": (Entry("\udcff", 0, 0, EntryKind.UNUSABLE), "UnsupportedFileError"),
    "a stray byte there": (
        Entry("\udcff", 9, 0, EntryKind.UNUSABLE, '"E"'), "UnsupportedFileError",
    ),
    "a dead link in OSS": (
        Entry("link", 0, 0, EntryKind.UNUSABLE, '"E"'), "UnsupportedFileError",
    ),
    "a key that climbs out": (Entry("../x", 1, 0), "UnsafeKeyError"),
    "a directory in its place": (Entry("clash", 1, 0), "UnsafeKeyError"),
}  # fmt: skip


@pytest.mark.parametrize(("refused", "error"), REFUSED.values(), ids=REFUSED)
def test_a_refused_entry_fails_with_what_is_to_be_done_about_it(refused, error):
    """Permission and files of this machine, names and sizes, or keys: three classes."""
    failure = refusal(Action(ActionKind.REFUSE, refused, "why"))

    assert (error, "why") == (failure.error, failure.message)
    assert getattr(errors, error).exit_code == failure.exit_code


def test_unchanged_files_are_counted_together():
    """Found and skipped, as if they had come one by one."""
    tally = Tally()

    tally.unchanged(3)
    totals = tally.report(elapsed_s=0.0).totals

    assert (3, 3) == (totals.found, totals.skipped)
