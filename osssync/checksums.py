"""CRC-64 as OSS reports it (``x-oss-hash-crc64ecma``): of bytes, and of parts joined together.

What OSS calls ECMA is CRC-64/XZ: the reflected ECMA-182 polynomial, all ones in and out.

Source: OSS "Check data transmission integrity by using CRC-64" (help.aliyun.com, read 2026-11);
CRC RevEng catalogue, CRC-64/XZ, check value 0x995dc9bbdf1939fa.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from fastcrc import crc64 as _crc64

if TYPE_CHECKING:
    import anycrc

Buffer = bytes | bytearray | memoryview
"""What ``crc64`` reads in place: contiguous memory; a map of a file goes in as a memoryview."""


def crc64(data: Buffer, crc: int = 0) -> int:
    """The CRC of everything so far: of the bytes that ``crc`` stands for and then ``data``.

    Nothing is copied, and above a few KiB other threads run meanwhile.

    Raises:
        BufferError: the memory is not contiguous.
    """
    return _crc64.xz(data, crc)


def combine(crc_a: int, crc_b: int, length_b: int) -> int:
    """The CRC of two pieces joined, from the CRC of each and the length of the second in bytes."""
    return int(_model().combine(crc_a, crc_b, length_b))


def combine_parts(parts: Iterable[tuple[int, int]]) -> int:
    """The CRC of many pieces in order, each given as its CRC and its length in bytes."""
    total = 0  # the CRC of nothing
    for crc, length in parts:
        total = combine(total, crc, length)
    return total


@lru_cache(maxsize=1)
def _model() -> "anycrc.CRC":
    """Made at the first use: it builds tables."""
    import anycrc  # small objects never need it

    return anycrc.Model("CRC64-XZ")
