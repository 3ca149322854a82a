"""PutSymlink and GetSymlink: objects that stand for another one.

Source: help.aliyun.com, PutSymlink, GetSymlink (read 2026-11).
"""

import hashlib
from dataclasses import replace
from urllib.parse import quote

from osssync.emulator.attributes import check_key, new_version, version_headers
from osssync.emulator.call import Call, Reply, invalid_argument
from osssync.emulator.errors import OssFault
from osssync.emulator.moments import http_date
from osssync.emulator.reading import find_version
from osssync.emulator.wire import decode_path
from osssync.emulator.writing import check_overwrite, forbids_overwrite


async def put_symlink(call: Call) -> Reply:
    """PutSymlink. The target need not exist and is not checked."""
    bucket = call.the_bucket()
    target = decode_path(call.header("x-oss-symlink-target"))
    if not target:
        text = "Missing x-oss-symlink-target header."
        raise invalid_argument(text, "x-oss-symlink-target", "", ec="0016-00000604")
    check_key(target)
    forbidden = forbids_overwrite(call)
    version = replace(
        new_version(call, bucket),
        kind="Symlink",
        etag=hashlib.md5(target.encode(), usedforsecurity=False).hexdigest().upper(),
        symlink_target=target,
    )
    with call.objects.lock:
        check_overwrite(call, bucket, forbidden=forbidden)
        version = call.objects.store(bucket, version)
    return Reply(headers={"ETag": f'"{version.etag}"', **version_headers(version, bucket)})


async def get_symlink(call: Call) -> Reply:
    """GetSymlink: where the link points, not what is there."""
    bucket = call.the_bucket()
    version = find_version(call, bucket)
    if version.kind != "Symlink":
        text = "The object is not symlink"
        raise OssFault(400, "NotSymlink", text, ec="0026-00000022")
    return Reply(
        headers={
            "x-oss-symlink-target": quote(version.symlink_target, safe=""),
            "ETag": f'"{version.etag}"',
            "Last-Modified": http_date(version.modified_s),
            **dict(version.metadata),
            **version_headers(version, bucket),
        }
    )
