"""DeleteObject and DeleteMultipleObjects, with what versioning makes of them.

Source: help.aliyun.com, DeleteObject, DeleteMultipleObjects, "Versioning" (read 2026-11).
"""

import hashlib
from dataclasses import dataclass

from osssync.emulator.attributes import MAX_KEY_BYTES
from osssync.emulator.call import Call, Reply, xml_reply
from osssync.emulator.checksums import content_md5
from osssync.emulator.errors import OssFault
from osssync.emulator.listing import encoder, encoding_element
from osssync.emulator.objects import NULL_VERSION, Bucket
from osssync.emulator.permissions import authorize
from osssync.emulator.reading import check_version_id
from osssync.emulator.records import Version
from osssync.emulator.worm import check_mutable
from osssync.emulator.xml import document, leaf, malformed, parse, text_of, tree

MAX_DELETES = 1000  # of one request
_MAX_BODY_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class _Deleted:
    """What a deletion did: to which version, and whether a delete marker came or went."""

    version_id: str = ""
    marker: bool = False
    marker_version_id: str = ""


def _delete(call: Call, bucket: Bucket, key: str, version_id: str) -> _Deleted:
    """Delete one key or version; deleting what is not there succeeds."""
    objects = call.objects
    if version_id:
        check_mutable(bucket, bucket.find(key, version_id), call.now_s)
        gone = objects.remove(bucket, key, version_id)
        if gone is not None and gone.is_marker:
            return _Deleted(version_id, marker=True, marker_version_id=version_id)
        return _Deleted(version_id)
    if not bucket.versioning:
        check_mutable(bucket, bucket.current(key), call.now_s)
        objects.remove(bucket, key, NULL_VERSION)
        return _Deleted()
    marker = Version(key, NULL_VERSION, call.now_s, is_marker=True)
    stored = objects.store(bucket, marker)
    return _Deleted(marker=True, marker_version_id=stored.version_id)


async def delete_object(call: Call) -> Reply:
    """DeleteObject: 204 whether there was one or not."""
    with call.objects.lock:
        version_id = call.parameter("versionId")
        if "versionId" in call.query:
            check_version_id(version_id)
        deleted = _delete(call, call.the_bucket(), call.key, version_id)
    headers: dict[str, str] = {}
    if deleted.marker:
        headers["x-oss-delete-marker"] = "true"
    touched = deleted.version_id or deleted.marker_version_id
    if touched:
        headers["x-oss-version-id"] = touched
    return Reply(204, headers)


async def delete_multiple_objects(call: Call) -> Reply:
    """DeleteMultipleObjects: up to 1,000 keys or versions, reported unless quiet."""
    bucket, encode = call.the_bucket(), encoder(call)
    body = await call.body.read(_MAX_BODY_BYTES)
    _check_digest(call, body)
    root = parse(body, "Delete")
    wanted = [(text_of(one, "Key"), text_of(one, "VersionId")) for one in root.iter("Object")]
    if not 1 <= len(wanted) <= MAX_DELETES:
        raise malformed()
    for key, version_id in wanted:
        _check_deletable(call, bucket, key, version_id)
    quiet = text_of(root, "Quiet").strip().lower() == "true"
    shown: list[str] = []
    with call.objects.lock:
        for key, version_id in wanted:
            deleted = _delete(call, bucket, key, version_id)
            if not quiet:
                shown.append(_shown(encode(key), deleted))
    if quiet:
        return Reply()
    return xml_reply(document(tree("DeleteResult", encoding_element(call), *shown)))


def _check_deletable(call: Call, bucket: Bucket, key: str, version_id: str) -> None:
    if not 1 <= len(key.encode("utf-8", "surrogateescape")) <= MAX_KEY_BYTES:
        text = "The specified object is not valid."
        raise OssFault(400, "InvalidObjectName", text, ec="0016-00000005")
    if version_id:
        check_version_id(version_id)
    action = "oss:DeleteObjectVersion" if version_id else "oss:DeleteObject"
    authorize(call, action, bucket, key)


def _check_digest(call: Call, body: bytes) -> None:
    announced = content_md5(call)
    if announced is None:
        text = "Missing Some Required Arguments."
        extra = {"ArgumentName": "Content-MD5"}
        raise OssFault(400, "MissingArgument", text, ec="0016-00000503", extra=extra)
    if announced != hashlib.md5(body, usedforsecurity=False).digest():
        text = "The Content-MD5 you specified did not match what we received."
        raise OssFault(400, "InvalidDigest", text, ec="0017-00000503")


def _shown(key: str, deleted: _Deleted) -> str:
    return tree(
        "Deleted",
        f"<Key>{key}</Key>",
        leaf("VersionId", deleted.version_id) if deleted.version_id else "",
        leaf("DeleteMarker", "true") if deleted.marker else "",
        leaf("DeleteMarkerVersionId", deleted.marker_version_id) if deleted.marker else "",
    )
