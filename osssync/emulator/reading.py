"""Operations that look at one object: GetObject, HeadObject, GetObjectMeta.

Source: help.aliyun.com, GetObject, HeadObject, GetObjectMeta, "Symbolic links" (read 2026-11).
"""

import re
from collections.abc import Mapping

from osssync.emulator import compressing, conditions, ranges, website
from osssync.emulator.attributes import version_headers
from osssync.emulator.call import Call, Reply, invalid_argument, not_implemented
from osssync.emulator.errors import OssFault
from osssync.emulator.moments import http_date
from osssync.emulator.objects import NULL_VERSION, Bucket
from osssync.emulator.pacing import pace_of
from osssync.emulator.records import Version

_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
_VERSION_ID = re.compile(r"CAEQ[A-Za-z0-9_\-]{8,128}")


def no_such_key(key: str, headers: dict[str, str] | None = None) -> OssFault:
    """The answer where there is no such object."""
    text = "The specified key does not exist."
    extra = {"Key": key}
    return OssFault(404, "NoSuchKey", text, ec="0026-00000001", extra=extra, headers=headers)


def find_version(call: Call, bucket: Bucket) -> Version:
    """The version a request names, the newest one without ``versionId``.

    Raises:
        OssFault: NoSuchKey, NoSuchVersion, or MethodNotAllowed on a named delete marker.
    """
    version_id = call.parameter("versionId")
    if not version_id and "versionId" in call.query:
        raise invalid_argument("Version id cannot be the empty string", "versionId", "")
    return named_version(bucket, call.key, version_id)


def named_version(bucket: Bucket, key: str, version_id: str) -> Version:
    """One version of a key, the newest one where ``version_id`` is empty.

    Raises:
        OssFault: NoSuchKey, NoSuchVersion, or MethodNotAllowed on a named delete marker.
    """
    if not version_id:
        current = bucket.current(key)
        if current is None:
            raise no_such_key(key)
        if current.is_marker:
            headers = {"x-oss-delete-marker": "true", **version_headers(current, bucket)}
            raise no_such_key(key, headers)
        return current
    check_version_id(version_id)
    version = bucket.find(key, version_id)
    if version is None:
        text = "The specified version does not exist."
        extra = {"Key": key, "VersionId": version_id}
        raise OssFault(404, "NoSuchVersion", text, ec="0026-00000031", extra=extra)
    if version.is_marker:
        text = "The specified method is not allowed against this resource."
        headers = {"x-oss-delete-marker": "true", **version_headers(version, bucket)}
        extra = {"Method": "GET", "ResourceType": "DeleteMarker"}
        raise OssFault(
            405, "MethodNotAllowed", text, ec="0026-00000032", extra=extra, headers=headers
        )
    return version


def check_version_id(version_id: str) -> None:
    """Refuse what cannot be a version id.

    Raises:
        OssFault: InvalidArgument.
    """
    if version_id != NULL_VERSION and not _VERSION_ID.fullmatch(version_id):
        raise invalid_argument("Invalid version id specified", "versionId", version_id)


def follow(bucket: Bucket, version: Version) -> Version:
    """The object behind a symbolic link; other objects stand for themselves.

    Raises:
        OssFault: SymlinkTargetNotExist, InvalidTargetType.
    """
    if version.kind != "Symlink":
        return version
    target = bucket.current(version.symlink_target)
    if target is None or target.is_marker:
        text = "The symlink target object does not exist"
        raise OssFault(404, "SymlinkTargetNotExist", text, ec="0026-00000012")
    if target.kind == "Symlink":
        text = "The symlink target object type is invalid."
        raise OssFault(400, "InvalidTargetType", text, ec="0026-00000011")
    return target


def _reads_archive(bucket: Bucket, version: Version) -> bool:
    """Whether the bucket reads objects of class Archive without restoring them."""
    setting = bucket.configurations.get("bucketArchiveDirectRead", "")
    return version.storage_class == "Archive" and ">true<" in setting


def check_readable(bucket: Bucket, version: Version, now_s: float) -> None:
    """Refuse the bytes of an archived object that is not restored.

    Raises:
        OssFault: InvalidObjectState.
    """
    if not version.is_archived or _reads_archive(bucket, version):
        return
    restore = version.restore
    if restore is None or not restore.ready_s <= now_s < restore.expires_s:
        text = "The operation is not valid for the object's state"
        extra = {"ObjectName": version.key}
        raise OssFault(403, "InvalidObjectState", text, ec="0016-00000404", extra=extra)


async def get_object(call: Call) -> Reply:
    """GetObject."""
    if "x-oss-process" in call.query:
        raise not_implemented("The emulator processes no data: x-oss-process.")
    pace = pace_of(call)
    bucket = call.the_bucket()
    try:
        link = find_version(call, bucket)
    except OssFault as fault:
        return _website(call, bucket, fault)
    version = follow(bucket, link)
    conditions.check(call.headers, version)
    check_readable(bucket, version, call.now_s)
    behavior = call.header("x-oss-range-behavior") == "standard"
    cut = ranges.resolve(call.header("range"), version.size, standard=behavior)
    headers = object_headers(link, version, bucket, call.now_s)
    headers.update(_overrides(call))
    if cut is not None:
        start, stop = cut
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{version.size}"
        return Reply(206, headers, content=version.content.slice(start, stop), pace=pace)
    if compressing.is_wanted(call.headers, version):
        return Reply(headers=headers, body=compressing.compress(version, headers), chunked=True)
    return Reply(headers=headers, content=version.content, pace=pace)


def _website(call: Call, bucket: Bucket, fault: OssFault) -> Reply:
    """What a hosted website shows for a key that does not exist.

    Raises:
        OssFault: the fault, where no website is hosted.
    """
    status, page = 200, None
    if fault.code == "NoSuchKey":
        page = website.index_page(bucket, call.key)
        if page is None:
            status, page = 404, website.error_page(bucket)
    if page is None:
        raise fault
    headers = object_headers(page, page, bucket, call.now_s)
    return Reply(status, headers, content=page.content)


async def head_object(call: Call) -> Reply:
    """HeadObject: the headers of GetObject. Archived objects need no restoring, ranges no sense."""
    bucket = call.the_bucket()
    link = find_version(call, bucket)
    version = follow(bucket, link)
    conditions.check(call.headers, version)
    headers = object_headers(link, version, bucket, call.now_s)
    return Reply(headers=headers, content=version.content)


async def get_object_meta(call: Call) -> Reply:
    """GetObjectMeta: the few headers that need no metadata; the link's own, never its target's."""
    bucket = call.the_bucket()
    version = find_version(call, bucket)
    headers = {
        "ETag": f'"{version.etag}"',
        "Last-Modified": http_date(version.modified_s),
        "Content-Length": str(version.size),
        **version_headers(version, bucket),
    }
    if version.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(version.crc64)
    if ">Enabled<" in bucket.configurations.get("accessmonitor", ""):
        headers["x-oss-last-access-time"] = http_date(version.modified_s)
    return Reply(headers=headers)


def object_headers(link: Version, version: Version, bucket: Bucket, now_s: float) -> dict[str, str]:
    """The headers that describe an object.

    Args:
        link: the symbolic link that was asked for, or ``version`` itself.
        version: the object whose bytes are meant.
        bucket: of both.
        now_s: epoch seconds.
    """
    headers = {
        "ETag": f'"{version.etag}"',
        "Last-Modified": http_date(max(link.modified_s, version.modified_s)),
        "Accept-Ranges": "bytes",
        "x-oss-object-type": link.kind,
        "x-oss-storage-class": version.storage_class,
    }
    headers.update({_titled(name): value for name, value in link.headers})
    headers.update(link.metadata)
    if version.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(version.crc64)
    if version.md5:
        headers["Content-MD5"] = version.md5
    if version.kind == "Appendable":
        headers["x-oss-next-append-position"] = str(version.size)
    if link.tags:
        headers["x-oss-tagging-count"] = str(len(link.tags))
    headers.update(version_headers(link, bucket))
    headers.update(_restore_header(version, now_s))
    return headers


def _titled(name: str) -> str:
    return name if name.startswith("x-oss-") else "-".join(w.title() for w in name.split("-"))


def _restore_header(version: Version, now_s: float) -> Mapping[str, str]:
    restore = version.restore
    if not version.is_archived or restore is None or now_s >= restore.expires_s:
        return {}
    if now_s < restore.ready_s:
        return {"x-oss-restore": 'ongoing-request="true"'}
    expiry = http_date(restore.expires_s)
    return {"x-oss-restore": f'ongoing-request="false", expiry-date="{expiry}"'}


def _overrides(call: Call) -> dict[str, str]:
    wanted = {_OVERRIDES[name]: value for name, value in call.query.items() if name in _OVERRIDES}
    if wanted and call.identity.is_anonymous:
        text = "Anonymous requests must not override response headers."
        raise OssFault(400, "InvalidRequest", text, ec="0017-00000902")
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for v in wanted.values() for letter in v):
        raise invalid_argument("A response header cannot hold control characters.")
    return wanted
