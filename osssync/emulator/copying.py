"""CopyObject and UploadPartCopy: bytes are shared with the source, never copied.

Source: help.aliyun.com, CopyObject, UploadPartCopy (read 2026-11).
"""

import re
from dataclasses import dataclass, replace

from osssync.emulator import conditions
from osssync.emulator.attributes import (
    check_key,
    encryption,
    encryption_headers,
    new_version,
    object_acl,
    storage_class,
    version_headers,
)
from osssync.emulator.blobs import Content
from osssync.emulator.body import MAX_PUT_BYTES, too_large
from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.checksums import digests
from osssync.emulator.errors import OssFault
from osssync.emulator.moments import extended
from osssync.emulator.multipart import UPLOAD_PART_EC, find_upload, part_number
from osssync.emulator.objects import NULL_VERSION, Bucket
from osssync.emulator.permissions import authorize
from osssync.emulator.reading import check_readable, follow, named_version
from osssync.emulator.records import Part, Version
from osssync.emulator.wire import decode, decode_path
from osssync.emulator.writing import check_overwrite, forbids_overwrite
from osssync.emulator.xml import document, leaf, tree

_PREFIX = "x-oss-copy-source-"
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class _Source:
    """What a copy reads."""

    bucket: Bucket
    version: Version

    @property
    def headers(self) -> dict[str, str]:
        """The version that was read, where its bucket is versioned."""
        if not self.bucket.versioning:
            return {}
        return {"x-oss-copy-source-version-id": self.version.version_id}


def _find_source(call: Call) -> _Source:
    """The object a copy reads, if the caller may read it and its conditions hold.

    Raises:
        OssFault: what GetObject would say, InvalidArgument for an unreadable header.
    """
    path, mark, version_id = call.header("x-oss-copy-source").partition("?versionId=")
    if mark and not version_id:
        raise invalid_argument("Version id cannot be the empty string", "versionId", "")
    bucket_name, _, key = decode_path(path).removeprefix("/").partition("/")
    if not bucket_name or not key:
        text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise invalid_argument(text, "x-oss-copy-source", path, ec="0017-00000401")
    check_key(key)
    bucket = call.objects.bucket(bucket_name)
    version_id = decode(version_id)
    action = "oss:GetObjectVersion" if version_id else "oss:GetObject"
    authorize(call, action, bucket, key)
    version = follow(bucket, named_version(bucket, key, version_id))
    conditions.check(call.headers, version, _PREFIX)
    check_readable(bucket, version, call.now_s)
    return _Source(bucket, version)


async def copy_object(call: Call) -> Reply:
    """CopyObject: to itself too, which is how metadata, class and encryption are changed."""
    bucket = call.the_bucket()
    model = new_version(call, bucket)
    forbidden = forbids_overwrite(call)
    with call.objects.lock:
        source = _find_source(call)
        check_overwrite(call, bucket, forbidden=forbidden)
        version = call.objects.store(bucket, _copied(call, bucket, model, source.version))
    root = tree(
        "CopyObjectResult",
        leaf("LastModified", extended(version.modified_s)),
        leaf("ETag", f'"{version.etag}"'),
    )
    headers = {
        "ETag": f'"{version.etag}"',
        **version_headers(version, bucket),
        **source.headers,
        **encryption_headers(version),
    }
    if version.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(version.crc64)
    return xml_reply(document(root), headers)


def _directive(call: Call, name: str) -> bool:
    """Whether a directive says REPLACE rather than COPY."""
    value = call.header(name).upper() or "COPY"
    if value not in {"COPY", "REPLACE"}:
        raise invalid_argument(f"The value of {name} is invalid.", name, value, ec="0017-00000402")
    return value == "REPLACE"


def _copied(call: Call, bucket: Bucket, model: Version, source: Version) -> Version:
    replaces = _directive(call, "x-oss-metadata-directive")
    kept = tuple((name, text) for name, text in source.headers if not name.startswith("x-oss-"))
    return replace(
        source,
        key=call.key,
        version_id=NULL_VERSION,
        modified_s=call.now_s,
        kind="Normal" if source.kind == "Appendable" else source.kind,
        headers=model.headers if replaces else kept + encryption(call.headers, bucket),
        metadata=model.metadata if replaces else source.metadata,
        tags=model.tags if _directive(call, "x-oss-tagging-directive") else source.tags,
        storage_class=storage_class(call.headers, bucket.storage_class),
        acl=object_acl(call.headers),
        restore=None,
    )


async def upload_part_copy(call: Call) -> Reply:
    """UploadPartCopy: a range of an object becomes a part."""
    bucket = call.the_bucket()
    number = part_number(call)
    find_upload(call, bucket, UPLOAD_PART_EC)
    with call.objects.lock:
        source = _find_source(call)
    content = _cut(call, source.version.content)
    if content.size > MAX_PUT_BYTES:
        raise too_large()
    md5, crc64 = await digests(content, call.world.executor)
    etag = md5.hex().upper()
    with call.objects.lock:
        upload = find_upload(call, bucket, UPLOAD_PART_EC)
        call.objects.add_part(bucket, upload, Part(number, content, etag, crc64, call.now_s))
    root = tree(
        "CopyPartResult",
        leaf("LastModified", extended(call.now_s)),
        leaf("ETag", f'"{etag}"'),
    )
    return xml_reply(document(root), {"ETag": f'"{etag}"', **source.headers})


def _cut(call: Call, content: Content) -> Content:
    header = call.header("x-oss-copy-source-range")
    if not header:
        return content
    match = _RANGE.fullmatch(header.strip())
    last = int(match[2]) if match and match[2] else content.size - 1
    if not match or not int(match[1]) <= last < content.size:
        text = "The x-oss-copy-source-range value must be of the form bytes=first-last."
        raise OssFault(416 if match else 400, "InvalidRange" if match else "InvalidArgument", text)
    return content.slice(int(match[1]), last + 1)
