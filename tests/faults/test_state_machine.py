"""Weeks of a tree's life in seconds: whatever is done to it, three plain dicts foretell it all."""

import itertools
import os
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from osssync.config import DeleteSettings, Job, LocalAddress, OssAddress, TransferSettings
from osssync.progress import SilentMonitor
from osssync.runner import run
from tests.conftest import options_for
from tests.faults.traces import books_balance, journaled, part_files, threads, uploads

PART = 100 * 1024
LONG_AGO_S = 1_000_000_000
NUMBERS = itertools.count(1)  # sizes, times and prefixes are never used twice

FOLDERS = st.sampled_from(["", "dir/", "sp ace+/", "ünï/日本/", "100%41/?#/"])
LETTERS = st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"])
HOSTILE = st.one_of(LETTERS, st.sampled_from("\n\t\x07\\ +%?#&*'\"<>~!()aAé"))
BASES = st.text(HOSTILE, min_size=1, max_size=6).map(lambda base: f"{base}.x")
NAMES = st.builds(str.__add__, FOLDERS, BASES)
MANY = st.lists(NAMES, min_size=3, max_size=8, unique=True)


class Meddler(SilentMonitor):
    """Does something in the middle of a run, when so many objects have arrived."""

    def __init__(self, objects, meddle):
        self._left = objects
        self._meddle = meddle

    def ended(self, outcome):  # noqa: ARG002 - the Monitor protocol's
        self._left -= 1
        if self._left == 0:
            self._meddle()


class Life(RuleBasedStateMachine):
    """A tree ``here``, a prefix of a bucket ``there``, and a second tree that follows it."""

    emulator = None  # set by the test
    folder = Path()

    def __init__(self):
        super().__init__()
        number = next(NUMBERS)
        self.prefix = f"life{number}/"
        self.roots = {side: self.folder / f"{side}{number}" for side in ("here", "away")}
        for root in self.roots.values():
            root.mkdir()
        self.here, self.there, self.away = {}, {}, {}

    # --- what people do ---

    @rule(name=NAMES, is_large=st.booleans())
    def write(self, name, is_large):
        self.here[name] = self._new_content(is_large)
        self._write_here(name)

    @precondition(lambda self: self.here)
    @rule(index=st.integers(0, 99), is_large=st.booleans())
    def edit(self, index, is_large):
        name = pick(self.here, index)
        self.here[name] = self._new_content(is_large)
        self._write_here(name)

    @precondition(lambda self: self.here)
    @rule(index=st.integers(0, 99))
    def delete(self, index):
        name = pick(self.here, index)
        del self.here[name]
        (self.roots["here"] / name).unlink()

    @precondition(lambda self: self.here)
    @rule(index=st.integers(0, 99), name=NAMES)
    def rename(self, index, name):
        old = pick(self.here, index)
        path = self.roots["here"] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.roots["here"] / old).rename(path)
        self.here[name] = self.here.pop(old)

    @rule(name=NAMES, is_large=st.booleans())
    def write_there(self, name, is_large):
        """Somebody else puts an object."""
        self.there[name] = self._new_content(is_large)
        self._put_there(name)

    @rule(is_upload=st.booleans(), names=MANY, objects=st.integers(1, 3))
    def revoke(self, is_upload, names, objects):
        """All credentials end in the middle of a run, which gets others and goes on."""
        self._write_many(names, is_upload=is_upload)
        meddler = Meddler(objects, self.emulator.authority.revoke)
        report = self._run(meddler, is_upload=is_upload)
        assert 0 == report.exit_code
        source, target = (self.here, self.there) if is_upload else (self.there, self.away)
        target.update(source)

    # --- what osssync does ---

    @rule()
    def sync_up(self):
        changed = {name for name in self.here if self.here[name] != self.there.get(name)}
        report = self._run(is_upload=True)
        assert (0, len(changed)) == (report.exit_code, report.totals.transferred)
        assert len(self.here) - len(changed) == report.totals.skipped
        self.there.update(self.here)

    @rule()
    def sync_down(self):
        report = self._run(is_upload=False)
        assert (0, len(self.there)) == (report.exit_code, report.totals.found)
        self.away.update(self.there)

    @rule()
    def mirror_up(self):
        gone = self.there.keys() - self.here.keys()
        report = self._run(is_upload=True, delete=True)
        if gone and not self.here:
            assert (6, 0) == (report.exit_code, report.totals.deleted)  # an empty source
            return
        assert (0, len(gone)) == (report.exit_code, report.totals.deleted)
        self.there = dict(self.here)

    @rule()
    def mirror_down(self):
        gone = self.away.keys() - self.there.keys()
        report = self._run(is_upload=False, delete=True)
        if gone and not self.there:
            assert (6, 0) == (report.exit_code, report.totals.deleted)
            return
        assert 0 == report.exit_code
        assert len(gone) <= report.totals.deleted  # directories that became empty count as well
        self.away = dict(self.there)

    @rule(is_upload=st.booleans(), delete=st.booleans(), names=MANY, objects=st.integers(1, 3))
    def interrupted(self, is_upload, delete, names, objects):
        """A run that is told to stop: each object is the old or the new one, none is deleted."""
        self._write_many(names, is_upload=is_upload)
        stop = threading.Event()
        report = self._run(Meddler(objects, stop.set), stop, is_upload=is_upload, delete=delete)
        assert report.exit_code in {0, 5, 6}  # 0 and 6: it was over before it could be stopped
        source, target = (self.here, self.there) if is_upload else (self.there, self.away)
        after = self._there() if is_upload else read_tree(self.roots["away"])
        for name in source.keys() | target.keys():
            old, new = target.get(name), source.get(name)
            may_be_gone = report.exit_code == 0 and delete
            allowed = {old, new} if new is not None or may_be_gone else {old}
            assert after.get(name) in allowed
        target.clear()
        target.update(after)

    # --- what always holds ---

    @invariant()
    def everything_is_as_foretold(self):
        assert self.here == read_tree(self.roots["here"])
        assert self.there == self._there()
        assert self.away == read_tree(self.roots["away"])

    @invariant()
    def nothing_lies_about(self):
        assert [] == part_files(self.roots["here"])
        left = {*part_files(self.roots["away"]), *uploads(self.emulator, self.prefix)}
        if left:
            known = {*journaled(self._job(is_upload=True), os.environ),
                     *journaled(self._job(is_upload=False), os.environ)}  # fmt: skip
            assert left <= known
        assert [] == threads()

    def teardown(self):
        """At last one good run each way: all is equal, and nothing unfinished is left."""
        self.sync_up()
        self.sync_down()
        self.everything_is_as_foretold()
        assert self.there.items() <= self.away.items()
        assert [] == part_files(self.roots["away"])
        assert [] == uploads(self.emulator, self.prefix)
        for root in self.roots.values():
            shutil.rmtree(root)

    def _new_content(self, is_large):
        number = next(NUMBERS)
        return bytes([number % 256]) * (number + 2 * PART * is_large)

    def _write_many(self, names, *, is_upload):
        for name in names:
            side, put = (
                (self.here, self._write_here) if is_upload else (self.there, self._put_there)
            )
            side[name] = self._new_content(is_large=len(name) % 2)
            put(name)

    def _put_there(self, name):
        self.emulator.objects.put("bucket", self.prefix + name, self.there[name])

    def _write_here(self, name):
        path = self.roots["here"] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.here[name])
        os.utime(path, (LONG_AGO_S + next(NUMBERS),) * 2)

    def _there(self):
        keys = [key for key in self.emulator.objects.keys("bucket") if key.startswith(self.prefix)]
        return {
            key.removeprefix(self.prefix): self.emulator.objects.get("bucket", key) for key in keys
        }

    def _job(self, *, is_upload, delete=False):
        transfer = TransferSettings(jobs=2, part_size=PART, bigfile_threshold=PART, retries=2)
        deletes = DeleteSettings(wanted=delete, max_delete="off")
        options = replace(options_for(self.emulator), transfer=transfer, deletes=deletes)
        bucket = OssAddress("bucket", self.prefix)
        if is_upload:
            return Job(LocalAddress(str(self.roots["here"])), bucket, options=options)
        return Job(bucket, LocalAddress(str(self.roots["away"])), options=options)

    def _run(self, monitor=None, stop=None, *, is_upload, delete=False):
        report = run(self._job(is_upload=is_upload, delete=delete), monitor, stop)
        assert books_balance(report.totals)
        return report


def pick(model, index):
    """One of its names."""
    return sorted(model)[index % len(model)]


def read_tree(root):
    """Every file below a directory, unfinished ones left out."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".osssync-"):
                found[str(path.relative_to(root))] = path.read_bytes()
    return found


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(6, marks=pytest.mark.timeout(90)),
        pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_three_dicts_foretell_every_tree(emulator, tmp_path, examples):
    """Edits, renames, deletes, syncs, mirrors, stopped runs, ended credentials, in any order."""
    machine = type("Life", (Life,), {"emulator": emulator, "folder": tmp_path})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
