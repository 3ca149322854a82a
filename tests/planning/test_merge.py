"""Two listings are paired exactly, whatever their pieces, and runs say what their pairs would."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.columns import Columns
from osssync.errors import OsssyncError
from osssync.model import Entry, EntryKind
from osssync.planning.merge import Alike, Lone, merge_join

KEYS = 60  # of a listing at most: several runs, and differences between them

keys = st.sets(st.text(alphabet="a-./0é日😀", min_size=1, max_size=3), max_size=KEYS)


def _file(key="k", size=10):
    return Entry(key, size, 1)


def _in_order(names):
    """UTF-8 byte order, which is what OSS and the scan give."""
    return sorted(names, key=lambda key: key.encode())


def _columns(*names):
    return Columns.of(_file(name) for name in names)


def _same_size(source, destination):
    """Whoever tells runs, here: equal keys and sizes."""
    for count, (one, other) in enumerate(zip(source, destination, strict=True)):
        if (one.key, one.size) != (other.key, other.size):
            return count
    return len(source)


def _pairs(found):
    return [pair for one in found for pair in ([one] if isinstance(one, tuple) else one.pairs)]


@st.composite
def pieces(draw, names):
    """A listing of some of these names: kinds and sizes, and wherever its columns are cut."""
    first, last = draw(st.integers(0, KEYS)), draw(st.integers(0, 2 * KEYS))
    names = [name for place, name in enumerate(names) if not first <= place < last]
    kinds = st.sampled_from((EntryKind.FILE,) * 12 + (EntryKind.DIRECTORY, EntryKind.UNUSABLE))
    entries = [
        Entry(name, draw(st.sampled_from((7,) * 9 + (8,))), 1, draw(kinds))
        for name in names
        if draw(st.sampled_from((True,) * 9 + (False,)))
    ]
    cuts = sorted(draw(st.lists(st.integers(0, len(entries)), max_size=3)))
    edges = [0, *cuts, len(entries)]
    return entries, [Columns.of(entries[a:b]) for a, b in pairwise(edges)]


@given(st.data(), keys)
def test_pairs_are_those_of_two_dictionaries(data, names):
    """Every key of either side once, in byte order, with the entry of each side or None."""
    here, source = data.draw(pieces(_in_order(names)))
    there, destination = data.draw(pieces(_in_order(names)))
    by_key = {e.key: e for e in here}, {e.key: e for e in there}
    everything = _in_order(by_key[0].keys() | by_key[1].keys())
    expected = [(by_key[0].get(key), by_key[1].get(key)) for key in everything]

    assert expected == list(merge_join(source, destination))
    assert expected == _pairs(merge_join(source, destination, _same_size))


@given(st.data(), keys)
def test_a_run_holds_plain_files_that_are_alike(data, names):
    """Nothing that has to be looked at on its own gets into one."""
    _, source = data.draw(pieces(_in_order(names)))
    _, destination = data.draw(pieces(_in_order(names)))

    found = merge_join(source, destination, _same_size)

    for run in (one for one in found if isinstance(one, Alike)):
        assert len(run.source) == len(run.destination) > 0
        assert all(here == there and here.kind is EntryKind.FILE for here, there in run.pairs)


@given(st.data(), keys)
def test_a_lone_run_holds_plain_files_of_the_source_alone(data, names):
    """Likewise."""
    _, source = data.draw(pieces(_in_order(names)))
    there, destination = data.draw(pieces(_in_order(names)))

    found = merge_join(source, destination, _same_size)

    for run in (one for one in found if isinstance(one, Lone)):
        assert len(run.source) > 0
        assert not set(run.source.keys) & {entry.key for entry in there}
        assert all(here.kind is EntryKind.FILE for here, _ in run.pairs)


def test_what_is_new_comes_in_few_runs():
    """One a piece, up to what the destination has."""
    source = _columns(*(f"{number:04}" for number in range(1000)))
    other = _columns("0500", "0700x")

    assert 1 == len(list(merge_join([source], [], _same_size)))
    found = list(merge_join([source], [other], _same_size))
    assert [500, None, 200, None, 299] == [
        len(one.source) if isinstance(one, Lone) else None for one in found
    ]


def test_what_is_alike_comes_in_few_runs():
    """One a piece, however many files; and a difference costs a few runs more."""
    names = [f"{number:04}" for number in range(1000)]
    source, other = (
        _columns(*names),
        Columns.of(_file(name, 11 if name == "0500" else 10) for name in names),
    )

    assert len(list(merge_join([source], [source], _same_size))) == 1
    assert len(list(merge_join([source[:300], source[300:]], [source], _same_size))) == 2
    assert len(list(merge_join([source], [other], _same_size))) < 12


def test_a_look_in_vain_is_short():
    """Where all differs, who tells runs is not asked of all again after each difference."""
    source = _columns(*(f"{number:04}" for number in range(1000)))
    destination = Columns.of(_file(key, 11) for key in source.keys)
    looked_at = []

    def count_alike(here, there):
        looked_at.append(len(here))
        return _same_size(here, there)

    assert len(list(merge_join([source], [destination], count_alike))) == 1000
    assert sum(looked_at) < 10 * len(source)


def test_listings_are_read_lazily():
    """One piece ahead at most: a billion keys need no memory."""

    def counted(read):
        for number in range(10):
            read.append(number)
            yield _columns(f"{number}")

    here, there = [], []
    pairs = merge_join(counted(here), counted(there))

    for _ in range(3):
        next(pairs)

    assert (3, 3) == (len(here), len(there))


@pytest.mark.parametrize("bad", [["b", "a"], ["a", "a"], ["a", "b", "ab"]])
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_listing_out_of_order_decides_nothing(bad, side, cut):
    """A key missed by a wrong order would be transferred again, or worse, deleted."""
    bad_pieces = [_columns(*bad[:cut]), _columns(*bad[cut:])]
    listings = {"source": [], "destination": [], side: bad_pieces}

    with pytest.raises(OsssyncError, match=side):
        list(merge_join(listings["source"], listings["destination"]))


@pytest.mark.parametrize("other", [[], ["05x"], ["99"]])
@pytest.mark.parametrize("last", ["07", "08"])
@pytest.mark.parametrize("cut", [0, 5, 9])
def test_a_lone_run_out_of_order_decides_nothing(last, cut, other):
    """What came before is right."""
    names = [*(f"{number:02}" for number in range(9)), last, "10", "11"]
    bad = _columns(*names)
    found = []

    with pytest.raises(OsssyncError, match=f"source listing .* '{last}'"):
        found.extend(merge_join([bad[:cut], bad[cut:]], [_columns(*other)], _same_size))

    assert names[:9] == [here.key for here, _ in _pairs(found) if here is not None]


@pytest.mark.parametrize("last", ["07", "08"])
@pytest.mark.parametrize("cut", [5, 9])
def test_a_run_out_of_order_decides_nothing(last, cut):
    """Two listings that are wrong in the same way are wrong; what came before is right."""
    names = [*(f"{number:02}" for number in range(9)), last, "10", "11"]
    bad = _columns(*names)
    found = []

    with pytest.raises(OsssyncError, match=f"source listing .* '{last}'"):
        found.extend(merge_join([bad[:cut], bad[cut:]], [bad], _same_size))

    assert names[:9] == [here.key for here, _ in _pairs(found)]


def test_the_rest_of_the_longer_listing_is_checked_too():
    """Order counts after the other side has ended."""
    with pytest.raises(OsssyncError, match="out of order"):
        list(merge_join([], [_columns("a", "c", "b")]))
