"""How a large object is cut into parts. Pure arithmetic on bytes.

Source: OSS "Limits" and UploadPart: at most 10,000 parts of 100 KB to 5 GB each, the last one may
be smaller, so that an object holds at most 48.8 TB (help.aliyun.com, read 2026-11).
"""

from collections.abc import Iterator

from osssync.errors import UsageError
from osssync.model import ByteRange

MIB = 1 << 20
DEFAULT_PART_BYTES = 8 * MIB  # a second of a 64 Mbit/s line; less only adds requests
MAX_PARTS = 10_000
MAX_PART_BYTES = 5 << 30
MAX_OBJECT_BYTES = MAX_PARTS * MAX_PART_BYTES


def part_size_for(size: int, requested: int = 0) -> int:
    """Bytes per part of an object of ``size`` bytes.

    ``requested`` (0: 8 MiB) is kept unless it would make more than 10,000 parts; then the
    smallest whole number of MiB that does not is taken instead.

    Raises:
        UsageError: no part size can hold that much.
    """
    if size > MAX_OBJECT_BYTES:
        raise UsageError(f"{size} bytes are more than an OSS object holds ({MAX_OBJECT_BYTES})")
    wanted = requested or DEFAULT_PART_BYTES
    if size <= wanted * MAX_PARTS:
        return wanted
    return -(-size // (MAX_PARTS * MIB)) * MIB


def cut(size: int, part_size: int) -> Iterator[ByteRange]:
    """The parts of ``size`` bytes, in order and without gap; all but the last are ``part_size``.

    Nothing for an empty object.
    """
    return (ByteRange(start, min(start + part_size, size)) for start in range(0, size, part_size))
