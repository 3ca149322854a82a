"""A scan in a process of its own is the scan, even where that process comes to nothing."""

import os
from itertools import chain

import pytest
from msgspec.structs import replace

from osssync import scout
from osssync.config import Compare, Job, LocalAddress, Options, OssAddress
from osssync.engines.child import Crew
from osssync.errors import LocalFileError, UsageError
from osssync.local.scan import scan, scan_columns
from osssync.model import EntryKind, Width

COPY = Job(OssAddress("b", ""), OssAddress("c", ""))
HOW = {"follow_symlinks": False, "with_directories": True}


def download(tree):
    """A job that compares with what is there."""
    return Job(OssAddress("b", ""), LocalAddress(str(tree)))


class Alone(Crew):
    """A crew that says it is two, of whom nobody is needed here."""

    def __init__(self):
        super().__init__(
            lambda _: pytest.fail("nobody else works"), 2, Width(1, 1), takes_parts=False
        )

    def call(self):
        return ()


@pytest.fixture
def children(monkeypatch):
    """The processes that were forked."""
    made = []
    fork = scout.fork
    monkeypatch.setattr(scout, "can_fork", lambda: True)
    monkeypatch.setattr(scout, "fork", lambda *what: made.append(fork(*what)) or made[-1])
    return made


@pytest.fixture
def tree(tmp_path):
    """Files enough for several messages, and some of what is no file."""
    for folder in ("a", "b/c"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(1500):
            (tmp_path / folder / f"{number:04}").touch()
    (tmp_path / "b" / "link").symlink_to("nowhere")
    (tmp_path / os.fsdecode(b"not\xffutf8")).write_bytes(b"x")
    return str(tmp_path)


def test_a_scouted_scan_is_the_scan(tree, children):
    """The same entries in the same order: directories, links, and names that are no UTF-8."""
    expected = list(scan(tree, **HOW))

    with scout.scouted(download(tree), Alone()) as scan_there:
        found = list(chain.from_iterable(scan_there(tree, **HOW)))

    assert expected == found
    assert {EntryKind.DIRECTORY, EntryKind.LINK, EntryKind.UNUSABLE} < {one.kind for one in found}
    assert 1 == len(children)


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_scan_whose_process_dies_is_gone_on_with(tree, children, pieces):
    """Nothing is missing and nothing comes twice: a shorter listing would delete files."""
    expected = list(scan(tree, **HOW))

    with scout.scouted(download(tree), Alone()) as scan_there:
        columns = scan_there(tree, **HOW)
        found = [entry for _ in range(pieces) for entry in next(columns)]
        children[0].end()
        found += chain.from_iterable(columns)

    assert expected == found


def test_the_scout_scans_one_tree_and_the_parent_any_other(tree, children):
    """It has ended by then, or ends on being asked again."""
    expected = list(scan(tree, **HOW))

    with scout.scouted(download(tree), Alone()) as scan_there:
        first = list(chain.from_iterable(scan_there(tree, **HOW)))
        second = list(chain.from_iterable(scan_there(tree, **HOW)))

    assert expected == first == second


@pytest.mark.usefixtures("children")
def test_what_cannot_be_scanned_is_the_error_it_would_be_here(tmp_path):
    """The scout ends without a word, and the parent meets the same."""
    (tmp_path / "file").touch()

    for name, error in (("missing", LocalFileError), ("file", UsageError)):
        with scout.scouted(download(tree), Alone()) as scan_there, pytest.raises(error, match=name):
            list(scan_there(str(tmp_path / name), **HOW))


def test_the_scout_ends_with_the_run(tree, children):
    """However little of its scan was read."""
    with scout.scouted(download(tree), Alone()) as scan_there:
        next(scan_there(tree, **HOW))

    with pytest.raises(ProcessLookupError):
        os.kill(children[0].pid, 0)


def test_without_other_processes_or_a_tree_there_is_no_scout(tree, children):
    """One processor, or --processes 1; a copy inside OSS, or one that compares nothing."""
    crew = Crew(lambda _: pytest.fail("nobody is called"), 0, Width(1, 1), takes_parts=False)

    with scout.scouted(download(tree), crew) as scan_here:
        assert scan_here is scan_columns

    blind = replace(download(tree), options=Options(compare=Compare.ALWAYS))
    for job in (COPY, blind):
        with scout.scouted(job, Alone()) as scan_here:
            assert scan_here is scan_columns

    assert not children


@pytest.mark.parametrize(("names", "is_scouted"), [(0, False), (scout.FEW, False), (101, True)])
def test_a_tree_that_is_seen_at_a_glance_has_no_scout(tmp_path, children, names, is_scouted):
    """A process takes longer than to look at so few names; nothing at all is the first run."""
    for number in range(names):
        (tmp_path / str(number)).touch()

    with scout.scouted(download(tmp_path), Alone()) as scan_there:
        assert names == len(list(chain.from_iterable(scan_there(str(tmp_path), **HOW))))

    assert is_scouted == bool(children)


def test_an_upload_is_scouted_where_it_comes_from(tree, children):
    """Its destination is no tree of this machine."""
    with scout.scouted(Job(LocalAddress(tree), OssAddress("b", "")), Alone()):
        pass

    assert 1 == len(children)
