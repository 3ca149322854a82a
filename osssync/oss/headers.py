"""Request headers: what the caller wants, checked, and what the verb needs."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote

from osssync.errors import UsageError
from osssync.model import ByteRange

# Never guessed: a guess from the host's mime.types would differ from machine to machine.
DEFAULT_CONTENT_TYPE = "application/octet-stream"


_OUR_OWN = frozenset(
    """
    accept-encoding authorization connection content-length date expect host proxy-authorization
    transfer-encoding user-agent x-oss-content-sha256 x-oss-date x-oss-security-token
    """.split()  # noqa: SIM905 - easier to read and to add to
)
"""Set for every request; a second one would contradict it."""


def checked(headers: Mapping[str, str]) -> dict[str, str]:
    """A copy, names in lower case, no white space around values: servers drop it, signatures don't.

    Raises:
        UsageError: a name or value that would break out of its line, or one that is not the
            caller's to give.
    """
    for name, value in headers.items():
        if not name or not name.isascii() or any(mark in name for mark in " \t\r\n:"):
            raise UsageError(f"header {name!r}: not a header name")
        if any(mark in value for mark in "\r\n\0"):
            raise UsageError(f"header {name}: its value holds a line break")
        if name.lower() in _OUR_OWN:
            raise UsageError(f"header {name}: it follows from the request and cannot be given")
    return {name.lower(): value.strip() for name, value in headers.items()}


def of_new_object(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers of a PUT or an InitiateMultipartUpload, a Content-Type among them.

    Raises:
        UsageError: see ``checked``.
    """
    return _of_new_object(tuple(headers.items()))


@lru_cache(maxsize=64)
def _of_new_object(headers: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Remembered: all objects of a run have the same."""
    fresh = checked(dict(headers))
    fresh.setdefault("content-type", DEFAULT_CONTENT_TYPE)
    return MappingProxyType(fresh)


def of_read(byte_range: ByteRange | None, if_match: str) -> dict[str, str]:
    """Headers of a GET of the whole object or of a range of it.

    Raises:
        ValueError: an empty range, which HTTP cannot ask for.
    """
    fresh: dict[str, str] = {}
    if byte_range is not None:
        fresh["range"] = inclusive(byte_range)
        # Without it OSS answers a range that does not fit with 200 and the whole object.
        fresh["x-oss-range-behavior"] = "standard"
    if if_match:
        fresh["if-match"] = if_match
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
