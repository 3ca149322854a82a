"""Parts cover an object exactly, and never more of them than OSS takes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.errors import UsageError
from osssync.model import ByteRange
from osssync.ranges import MAX_OBJECT_BYTES, MAX_PARTS, MIB, cut, part_size_for


@given(st.integers(min_value=0, max_value=500), st.integers(min_value=1, max_value=60))
def test_the_parts_are_what_slicing_the_bytes_gives(size, part_size):
    """Against the obvious oracle: taking bytes off the front until none are left."""
    left = list(range(size))
    expected = []
    while left:
        expected.append(ByteRange(left[0], left[0] + len(left[:part_size])))
        left = left[part_size:]

    assert list(cut(size, part_size)) == expected


@pytest.mark.parametrize(
    ("size", "lengths"),
    [(0, []), (1, [1]), (99, [99]), (100, [100]), (101, [100, 1]), (200, [100, 100])],
)
def test_only_the_last_part_may_be_short(size, lengths):
    """An exact multiple has no empty part at its end; nothing has no part at all."""
    assert [len(part) for part in cut(size, 100)] == lengths


def test_parts_are_made_lazily():
    """A plan of 48.8 TB costs nothing until its parts are taken."""
    parts = cut(MAX_OBJECT_BYTES, 1)

    assert next(iter(parts)) == ByteRange(0, 1)


@given(st.integers(min_value=0, max_value=MAX_OBJECT_BYTES), st.sampled_from([0, 102_400, MIB]))
def test_a_part_size_never_makes_too_many_parts_and_grows_no_further_than_needed(size, requested):
    """At most 10,000 parts; a grown size is whole MiB, and one MiB less would not do."""
    part_size = part_size_for(size, requested)

    assert -(-size // part_size) <= MAX_PARTS
    if part_size != (requested or 8 * MIB):
        assert part_size % MIB == 0
        assert size > (part_size - MIB) * MAX_PARTS
        assert size > (requested or 8 * MIB) * MAX_PARTS


@pytest.mark.parametrize(
    ("size", "requested", "expected"),
    [
        (0, 0, 8 * MIB),
        (1, 0, 8 * MIB),
        (8 * MIB * MAX_PARTS, 0, 8 * MIB),
        (8 * MIB * MAX_PARTS + 1, 0, 9 * MIB),
        (102_400 * MAX_PARTS, 102_400, 102_400),
        (102_400 * MAX_PARTS + 1, 102_400, MIB),
        (1, 64 * MIB, 64 * MIB),
        (MAX_OBJECT_BYTES, 0, 5 << 30),
    ],
)
def test_a_requested_part_size_is_kept_while_it_can_be(size, requested, expected):
    """Eight MiB by default; a request too small for the object is grown, never refused."""
    assert part_size_for(size, requested) == expected


def test_the_largest_object_is_cut_without_a_gap():
    """10,000 parts of 5 GiB: the far end of OSS's limits is exact."""
    parts = list(cut(MAX_OBJECT_BYTES, part_size_for(MAX_OBJECT_BYTES)))

    assert len(parts) == MAX_PARTS
    assert all(before.stop == after.start for before, after in pairwise(parts))
    assert (parts[0].start, parts[-1].stop) == (0, MAX_OBJECT_BYTES)


def test_more_than_an_object_holds_is_refused():
    """No part size can help there."""
    with pytest.raises(UsageError):
        part_size_for(MAX_OBJECT_BYTES + 1)
