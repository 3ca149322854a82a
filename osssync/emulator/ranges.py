"""What OSS makes of a Range header: standard behaviour on request, an odd one by default.

Source: help.aliyun.com, GetObject, "x-oss-range-behavior" (read 2026-11): without the header a
range that is malformed or leaves the object at either end is ignored, and 200 sends everything.
"""

import re

from osssync.emulator.errors import OssFault

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def resolve(header: str, size: int, *, standard: bool) -> tuple[int, int] | None:
    """The half-open range to send, None for the whole object with 200.

    Args:
        header: the Range header, empty if there is none.
        size: of the object, bytes.
        standard: whether ``x-oss-range-behavior: standard`` was sent.

    Raises:
        OssFault: InvalidRange, only with ``standard``.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or not (match[1] or match[2]):
        return None
    start, last = _inclusive(match[1], match[2], size)
    if start > last and match[1]:
        return None  # "bytes=5-3" is no range at all, in either behaviour
    if 0 <= start < size and start <= last < size:
        return start, last + 1
    if not standard:
        return None
    if start >= size or last < 0 or start > last:
        raise _invalid(header, size)
    return max(start, 0), min(last + 1, size)


def _inclusive(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return size - int(last), size - 1
    if not last:
        # An open end reaches the end of any object; of one that begins later, nothing.
        return int(first), max(size - 1, int(first))
    return int(first), int(last)


def _invalid(header: str, size: int) -> OssFault:
    return OssFault(
        416,
        "InvalidRange",
        "The requested range cannot be satisfied",
        ec="0017-00000208",
        extra={"ActualObjectSize": str(size), "RangeRequested": header},
        headers={"Content-Range": f"bytes */{size}"},
    )
