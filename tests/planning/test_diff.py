"""Two listings are paired exactly, and every difference has its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.config import Compare
from osssync.errors import OsssyncError
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind
from osssync.planning.diff import decide, merge_join
from osssync.ranges import MAX_OBJECT_BYTES

S = 1_000_000_000  # nanoseconds in a second
TRANSFER, SKIP, REFUSE = ActionKind.TRANSFER, ActionKind.SKIP, ActionKind.REFUSE
DOWNLOAD, UPLOAD, COPY = Direction.DOWNLOAD, Direction.UPLOAD, Direction.COPY

keys = st.sets(st.text(alphabet="a-/0é日😀", min_size=1, max_size=5), max_size=20)


def _file(key="k", size=10, mtime_ns=100 * S):
    return Entry(key, size, mtime_ns)


def _listing(names):
    """In UTF-8 byte order, which is what OSS and the scan give."""
    return [_file(key) for key in sorted(names, key=lambda key: key.encode())]


@given(keys, keys)
def test_pairs_are_those_of_two_dictionaries(here, there):
    """Every key of either side once, in byte order, with the entry of each side or None."""
    source, destination = _listing(here), _listing(there)
    by_key = {e.key: e for e in source}, {e.key: e for e in destination}
    everything = sorted(here | there, key=lambda key: key.encode())
    expected = [(by_key[0].get(key), by_key[1].get(key)) for key in everything]

    assert list(merge_join(source, destination)) == expected


def test_listings_are_read_lazily():
    """One entry ahead at most: a billion keys need no memory."""

    def counted(read):
        for number in range(10):
            read.append(number)
            yield _file(f"{number}")

    here, there = [], []
    pairs = merge_join(counted(here), counted(there))

    for _ in range(3):
        next(pairs)

    assert (len(here), len(there)) == (3, 3)


@pytest.mark.parametrize("bad", [["b", "a"], ["a", "a"], ["a", "b", "ab"]])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_listing_out_of_order_decides_nothing(bad, side):
    """A key missed by a wrong order would be transferred again, or worse, deleted."""
    listings = {"source": [], "destination": [], side: [_file(key) for key in bad]}

    with pytest.raises(OsssyncError, match=side):
        list(merge_join(listings["source"], listings["destination"]))


def test_the_rest_of_the_longer_listing_is_checked_too():
    """Order counts after the other side has ended."""
    with pytest.raises(OsssyncError, match="out of order"):
        list(merge_join([], [_file("a"), _file("c"), _file("b")]))


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
