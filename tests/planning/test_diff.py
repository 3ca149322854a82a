"""Every difference has its reason, and many files at once are decided as one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.columns import Columns
from osssync.config import Compare
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind
from osssync.planning.diff import alike, decide, reason_to_skip
from osssync.ranges import MAX_OBJECT_BYTES

S = 1_000_000_000  # nanoseconds in a second
TRANSFER, SKIP, REFUSE = ActionKind.TRANSFER, ActionKind.SKIP, ActionKind.REFUSE
DOWNLOAD, UPLOAD, COPY = Direction.DOWNLOAD, Direction.UPLOAD, Direction.COPY


def _file(key="k", size=10, mtime_ns=100 * S):
    return Entry(key, size, mtime_ns)


def test_what_is_missing_is_transferred_in_every_mode():
    """Nothing there, nothing to compare."""
    source = _file()

    decisions = {decide(source, None, compare, way) for compare in Compare for way in Direction}

    assert decisions == {Action(TRANSFER, source, "new")}


SAME, SIZE, OLDER, NEWER, FRACTION = (
    _file(),
    _file(size=12),
    _file(mtime_ns=99 * S),
    _file(mtime_ns=101 * S),
    _file(mtime_ns=100 * S + 5),
)


@pytest.mark.parametrize(
    ("compare", "direction", "destination", "expected", "reason"),
    [
        (Compare.TIME, DOWNLOAD, SAME, SKIP, "unchanged"),
        (Compare.TIME, DOWNLOAD, FRACTION, SKIP, "unchanged"),
        (Compare.TIME, DOWNLOAD, OLDER, TRANSFER, "time differs"),
        (Compare.TIME, DOWNLOAD, NEWER, TRANSFER, "time differs"),
        (Compare.TIME, DOWNLOAD, SIZE, TRANSFER, "size differs: 10 B here, 12 B there"),
        (Compare.TIME, UPLOAD, SAME, SKIP, "unchanged"),
        (Compare.TIME, UPLOAD, NEWER, SKIP, "unchanged"),
        (Compare.TIME, UPLOAD, OLDER, TRANSFER, "newer here"),
        (Compare.TIME, UPLOAD, SIZE, TRANSFER, "size differs: 10 B here, 12 B there"),
        (Compare.TIME, COPY, SAME, TRANSFER, "written since the copy"),
        (Compare.TIME, COPY, OLDER, TRANSFER, "written since the copy"),
        (Compare.TIME, COPY, NEWER, SKIP, "unchanged"),
        (Compare.TIME, COPY, SIZE, TRANSFER, "size differs: 10 B here, 12 B there"),
        (Compare.SIZE, DOWNLOAD, OLDER, SKIP, "unchanged"),
        (Compare.SIZE, COPY, SAME, SKIP, "unchanged"),
        (Compare.SIZE, DOWNLOAD, SIZE, TRANSFER, "size differs: 10 B here, 12 B there"),
        (Compare.UPDATE, DOWNLOAD, SAME, SKIP, "unchanged"),
        (Compare.UPDATE, DOWNLOAD, NEWER, SKIP, "unchanged"),
        (Compare.UPDATE, DOWNLOAD, OLDER, TRANSFER, "newer here"),
        (Compare.UPDATE, UPLOAD, OLDER, TRANSFER, "newer here"),
        (Compare.UPDATE, COPY, SAME, SKIP, "unchanged"),
        (Compare.UPDATE, DOWNLOAD, SIZE, TRANSFER, "size differs: 10 B here, 12 B there"),
        (Compare.EXISTS, DOWNLOAD, SIZE, SKIP, "exists"),
        (Compare.EXISTS, UPLOAD, OLDER, SKIP, "exists"),
        (Compare.ALWAYS, COPY, SAME, TRANSFER, "always"),
        (Compare.ALWAYS, UPLOAD, NEWER, TRANSFER, "always"),
    ],
)
def test_the_decision_table_holds(compare, direction, destination, expected, reason):
    """Line by line what the module's table says, with the reason the user reads."""
    source = _file()

    assert decide(source, destination, compare, direction) == Action(expected, source, reason)


def test_an_upload_written_in_the_second_of_its_object_is_noticed():
    """LastModified is a whole second; a file edited later in that second is newer."""
    edited = _file(mtime_ns=100 * S + 1)

    assert decide(edited, _file(), Compare.TIME, UPLOAD).kind is TRANSFER


@pytest.mark.parametrize("compare", list(Compare))
def test_an_unusable_source_is_refused_with_its_note(compare):
    """Whatever the destination has; it counts as failed and never as done."""
    source = Entry("k", 0, 0, EntryKind.UNUSABLE, note="a socket, not a file")

    for destination in (None, _file()):
        action = decide(source, destination, compare, UPLOAD)
        assert action == Action(REFUSE, source, "a socket, not a file")


@pytest.mark.parametrize("compare", list(Compare))
def test_a_file_never_replaces_a_directory_nor_the_reverse(compare):
    """An object "d/" that holds data meets a local directory "d"."""
    file, directory = _file("d/"), Entry("d/", 0, 0, EntryKind.DIRECTORY)

    assert decide(file, directory, compare, DOWNLOAD) == Action(
        REFUSE, file, "a file here, a directory there"
    )
    assert decide(directory, file, compare, UPLOAD) == Action(
        REFUSE, directory, "a directory here, a file there"
    )


@pytest.mark.parametrize("compare", list(Compare))
def test_a_directory_that_exists_is_left_alone(compare):
    """Its time says nothing about its contents."""
    here = Entry("d/", 0, 5 * S, EntryKind.DIRECTORY)
    there = Entry("d/", 0, 9 * S, EntryKind.DIRECTORY)

    assert decide(here, there, compare, COPY) == Action(SKIP, here, "exists")
    assert decide(here, None, compare, COPY).kind is TRANSFER


def test_a_link_or_device_at_the_destination_is_replaced_unless_existing_is_enough():
    """Its size and time are not those of a file, so they cannot say "unchanged"."""
    source = _file(size=0, mtime_ns=0)
    link = Entry("k", 0, 0, EntryKind.LINK, note="a symbolic link, not followed")

    for compare in (Compare.TIME, Compare.SIZE, Compare.UPDATE):
        action = decide(source, link, compare, DOWNLOAD)
        assert action.kind is TRANSFER
        assert "symbolic link" in action.reason
    assert decide(source, link, Compare.EXISTS, DOWNLOAD).kind is SKIP


def test_a_file_no_object_can_hold_is_refused_before_it_is_read():
    """48.8 TB is OSS's limit, and it is inclusive."""
    fits, does_not = _file(size=MAX_OBJECT_BYTES), _file(size=MAX_OBJECT_BYTES + 1)

    assert decide(fits, None, Compare.TIME, UPLOAD).kind is TRANSFER
    assert decide(does_not, None, Compare.TIME, UPLOAD).kind is REFUSE


def test_a_source_link_that_is_not_followed_is_skipped_with_its_reason():
    """The user asked not to follow links: that is no failure."""
    link = Entry("k", 0, 0, EntryKind.LINK, note="a symbolic link, not followed")

    action = decide(link, None, Compare.TIME, Direction.UPLOAD)

    assert (action.kind, action.reason) == (SKIP, "a symbolic link, not followed")


plain_files = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "é")),
        st.sampled_from((0, 10, MAX_OBJECT_BYTES, MAX_OBJECT_BYTES + 1)),
        st.sampled_from((S, S + 1, 2 * S)),
    ),
    max_size=6,
)


@given(plain_files, plain_files, st.sampled_from(Compare), st.sampled_from(Direction))
def test_many_files_are_decided_as_one_by_one(here, there, compare, direction):
    """Those at the head that are called the same and would be skipped, all of them, no more."""
    count = min(len(here), len(there))
    source = [_file(*row) for row in here[:count]]
    destination = [_file(*row) for row in there[:count]]
    actions = [decide(*pair, compare, direction) for pair in zip(source, destination, strict=True)]
    skip = Action(SKIP, _file(), reason_to_skip(compare))
    expected = next(
        (
            place
            for place, action in enumerate(actions)
            if (action.kind, action.reason) != (skip.kind, skip.reason)
            or source[place].key != destination[place].key
        ),
        count,
    )

    found = alike(Columns.of(source), Columns.of(destination), compare, direction)

    assert expected == found
