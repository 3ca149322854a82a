"""Request headers, always made anew: what the caller wants, checked, and what the verb needs."""

from collections.abc import Mapping
from urllib.parse import quote

from osssync.errors import UsageError
from osssync.model import ByteRange

# Never guessed: a guess from the host's mime.types would differ from machine to machine.
DEFAULT_CONTENT_TYPE = "application/octet-stream"


def checked(headers: Mapping[str, str]) -> dict[str, str]:
    """A copy without white space around values, which servers drop and signatures keep.

    Raises:
        UsageError: a name or value that would break out of its line.
    """
    for name, value in headers.items():
        if not name or not name.isascii() or any(mark in name for mark in " \t\r\n:"):
            raise UsageError(f"header {name!r}: not a header name")
        if any(mark in value for mark in "\r\n\0"):
            raise UsageError(f"header {name}: its value holds a line break")
    return {name: value.strip() for name, value in headers.items()}


def of_new_object(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of a PUT or an InitiateMultipartUpload, with a Content-Type in any case.

    Raises:
        UsageError: see ``checked``.
    """
    fresh = checked(headers)
    if not any(name.lower() == "content-type" for name in fresh):
        fresh["Content-Type"] = DEFAULT_CONTENT_TYPE
    return fresh


def of_read(byte_range: ByteRange | None, if_match: str) -> dict[str, str]:
    """Headers of a GET of the whole object or of a range of it.

    Raises:
        ValueError: an empty range, which HTTP cannot ask for.
    """
    fresh: dict[str, str] = {}
    if byte_range is not None:
        fresh["Range"] = inclusive(byte_range)
        # Without it OSS answers a range that does not fit with 200 and the whole object.
        fresh["x-oss-range-behavior"] = "standard"
    if if_match:
        fresh["If-Match"] = if_match
    return fresh


def of_copy(source_bucket: str, source_key: str, if_match: str) -> dict[str, str]:
    """Headers that name the source of a server-side copy and pin its version."""
    fresh = {"x-oss-copy-source": f"/{source_bucket}/{quote(source_key, safe='')}"}
    if if_match:
        fresh["x-oss-copy-source-if-match"] = if_match
    return fresh


def inclusive(byte_range: ByteRange) -> str:
    """HTTP's form of a range: ``bytes=0-9`` for ``[0, 10)``.

    Raises:
        ValueError: an empty range.
    """
    if byte_range.start >= byte_range.stop:
        raise ValueError(f"an empty byte range: {byte_range}")
    return f"bytes={byte_range.start}-{byte_range.stop - 1}"
