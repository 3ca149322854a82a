"""The XML that OSS sends and takes, except listings of objects (``listing``).

Names from strangers are asked for percent-encoded (``encoding-type=url``), because XML 1.0 cannot
carry control characters. A document that is not what it should be raises ``ET.ParseError``, which
``translate`` makes an IntegrityError.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/list-of-operations-by-function,
read 2026-09.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import msgspec

_ERROR_ELEMENT = rb"<(Code|Message|EC|Endpoint|ServerTime)>([^<]*)</"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOT_XML = "[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # "\r" too: see can_be_written


class Part(msgspec.Struct, frozen=True):
    """One uploaded part. ``crc64`` is None where OSS does not tell."""

    number: int
    size: int  # bytes
    etag: str
    last_modified_ns: int
    crc64: int | None


class PartsPage(msgspec.Struct, frozen=True):
    """Parts in order of number; ``next_after`` is where the next page begins, 0 for the last."""

    parts: tuple[Part, ...]
    next_after: int


class Upload(msgspec.Struct, frozen=True):
    """One unfinished multipart upload."""

    key: str
    upload_id: str
    initiated_ns: int


class UploadsPage(msgspec.Struct, frozen=True):
    """Uploads in key order; ``next_marker`` is (key, upload id), both empty for the last page."""

    uploads: tuple[Upload, ...]
    next_marker: tuple[str, str]


class BucketInfo(msgspec.Struct, frozen=True):
    """A bucket as OSS describes it. ``region`` is as V4 signs it, without "oss-"."""

    name: str
    region: str
    public_endpoint: str
    internal_endpoint: str
    storage_class: str
    owner_id: str
    created_ns: int
    versioning: str  # Enabled, Suspended or ""


class BucketsPage(msgspec.Struct, frozen=True):
    """Buckets of the account in order of name; ``next_marker`` is "" for the last page."""

    buckets: tuple[BucketInfo, ...]
    next_marker: str


def parse(body: bytes, root_name: str) -> ET.Element:
    """Read a document and take namespaces off; its root must be ``root_name``.

    Raises:
        ET.ParseError: another document, or none.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat limits entity expansion
    except (ValueError, LookupError):  # of encodings it does not know
        raise ET.ParseError("an unknown encoding") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != root_name:
        raise ET.ParseError(f"<{root.tag}> instead of <{root_name}>")
    return root


def text(element: ET.Element, name: str) -> str:
    """The text of a child, "" if there is none."""
    return element.findtext(name) or ""


def number(element: ET.Element, name: str) -> int:
    """The number in a child.

    Raises:
        ET.ParseError: none, or not a number.
    """
    digits = text(element, name)
    if not (digits.isascii() and digits.isdigit()):
        raise ET.ParseError(f"<{name}> is not a number: {digits[:40]!r}")
    return int(digits)


def time_ns(iso: str) -> int:
    """``2026-01-02T03:04:05.000Z`` in epoch nanoseconds.

    Raises:
        ET.ParseError: not such a time.
    """
    try:
        return (datetime.fromisoformat(iso) - _EPOCH) // _MICROSECOND * 1000
    except (ValueError, TypeError):
        raise ET.ParseError(f"not a time: {iso[:40]!r}") from None


def key_of(root: ET.Element, raw: str) -> str:
    """A key of a document, percent-decoded if the document says so; not UTF-8: surrogates."""
    if text(root, "EncodingType") != "url":
        return raw
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


def parse_upload_id(body: bytes) -> str:
    """The upload id of an InitiateMultipartUpload.

    Raises:
        ET.ParseError: no such document, or it has none.
    """
    upload_id = text(parse(body, "InitiateMultipartUploadResult"), "UploadId")
    if not upload_id:
        raise ET.ParseError("no <UploadId>")
    return upload_id


def parse_etag(body: bytes) -> str:
    """The ETag in the reply to a Complete or a copy.

    Raises:
        ET.ParseError: none of these documents; the operation may or may not have been done.
    """
    for name in ("CompleteMultipartUploadResult", "CopyObjectResult", "CopyPartResult"):
        if name.encode() in body:
            return text(parse(body, name), "ETag")
    raise ET.ParseError(f"no result of a copy or a completion: {body[:60]!r}")


def parse_parts(body: bytes) -> PartsPage:
    """Read a page of ListParts.

    Raises:
        ET.ParseError: no such document.
    """
    root = parse(body, "ListPartsResult")
    parts = tuple(
        Part(
            number=number(part, "PartNumber"),
            size=number(part, "Size"),
            etag=text(part, "ETag"),
            last_modified_ns=time_ns(text(part, "LastModified")),
            crc64=number(part, "HashCrc64ecma") if text(part, "HashCrc64ecma") else None,
        )
        for part in root.findall("Part")
    )
    truncated = text(root, "IsTruncated") == "true"
    return PartsPage(parts, number(root, "NextPartNumberMarker") if truncated else 0)


def parse_uploads(body: bytes, marker: tuple[str, str] = ("", "")) -> UploadsPage:
    """Read the page of ListMultipartUploads that was asked for with ``marker``.

    Raises:
        ET.ParseError: no such document, or one that does not lead on to the next.
    """
    root = parse(body, "ListMultipartUploadsResult")
    uploads = tuple(
        Upload(
            key=key_of(root, text(upload, "Key")),
            upload_id=text(upload, "UploadId"),
            initiated_ns=time_ns(text(upload, "Initiated")),
        )
        for upload in root.findall("Upload")
    )
    if text(root, "IsTruncated") != "true":
        return UploadsPage(uploads, ("", ""))
    # Going on from the start, or stopping here, would both be a wrong listing without an error.
    following = (key_of(root, text(root, "NextKeyMarker")), text(root, "NextUploadIdMarker"))
    if not following[0] or following == marker:
        raise ET.ParseError("truncated, but no new <NextKeyMarker>")
    return UploadsPage(uploads, following)


def parse_bucket_info(body: bytes) -> BucketInfo:
    """Read a GetBucketInfo.

    Raises:
        ET.ParseError: no such document.
    """
    bucket = parse(body, "BucketInfo").find("Bucket")
    if bucket is None:
        raise ET.ParseError("no <Bucket>")
    return _bucket(bucket, text(bucket, "Owner/ID"))


def parse_buckets(body: bytes) -> BucketsPage:
    """Read a page of ListBuckets (GetService).

    Raises:
        ET.ParseError: no such document.
    """
    root = parse(body, "ListAllMyBucketsResult")
    owner_id = text(root, "Owner/ID")
    buckets = tuple(_bucket(bucket, owner_id) for bucket in root.iterfind("Buckets/Bucket"))
    truncated = text(root, "IsTruncated") == "true"
    return BucketsPage(buckets, text(root, "NextMarker") if truncated else "")


def complete_request(parts: Iterable[tuple[int, str]]) -> bytes:
    """The body of a CompleteMultipartUpload from (number, ETag), in order of number."""
    items = "".join(
        f"<Part><PartNumber>{part_number}</PartNumber><ETag>{_escaped(etag)}</ETag></Part>"
        for part_number, etag in sorted(parts)
    )
    return f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()


def can_be_written(key: str) -> bool:
    r"""Whether XML 1.0 can carry the key; a parser reads "\r" as "\n", which is another key."""
    return _not_xml().search(key) is None


@cache  # compiled for those who delete: it takes 4 ms
def _not_xml() -> re.Pattern[str]:
    return re.compile(_NOT_XML)


def delete_request(keys: Sequence[str]) -> bytes:
    """The body of a DeleteMultipleObjects; every key must be one that ``can_be_written``."""
    items = "".join(f"<Object><Key>{_escaped(key)}</Key></Object>" for key in keys)
    return f"<Delete><Quiet>false</Quiet>{items}</Delete>".encode()


def restore_request(days: int) -> bytes:
    """The body of a RestoreObject: how many days the restored copy stays."""
    return f"<RestoreRequest><Days>{days}</Days></RestoreRequest>".encode()


def parse_deleted(body: bytes) -> tuple[set[str], dict[str, tuple[str, str]]]:
    """Read a DeleteMultipleObjects: deleted keys, and code and message of each that was not.

    Raises:
        ET.ParseError: no such document.
    """
    root = parse(body, "DeleteResult")
    deleted = {key_of(root, text(item, "Key")) for item in root.findall("Deleted")}
    failed = {
        key_of(root, text(item, "Key")): (text(item, "Code"), text(item, "Message"))
        for item in root.findall("Error")
    }
    return deleted, failed


def _bucket(element: ET.Element, owner_id: str) -> BucketInfo:
    return BucketInfo(
        name=text(element, "Name"),
        region=(text(element, "Region") or text(element, "Location")).removeprefix("oss-"),
        public_endpoint=text(element, "ExtranetEndpoint"),
        internal_endpoint=text(element, "IntranetEndpoint"),
        storage_class=text(element, "StorageClass"),
        owner_id=owner_id,
        created_ns=time_ns(text(element, "CreationDate")),
        versioning=text(element, "Versioning"),
    )


def parse_error(body: bytes) -> dict[str, str | None]:
    """The elements of an error document by name; none if it is something else."""
    try:
        root = parse(body, "Error")
    except ET.ParseError:
        # A key that XML cannot carry is repeated in it; what matters stands beside it.
        found = re.findall(_ERROR_ELEMENT, body) if b"<Error>" in body else []
        return {name.decode(): _unescaped(text.decode("utf-8", "replace")) for name, text in found}
    return {child.tag.rpartition("}")[2]: child.text for child in root}


# Not xml.sax.saxutils: it imports urllib.request and http.client, which take 10 ms.
def _escaped(text: str) -> str:
    """Text as it stands between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
