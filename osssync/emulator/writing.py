"""Operations that bring bytes: PutObject and AppendObject.

Source: help.aliyun.com, PutObject, AppendObject (read 2026-11).
"""

import base64
from dataclasses import replace

from anycrc import Model

from osssync.emulator import conditions
from osssync.emulator.attributes import (
    encryption_headers,
    new_version,
    object_acl,
    version_headers,
)
from osssync.emulator.blobs import Content
from osssync.emulator.body import Received
from osssync.emulator.call import Call, Reply, invalid_argument
from osssync.emulator.checksums import content_md5
from osssync.emulator.errors import OssFault
from osssync.emulator.objects import Bucket
from osssync.emulator.pacing import pace_of
from osssync.emulator.records import Version
from osssync.emulator.worm import check_mutable

_CRC64 = Model("CRC64-XZ")


def combine_crc64(first: int, second: int, second_size: int) -> int:
    """CRC-64/XZ of two pieces one after the other."""
    return int(_CRC64.combine(first, second, second_size))


async def receive_checked(call: Call) -> Received:
    """The body, once it agrees with its announced MD5.

    Raises:
        OssFault: MissingContentLength, InvalidDigest, EntityTooLarge, IncompleteBody.
    """
    if call.body.expected is None and "chunked" not in call.header("transfer-encoding").lower():
        text = "You must provide the Content-Length HTTP header."
        raise OssFault(411, "MissingContentLength", text, ec="0017-00000501")
    announced = content_md5(call)
    call.body.pace = pace_of(call)
    received = await call.body.receive(call.objects.vault, call.world.executor)
    if announced is not None and announced != received.md5:
        text = "The Content-MD5 you specified did not match what we received."
        extra = {
            "ClientMD5": base64.b64encode(announced).decode(),
            "ServerMD5": base64.b64encode(received.md5).decode(),
        }
        raise OssFault(400, "InvalidDigest", text, ec="0017-00000503", extra=extra)
    return received


def check_callback(call: Call) -> None:
    """Say honestly that no callback was made. The object is stored all the same, as by OSS.

    Raises:
        OssFault: CallbackFailed, with its status 203.
    """
    if "x-oss-callback" in call.headers or "callback" in call.query:
        text = "The emulator calls no application servers; the object is stored."
        raise OssFault(203, "CallbackFailed", text, ec="0007-00000203")


def forbids_overwrite(call: Call) -> bool:
    """Whether ``x-oss-forbid-overwrite: true`` was sent.

    Raises:
        OssFault: InvalidArgument for anything but true and false.
    """
    text = call.header("x-oss-forbid-overwrite").lower()
    if text not in {"", "true", "false"}:
        message = "The value of x-oss-forbid-overwrite must be true or false."
        raise invalid_argument(message, "x-oss-forbid-overwrite", text)
    return text == "true"


def check_overwrite(call: Call, bucket: Bucket, *, forbidden: bool) -> None:
    """Refuse to overwrite what must stay; a bucket that keeps versions overwrites nothing.

    Raises:
        OssFault: FileAlreadyExists, FileImmutable.
    """
    current = bucket.current(call.key)
    if bucket.versioning or current is None:
        return
    if forbidden:
        text = "The object you specified already exists and can not be overwritten."
        extra = {"Key": call.key}
        raise OssFault(409, "FileAlreadyExists", text, ec="0026-00000002", extra=extra)
    check_mutable(bucket, current, call.now_s)


async def put_object(call: Call) -> Reply:
    """PutObject."""
    bucket = call.the_bucket()
    conditions.refuse(call.headers)
    model = new_version(call, bucket)
    forbidden = forbids_overwrite(call)
    check_overwrite(call, bucket, forbidden=forbidden)
    received = await receive_checked(call)
    with call.objects.lock:
        check_overwrite(call, call.the_bucket(), forbidden=forbidden)
        version = call.objects.store(call.the_bucket(), finished(model, received, call.now_s))
    check_callback(call)
    return Reply(
        headers={
            "ETag": f'"{version.etag}"',
            "x-oss-hash-crc64ecma": str(version.crc64),
            "Content-MD5": version.md5,
            **version_headers(version, bucket),
            **encryption_headers(version),
        }
    )


def finished(model: Version, received: Received, now_s: float) -> Version:
    """The object that was described, with its bytes."""
    return replace(
        model,
        content=received.content,
        etag=received.md5.hex().upper(),
        md5=base64.b64encode(received.md5).decode(),
        crc64=received.crc64,
        modified_s=now_s,
    )


async def append_object(call: Call) -> Reply:
    """AppendObject: the body goes to the end of the object if that is where the client is."""
    bucket = call.the_bucket()
    text = call.parameter("position")
    if not text.isascii() or not text.isdigit():
        if "position" not in call.query:
            message = "Missing Some Required Arguments."
            raise OssFault(400, "MissingArgument", message, ec="0016-00000501")
        raise invalid_argument(
            "Argument position must be an unsigned integer.", "position", text, ec="0016-00000502"
        )
    position = int(text[:20])
    existing = _appendable(bucket, call.key, position)
    # What belongs to the object is said when it is made; later appends change its ACL alone.
    model = existing or replace(new_version(call, bucket), kind="Appendable")
    acl = object_acl(call.headers) if "x-oss-object-acl" in call.headers else model.acl
    model = replace(model, acl=acl)
    received = await receive_checked(call)
    with call.objects.lock:
        version = _append(call, model, position, received)
    return Reply(
        headers={
            "ETag": f'"{version.etag}"',
            "x-oss-next-append-position": str(version.size),
            "x-oss-hash-crc64ecma": str(version.crc64),
            **version_headers(version, bucket),
            **encryption_headers(version),
        }
    )


def _appendable(bucket: Bucket, key: str, position: int) -> Version | None:
    current = bucket.current(key)
    if current is None or current.is_marker:
        current, size = None, 0
    else:
        size = current.size
    if current is not None and current.kind != "Appendable":
        text = "The object is not appendable"
        raise OssFault(409, "ObjectNotAppendable", text, ec="0026-00000024")
    if position != size:
        raise OssFault(
            409,
            "PositionNotEqualToLength",
            "Position is not equal to file length",
            ec="0026-00000016",
            headers={
                "x-oss-next-append-position": str(size),
                "x-oss-hash-crc64ecma": str(current.crc64 if current else 0),
            },
        )
    return current


def _append(call: Call, model: Version, position: int, received: Received) -> Version:
    """Store the appended bytes. The lock is held since the position was checked."""
    bucket = call.the_bucket()
    current = _appendable(bucket, call.key, position)
    old = current.content if current else Content()
    crc = combine_crc64(current.crc64 or 0, received.crc64, received.content.size) if current else 0
    version = replace(
        current or model,
        acl=model.acl,
        content=Content.join((old, received.content)),
        crc64=crc if current else received.crc64,
        etag=f"{received.md5.hex().upper()[:24]}{old.size + received.content.size:08X}",
        modified_s=call.now_s,
    )
    if current is None:
        return call.objects.store(bucket, version)
    call.objects.change(bucket, version)
    return version
