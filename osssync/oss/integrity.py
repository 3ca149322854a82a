"""Do the bytes agree? Lengths, ranges and CRC-64 of what was sent and of what came.

``what`` everywhere names the object for the message of an error, and is asked only then.
"""

import re
from collections.abc import Callable

from osssync.checksums import crc64
from osssync.errors import IntegrityError, SourceChangedError
from osssync.model import ByteRange
from osssync.oss.body import BUFFERS, Body
from osssync.oss.replies import content_length
from osssync.oss.wire import Headers

_CONTENT_RANGE = r"bytes ([0-9]+)-([0-9]+)/([0-9]+)"


def crc64_of_body(body: Body) -> int | None:
    """The CRC-64 of a body in memory; None for one that can be read only once."""
    if isinstance(body, bytes):
        return crc64(body)
    if not isinstance(body, BUFFERS):
        return None
    with memoryview(body) as view:
        return crc64(view)


def compare_crc64(what: Callable[[], str], expected: int | None, actual: int | None) -> None:
    """Compare where both are known.

    Raises:
        IntegrityError: they differ.
    """
    if expected is not None and actual is not None and expected != actual:
        raise IntegrityError(f"{what()}: OSS has CRC-64 {actual}, we have {expected}")


def check_whole(
    what: Callable[[], str], status: int, length: int | None, expected_size: int | None
) -> int | None:
    """The length of the body that follows, in bytes, None if unknown: a whole object.

    Args:
        what: see above.
        status: of the reply.
        length: as the reply announces it.
        expected_size: of the object.

    Raises:
        IntegrityError: not a whole object.
        SourceChangedError: it has another size than expected.
    """
    if status != 200:
        raise IntegrityError(f"{what()}: asked for the object, got status {status}")
    if length is None or expected_size is None:
        return expected_size if length is None else length
    if length != expected_size:
        raise SourceChangedError(
            f"{what()}: has {length} bytes, not {expected_size}: it has changed"
        )
    return length


def check_range(
    what: Callable[[], str], status: int, headers: Headers, byte_range: ByteRange
) -> tuple[int, int]:
    """The length of the body and of the whole object, in bytes: exactly the range asked for.

    Raises:
        IntegrityError: anything else.
    """
    asked = f"{what()}: asked for bytes [{byte_range.start}, {byte_range.stop})"
    if status != 206:
        raise IntegrityError(f"{asked}, got status {status} instead of 206")
    text = headers.lowercase("content-range", "")
    match = re.fullmatch(_CONTENT_RANGE, text)
    if not match:
        raise IntegrityError(f"{asked}, got Content-Range {text[:60]!r}")
    first, last, size = (int(digits) for digits in match.groups())
    if (first, last + 1) != (byte_range.start, byte_range.stop) or last >= size:
        raise IntegrityError(f"{asked}, got Content-Range {text[:60]!r}")
    length = content_length(headers)
    if length not in (None, len(byte_range)):
        raise IntegrityError(f"{asked}, got Content-Length {length}")
    return len(byte_range), size


def check_received(what: Callable[[], str], expected: int | None, received: int) -> None:
    """Every byte that was announced has come.

    Raises:
        IntegrityError: fewer, or more.
    """
    if expected is not None and expected != received:
        raise IntegrityError(f"{what()}: {received} of {expected} bytes came")


def check_version(what: Callable[[], str], headers: Headers, if_match: str) -> None:
    """The reply is of the version asked for, also where a proxy dropped If-Match.

    Raises:
        SourceChangedError: it is not.
    """
    etag = headers.lowercase("etag")
    if if_match and etag and etag != if_match:
        raise SourceChangedError(f"{what()}: its ETag is {etag}, not {if_match}: it has changed")
