"""Keys that differ only in case, on their way to a disk that takes them for one file.

No such file system can be mounted everywhere, so that whether the destination is one is said by
the test. What hangs on it is real.
"""

import pytest
from msgspec.structs import replace

from osssync import copy, plan, sync
from osssync.config import Compare, DeleteSettings
from osssync.filters import Filters, Rule
from osssync.model import ActionKind
from tests.faults.traces import books_balance
from tests.trees import tree_bytes


@pytest.fixture
def asked(monkeypatch):
    """The destination ignores case; what was asked about it."""
    seen = []
    monkeypatch.setattr("osssync.trees.ignores_case", lambda *what: seen.append(what) or True)
    return seen


@pytest.fixture
def put(emulator):
    """Put objects below ``t/`` that hold their own key."""

    def put_all(*keys):
        for key in keys:
            emulator.objects.put("bucket", f"t/{key}", key.encode())

    return put_all


def failures(report):
    return {failed.key: failed.failure.message for failed in report.failures}


def test_the_second_key_is_refused_and_the_first_arrives(put, asked, options, tmp_path):
    """Neither overwrites the other by chance; a shared directory is fine; the reason names both."""
    put("A/x", "a/x", "a/y", "B")

    report = sync("oss://bucket/t", tmp_path, options)

    assert {"A/x": b"A/x", "a/y": b"a/y", "B": b"B"} == tree_bytes(tmp_path)
    assert {"a/x"} == set(failures(report))
    assert "'A/x'" in failures(report)["a/x"]
    assert "rename or exclude" in failures(report)["a/x"]
    assert 4 == report.exit_code
    assert books_balance(report.totals)


def test_what_is_there_already_keeps_its_name(put, asked, options, tmp_path):
    """A second run skips the first key and refuses the second again."""
    put("A", "a")
    sync("oss://bucket/t", tmp_path, options)

    report = sync("oss://bucket/t", tmp_path, options)

    assert (1, {"a"}) == (report.totals.skipped, set(failures(report)))
    assert {"A": b"A"} == tree_bytes(tmp_path)


def test_an_excluded_key_takes_no_name(put, asked, options, tmp_path):
    """As the reason advises: with one of the two excluded the other arrives."""
    put("A", "a")
    filters = Filters(rules=(Rule(include=False, pattern="/A"),))

    report = sync("oss://bucket/t", tmp_path, replace(options, filters=filters))

    assert report.succeeded
    assert {"a": b"a"} == tree_bytes(tmp_path)


def test_a_copy_of_a_tree_is_guarded_too(put, asked, options, tmp_path):
    """It looks at no destination, and would overwrite all the same."""
    put("A", "a")

    report = copy("oss://bucket/t", tmp_path, options, recursive=True)

    assert {"a"} == set(failures(report))


def test_where_case_counts_both_arrive(put, options, tmp_path):
    """This machine's file system is asked itself, and tells the two apart; no trace is left."""
    put("A", "a")

    report = sync("oss://bucket/t", tmp_path / "out", options)

    assert report.succeeded
    assert {"A": b"A", "a": b"a"} == tree_bytes(tmp_path / "out")


def test_a_plan_says_the_same_and_makes_nothing(put, asked, options, tmp_path):
    """Nothing may be written to find out: no name for a probe is given."""
    put("A", "a")

    actions = list(plan("oss://bucket/t", tmp_path, options))

    assert [ActionKind.TRANSFER, ActionKind.REFUSE] == [action.kind for action in actions]
    assert [(str(tmp_path), "")] == asked


def test_an_empty_source_asks_nothing(emulator, asked, options, tmp_path):
    """No key, no question."""
    sync("oss://bucket/t", tmp_path, options)

    assert [] == asked


def test_uploads_are_not_asked_about(emulator, asked, options, tmp_path):
    """OSS tells all keys apart."""
    for name in ("A", "a"):
        (tmp_path / name).write_bytes(b"")

    report = sync(tmp_path, "oss://bucket/t", options)

    assert (True, []) == (report.succeeded, asked)
    assert ["t/A", "t/a"] == emulator.objects.keys("bucket")


# --- deletes ---


def delete(options, **settings):
    return replace(options, deletes=DeleteSettings(wanted=True, **settings))


@pytest.mark.parametrize(
    ("source", "there"),
    [("a", "A"), ("A", "a"), ("d/f", "D/F"), ("D/f", "d/f"), ("caf\u00e9", "CAFE\u0301")],
)
def test_what_was_just_written_is_not_deleted_under_its_other_name(
    put, asked, options, tmp_path, source, there
):
    """There, the old name is the new file, its directory the new one's."""
    put(source)
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_bytes(b"old")
    (tmp_path / "extra").write_bytes(b"")

    report = sync("oss://bucket/t", tmp_path, delete(options, max_delete="1"))

    assert report.succeeded, report.fatal
    assert (1, 0) == (report.totals.deleted, report.totals.undeleted)
    assert {source, there} == set(tree_bytes(tmp_path))


def test_an_excluded_key_keeps_its_other_name_as_well(put, asked, options, tmp_path):
    """Whatever the source has counts as present, in any case."""
    put("Kept", "b")
    (tmp_path / "kept").write_bytes(b"old")
    filters = Filters(rules=(Rule(include=False, pattern="/Kept"),))

    report = sync("oss://bucket/t", tmp_path, delete(replace(options, filters=filters)))

    assert report.succeeded
    assert {"b", "kept"} == set(tree_bytes(tmp_path))


def test_a_rehearsal_spares_the_same(put, asked, options, tmp_path):
    """What it says would be deleted is what a run deletes."""
    put("a")
    for name in ("A", "extra"):
        (tmp_path / name).write_bytes(b"a")
    rehearsal = replace(delete(options), dry_run=True, compare=Compare.SIZE)

    report = sync("oss://bucket/t", tmp_path, rehearsal)

    assert 1 == report.totals.deleted
    assert {"A", "extra"} == set(tree_bytes(tmp_path))


def test_a_refused_key_lets_nothing_be_deleted(put, asked, options, tmp_path):
    """A run with a failure deletes nothing, here as anywhere."""
    put("A", "a")
    (tmp_path / "extra").write_bytes(b"")

    report = sync("oss://bucket/t", tmp_path, delete(options))

    assert (4, 0) == (report.exit_code, report.totals.deleted)
    assert (tmp_path / "extra").exists()
