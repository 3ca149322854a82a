"""CRC-64 is the one OSS computes, of bytes and of parts."""

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.checksums import combine, combine_parts, crc64

_POLYNOMIAL = 0xC96C5795D7870F42  # ECMA-182, reflected
_ONES = (1 << 64) - 1


def _oracle(data: bytes, crc: int = 0) -> int:
    """Bit by bit, as in the catalogue."""
    crc ^= _ONES
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ _ONES


def test_the_check_value_of_the_catalogue_comes_out():
    """CRC-64/XZ of "123456789"."""
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA


def test_the_crc_of_nothing_is_zero():
    """So that 0 starts a running CRC, and an empty object compares equal."""
    assert crc64(b"") == 0


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_running_crc_is_the_crc_of_all_bytes_so_far(first, second):
    """Against the bit by bit definition."""
    assert crc64(second, crc64(first)) == _oracle(first + second)


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_combined_parts_have_the_crc_of_the_whole(parts):
    """Empty parts change nothing; no part at all is the empty object."""
    pairs = [(crc64(part), len(part)) for part in parts]

    assert combine_parts(pairs) == _oracle(b"".join(parts))


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_two_pieces_combine_without_their_bytes(first, second):
    """The CRC of each and one length are enough."""
    assert combine(crc64(first), crc64(second), len(second)) == crc64(first + second)


def test_a_part_as_long_as_five_gib_combines():
    """The largest part of OSS, written as zeros in halves, combines to the same either way."""
    gib = 1 << 30
    megabyte = bytes(1 << 20)
    crc, length = crc64(megabyte), len(megabyte)
    while length < gib:
        crc, length = combine(crc, crc, length), length * 2
    five = combine_parts([(crc, gib)] * 5)
    four = combine_parts([(crc, gib)] * 4)

    assert five == combine(crc, four, 4 * gib)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda d: memoryview(d)[0:]])
def test_any_contiguous_memory_is_read_in_place(make):
    """Bytes, bytearrays and views give the same CRC."""
    assert crc64(make(b"123456789")) == 0x995DC9BBDF1939FA


def test_a_view_of_mapped_memory_is_read_in_place():
    """Page-aligned buffers are what transfers read into."""
    with mmap.mmap(-1, 4096) as pages, memoryview(pages) as view:
        view[:9] = b"123456789"

        with view[:9] as used:
            assert crc64(used) == 0x995DC9BBDF1939FA


def test_memory_with_gaps_is_refused():
    """Rather than read wrongly."""
    with pytest.raises(BufferError):
        crc64(memoryview(b"123456789")[::2])
