"""What OSS says about an object in the headers of its replies, typed.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/common-http-headers and
.../headobject, read 2026-09.
"""

from msgspec import Struct

from osssync.errors import IntegrityError
from osssync.oss.wire import Headers

_META_PREFIX = "x-oss-meta-"
_REPRESENTATION_HEADERS = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Expires",
)


class ObjectMeta(Struct, frozen=True):
    """One object as HEAD describes it; a symlink is described by its target.

    ``etag`` is as sent, quotes included. ``crc64`` is None for objects that have none (some copies
    and very old ones). ``restore`` is the raw ``x-oss-restore``. ``metadata`` holds the user's
    pairs, names lower-cased and without ``x-oss-meta-``; ``headers`` the standard headers of the
    representation that are set (Cache-Control, Content-Encoding …), ready for a request.
    """

    size: int  # bytes
    etag: str
    last_modified_ns: int  # epoch, UTC; whole seconds
    crc64: int | None
    content_type: str
    storage_class: str
    object_type: str  # Normal, Multipart, Appendable, Symlink
    version_id: str
    restore: str
    metadata: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]


class Got(Struct, frozen=True):
    """What a GET delivered. ``crc64`` is of the bytes received; ``object_crc64`` of the object."""

    received: int  # bytes
    crc64: int
    object_crc64: int | None  # None: OSS keeps none, nothing was compared
    etag: str


class PutResult(Struct, frozen=True):
    """What OSS stored: an object, or one part. ``crc64`` is None where OSS keeps none."""

    etag: str
    crc64: int | None
    version_id: str = ""


def object_meta(headers: Headers) -> ObjectMeta:
    """Read the headers of a HEAD.

    Raises:
        IntegrityError: no Content-Length, or a number that is none.
    """
    size = content_length(headers)
    if size is None:
        raise IntegrityError("the reply to a HEAD has no Content-Length")
    return ObjectMeta(
        size=size,
        etag=headers.get("etag", ""),
        last_modified_ns=http_time_ns(headers.get("last-modified", "")),
        crc64=crc64_of(headers),
        content_type=headers.get("content-type", ""),
        storage_class=headers.get("x-oss-storage-class", ""),
        object_type=headers.get("x-oss-object-type", ""),
        version_id=headers.get("x-oss-version-id", ""),
        restore=headers.get("x-oss-restore", ""),
        metadata=tuple(
            (name.lower().removeprefix(_META_PREFIX), _utf8(value))
            for name, value in headers.items()
            if name.lower().startswith(_META_PREFIX)
        ),
        headers=tuple(
            (name, _utf8(headers[name])) for name in _REPRESENTATION_HEADERS if name in headers
        ),
    )


def put_result(headers: Headers) -> PutResult:
    """Read the headers of a PUT, an UploadPart, a copy or a CompleteMultipartUpload.

    Raises:
        IntegrityError: a CRC-64 that is not a number.
    """
    find = headers.lowercase
    return PutResult(find("etag", ""), crc64_of(headers), find("x-oss-version-id", ""))


def crc64_of(headers: Headers) -> int | None:
    """The whole object's (or part's) CRC-64, sent as an unsigned decimal number.

    Raises:
        IntegrityError: not a number.
    """
    return _number(headers, "x-oss-hash-crc64ecma")


def content_length(headers: Headers) -> int | None:
    """Content-Length in bytes; None when it is not sent.

    Raises:
        IntegrityError: not a number.
    """
    return _number(headers, "content-length")


def http_time_ns(text: str) -> int:
    """An HTTP date in epoch nanoseconds; 0 for none or one that cannot be read."""
    from email.utils import parsedate_to_datetime  # a listing, and many a run, has none

    try:
        return int(parsedate_to_datetime(text).timestamp()) * 1_000_000_000
    except ValueError:
        return 0


def _number(headers: Headers, name: str) -> int | None:
    text = headers.lowercase(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise IntegrityError(f"the reply's {name} is not a number: {text[:40]!r}")
    return int(text)


def _utf8(value: str) -> str:
    # OSS sends user metadata as the UTF-8 it got; http.client reads headers as Latin-1.
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
