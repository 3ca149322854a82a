"""Multipart uploads: initiate, upload parts, complete, abort. Listings are in ``upload_listing``.

Completing joins the extents of the parts; no byte is read or written again.
Source: help.aliyun.com, InitiateMultipartUpload, UploadPart, CompleteMultipartUpload,
AbortMultipartUpload (read 2026-11).
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from xml.etree.ElementTree import Element

from osssync.emulator.attributes import (
    SSE_HEADERS,
    encryption_headers,
    new_version,
    object_acl,
    version_headers,
)
from osssync.emulator.blobs import Content
from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.checksums import digests
from osssync.emulator.errors import OssFault
from osssync.emulator.listing import encoder, encoding_element
from osssync.emulator.objects import Bucket
from osssync.emulator.records import Part, Upload, Version
from osssync.emulator.writing import (
    check_callback,
    check_overwrite,
    combine_crc64,
    forbids_overwrite,
    receive_checked,
)
from osssync.emulator.xml import document, leaf, malformed, parse, text_of, tree

MIN_PART_BYTES = 100 << 10  # of every part but the last
MAX_PART_NUMBER = 10_000
# The cause differs by operation; other SDKs' suites look at it.
UPLOAD_PART_EC = "0042-00000104"
COMPLETE_EC = "0042-00000311"
ABORT_EC = "0042-00000002"
LIST_PARTS_EC = "0042-00000002"


def find_upload(call: Call, bucket: Bucket, ec: str) -> Upload:
    """The upload a request names.

    Raises:
        OssFault: NoSuchUpload.
    """
    upload_id = call.parameter("uploadId")
    upload = bucket.uploads.get(upload_id)
    if upload is None or upload.model.key != call.key:
        text = (
            "The specified upload does not exist. The upload ID may be invalid, or the upload may "
            "have been aborted or completed."
        )
        raise OssFault(404, "NoSuchUpload", text, ec=ec, extra={"UploadId": upload_id})
    return upload


async def initiate(call: Call) -> Reply:
    """InitiateMultipartUpload."""
    bucket = call.the_bucket()
    encode = encoder(call)
    # The ACL is CompleteMultipartUpload's to say; OSS reads none here.
    model = replace(new_version(call, bucket), kind="Multipart", acl="default")
    forbidden = forbids_overwrite(call)
    check_overwrite(call, bucket, forbidden=forbidden)
    upload = Upload(
        secrets.token_hex(16).upper(), model, forbidden, sequential="sequential" in call.query
    )
    call.objects.begin_upload(bucket, upload)
    root = tree(
        "InitiateMultipartUploadResult",
        encoding_element(call),
        leaf("Bucket", bucket.name),
        f"<Key>{encode(call.key)}</Key>",
        leaf("UploadId", upload.upload_id),
    )
    return xml_reply(document(root), encryption_headers(model))


def part_number(call: Call) -> int:
    """The number of the part a request brings.

    Raises:
        OssFault: InvalidArgument.
    """
    text = call.parameter("partNumber")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_PART_NUMBER:
        message = "Part number must be an integer between 1 and 10000, inclusive."
        raise invalid_argument(message, "partNumber", text, ec="0042-00000103")
    return int(text)


async def upload_part(call: Call) -> Reply:
    """UploadPart. A part of the same number is replaced."""
    bucket = call.the_bucket()
    number = part_number(call)
    find_upload(call, bucket, UPLOAD_PART_EC)
    _check_no_encryption(call)
    received = await receive_checked(call)
    etag = received.md5.hex().upper()
    part = Part(number, received.content, etag, received.crc64, call.now_s)
    with call.objects.lock:
        upload = find_upload(call, bucket, UPLOAD_PART_EC)  # it may have ended meanwhile
        _check_sequence(upload, number)
        call.objects.add_part(bucket, upload, part)
    return Reply(
        headers={
            "ETag": f'"{etag}"',
            "x-oss-hash-crc64ecma": str(received.crc64),
            **encryption_headers(upload.model),
        }
    )


def _check_no_encryption(call: Call) -> None:
    """Encryption is said once, when the upload is initiated."""
    name = SSE_HEADERS[0]
    if call.header(name):
        text = "The encryption headers belong to InitiateMultipartUpload."
        raise invalid_argument(text, name, call.header(name))


def _check_sequence(upload: Upload, number: int) -> None:
    """Refuse to leave a gap in an upload that was initiated as sequential."""
    if upload.sequential and number > max(upload.parts, default=0) + 1:
        text = "The part number is not sequential."
        raise OssFault(400, "PartNotSequential", text, ec="0042-00000105")


async def abort(call: Call) -> Reply:
    """AbortMultipartUpload."""
    bucket = call.the_bucket()
    with call.objects.lock:
        call.objects.end_upload(bucket, find_upload(call, bucket, ABORT_EC))
    return Reply(204)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One part as CompleteMultipartUpload names it."""

    number: int
    etag: str  # without quotes


async def complete(call: Call) -> Reply:
    """CompleteMultipartUpload."""
    bucket = call.the_bucket()
    encode = encoder(call)
    body = await call.body.read()
    everything = _complete_all(call, body)
    _check_no_encryption(call)
    md5 = await _sequential_md5(call, bucket)
    acl = object_acl(call.headers)
    with call.objects.lock:
        upload = find_upload(call, bucket, COMPLETE_EC)
        parts = _all_parts(upload) if everything else _named_parts(upload, _wanted(body))
        _check_sizes(parts)
        forbidden = upload.forbid_overwrite or forbids_overwrite(call)
        check_overwrite(call, bucket, forbidden=forbidden)
        assembled = _assemble(upload, parts, call.now_s)
        version = call.objects.store(bucket, replace(assembled, md5=md5, acl=acl))
        call.objects.end_upload(bucket, upload)
    check_callback(call)
    root = tree(
        "CompleteMultipartUploadResult",
        encoding_element(call),
        leaf("Location", f"http://{call.host}/{encode(call.key)}"),
        leaf("Bucket", bucket.name),
        f"<Key>{encode(call.key)}</Key>",
        leaf("ETag", f'"{version.etag}"'),
    )
    headers = {
        "ETag": f'"{version.etag}"',
        "x-oss-hash-crc64ecma": str(version.crc64),
        **version_headers(version, bucket),
        **encryption_headers(version),
    }
    return xml_reply(document(root), headers)


async def _sequential_md5(call: Call, bucket: Bucket) -> str:
    """The Content-MD5 that only objects of sequential uploads have; empty for others."""
    upload = find_upload(call, bucket, COMPLETE_EC)
    if not upload.sequential:
        return ""
    whole = Content.join(upload.parts[number].content for number in sorted(upload.parts))
    md5, _ = await digests(whole, call.world.executor)
    return base64.b64encode(md5).decode()


def _complete_all(call: Call, body: bytes) -> bool:
    value = call.header("x-oss-complete-all")
    if not value:
        return False
    if value != "yes":
        raise invalid_argument("x-oss-complete-all must be yes.", "x-oss-complete-all", value)
    if body.strip():
        text = "A request body must not be sent with x-oss-complete-all."
        raise invalid_argument(text, "x-oss-complete-all", value)
    return True


def _wanted(body: bytes) -> list[_Wanted]:
    root = parse(body, "CompleteMultipartUpload")
    wanted = [_one(element) for element in root.iter("Part")]
    if not wanted:
        raise malformed()
    for earlier, later in pairwise(wanted):
        if earlier.number >= later.number:
            text = (
                "The list of parts was not in ascending order. Parts list must specified in order "
                "by part number."
            )
            raise OssFault(400, "InvalidPartOrder", text, ec="0042-00000303")
    return wanted


def _one(element: Element) -> _Wanted:
    number = text_of(element, "PartNumber").strip()
    etag = text_of(element, "ETag").strip().strip('"')
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise malformed()
    return _Wanted(int(number), etag)


def _all_parts(upload: Upload) -> list[Part]:
    if not upload.parts:
        raise _invalid_part(0, "")
    return [upload.parts[number] for number in sorted(upload.parts)]


def _named_parts(upload: Upload, wanted: Iterable[_Wanted]) -> list[Part]:
    parts: list[Part] = []
    for one in wanted:
        part = upload.parts.get(one.number)
        if part is None or part.etag != one.etag.upper():
            raise _invalid_part(one.number, one.etag)
        parts.append(part)
    return parts


def _invalid_part(number: int, etag: str) -> OssFault:
    text = (
        "One or more of the specified parts could not be found or the specified entity tag might "
        "not have matched the part's entity tag."
    )
    extra = {"PartNumber": str(number), "ETag": etag}
    return OssFault(400, "InvalidPart", text, ec="0042-00000304", extra=extra)


def _check_sizes(parts: list[Part]) -> None:
    for part in parts[:-1]:
        if part.content.size < MIN_PART_BYTES:
            text = "Your proposed upload smaller than the minimum allowed size."
            extra = {
                "MinSizeAllowed": str(MIN_PART_BYTES),
                "ProposedSize": str(part.content.size),
                "PartNumber": str(part.number),
                "PartEtag": part.etag,
            }
            raise OssFault(400, "EntityTooSmall", text, ec="0042-00000305", extra=extra)


def _assemble(upload: Upload, parts: list[Part], now_s: float) -> Version:
    crc, size = 0, 0
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        crc = combine_crc64(crc, part.crc64, part.content.size) if size else part.crc64
        size += part.content.size
        digest.update(bytes.fromhex(part.etag))
    return replace(
        upload.model,
        content=Content.join(part.content for part in parts),
        etag=f"{digest.hexdigest().upper()}-{len(parts)}",
        crc64=crc,
        modified_s=now_s,
    )
