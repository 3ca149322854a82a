"""How an object begins: whole or in parts, and how large those are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.config import MAX_PART_BYTES, MAX_PARTS, TransferSettings
from osssync.errors import UsageError
from osssync.model import Direction, Entry, EntryKind, Step
from osssync.planning.split import COPY_PART_BYTES, COPY_WHOLE_BYTES, first_task, part_size_of
from osssync.ranges import MAX_OBJECT_BYTES, cut

MIB = 1 << 20
SETTINGS = TransferSettings()


def step(size, direction=Direction.DOWNLOAD, settings=SETTINGS, kind=EntryKind.FILE):
    """What an object of this size begins with."""
    return first_task(1, Entry("key", size, 0, kind), "key", direction, settings).step


@pytest.mark.parametrize("direction", [Direction.DOWNLOAD, Direction.UPLOAD])
def test_the_threshold_itself_is_large(direction):
    """An object of at least ``bigfile_threshold`` bytes is cut; one byte less is not."""
    assert Step.WHOLE is step(16 * MIB - 1, direction)
    assert Step.START is step(16 * MIB, direction)


def test_nothing_and_directories_are_never_cut():
    """Zero bytes have no parts, whatever the threshold; a directory has no bytes."""
    always = TransferSettings(bigfile_threshold=1)

    assert Step.WHOLE is step(0, settings=always)
    assert Step.START is step(1, settings=always)
    assert Step.WHOLE is step(0, settings=always, kind=EntryKind.DIRECTORY)


def test_only_the_limit_of_oss_cuts_a_copy_inside_it():
    """No byte of it passes through here, so the threshold does not matter."""
    assert Step.WHOLE is step(COPY_WHOLE_BYTES - 1, Direction.COPY)
    assert Step.START is step(COPY_WHOLE_BYTES, Direction.COPY)


def test_parts_of_a_copy_are_large_unless_asked_otherwise():
    """A request each is all they cost; --part-size still decides where it is given."""
    entry = Entry("key", 4 << 30, 0)

    assert COPY_PART_BYTES == part_size_of(entry, Direction.COPY, SETTINGS)
    assert 9 * MIB == part_size_of(entry, Direction.COPY, TransferSettings(part_size=9 * MIB))
    assert 8 * MIB == part_size_of(entry, Direction.UPLOAD, SETTINGS)


@given(st.integers(1, MAX_OBJECT_BYTES), st.sampled_from(Direction))
def test_no_object_has_more_than_ten_thousand_parts(size, direction):
    """The part size asked for gives way where it would not suffice, within OSS's limits."""
    entry = Entry("key", size, 0)

    part_size = part_size_of(entry, direction, TransferSettings(part_size=100 * 1024))

    assert -(-size // part_size) <= MAX_PARTS
    assert part_size <= MAX_PART_BYTES


def test_the_largest_object_is_cut_and_one_byte_more_is_refused():
    """48.8 TB fit exactly; above that it is an error with the limit in it."""
    largest = Entry("key", MAX_OBJECT_BYTES, 0)

    part_size = part_size_of(largest, Direction.UPLOAD, SETTINGS)

    assert MAX_PARTS == sum(1 for _ in cut(largest.size, part_size))
    with pytest.raises(UsageError, match=str(MAX_OBJECT_BYTES)):
        part_size_of(Entry("key", MAX_OBJECT_BYTES + 1, 0), Direction.UPLOAD, SETTINGS)
