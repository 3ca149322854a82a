"""Text on the fly as gzip, for clients that accept it.

What is sent then has no Content-Length, no ETag and no CRC: a client that counts or checks must
not ask for it. Source: help.aliyun.com, GetObject, "Accept-Encoding" (read 2026-11).
"""

import zlib
from collections.abc import Mapping

from osssync.emulator.records import Version

_TYPES = frozenset(
    {
        "text/cache-manifest",
        "text/xml",
        "text/plain",
        "text/css",
        "text/html",
        "application/javascript",
        "application/x-javascript",
        "application/rss+xml",
        "application/json",
        "text/json",
    }
)
_MIN_BYTES, _MAX_BYTES = 1 << 10, 10 << 20  # smaller and larger objects are sent as they are
_LOST = ("ETag", "Content-MD5", "x-oss-hash-crc64ecma", "Accept-Ranges")


def is_wanted(headers: Mapping[str, str], version: Version) -> bool:
    """Whether OSS would compress: accepted, text, of a middling size, whole, not compressed yet."""
    stored = dict(version.headers)
    kind = stored.get("content-type", "").partition(";")[0].strip().lower()
    return (
        "gzip" in headers.get("accept-encoding", "").lower()
        and kind in _TYPES
        and _MIN_BYTES <= version.size <= _MAX_BYTES
        and "range" not in headers
        and "content-encoding" not in stored
    )


def compress(version: Version, headers: dict[str, str]) -> bytes:
    """The object as gzip; ``headers`` lose what is not true of it any more."""
    for name in _LOST:
        headers.pop(name, None)
    headers["Content-Encoding"] = "gzip"
    headers["Vary"] = "Accept-Encoding"
    compressor = zlib.compressobj(level=1, wbits=31)
    return compressor.compress(version.content.read()) + compressor.flush()
