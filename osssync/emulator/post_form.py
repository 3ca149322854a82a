"""PostObject: an HTML form brings the object, and a signed policy says what it may be.

The whole form is received like any body; the object is a slice of it, so a large file is neither
held in memory nor copied. Source: help.aliyun.com, PostObject, "Signature version 4 in POST
policies" (read 2026-11).
"""

import base64
import binascii
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from osssync.emulator.attributes import new_version, version_headers
from osssync.emulator.blobs import BlobFile, Content
from osssync.emulator.body import MAX_PUT_BYTES, Received
from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.checksums import digests
from osssync.emulator.errors import OssFault
from osssync.emulator.permissions import authorize
from osssync.emulator.records import Version
from osssync.emulator.signature import authenticate_form
from osssync.emulator.writing import check_callback, check_overwrite, finished, forbids_overwrite
from osssync.emulator.xml import document, leaf, tree

_BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_NAME = re.compile(r'[; ]name="((?:[^"\\]|\\.)*)"')
_FILENAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"')
_MAX_FIELD_BYTES = 64 << 10
_MAX_FIELDS = 200


@dataclass(frozen=True, slots=True)
class _Form:
    """A form: fields under lower-case names, and where in the body the file lies."""

    fields: Mapping[str, str]
    filename: str
    content_type: str
    start: int
    stop: int


def _malformed(text: str = "") -> OssFault:
    message = text or "The body of your POST request is not well-formed multipart/form-data."
    return OssFault(400, "MalformedPOSTRequest", message, ec="0007-00000001")


@contextmanager
def _bytes_of(content: Content) -> Iterator[bytes | mmap.mmap]:
    """The form as one searchable buffer, mapped if it lies in a file."""
    source = content.extents[0].source if content.extents else b""
    if not isinstance(source, BlobFile):
        yield source
        return
    with (
        source.path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


def _parse(data: bytes | mmap.mmap, boundary: bytes) -> _Form:
    """Read the fields up to the file; what comes after the file is ignored, as by OSS."""
    separator = b"--" + boundary
    fields: dict[str, str] = {}
    place = data.find(separator)
    for _ in range(_MAX_FIELDS):
        if place < 0:
            break
        head_start = place + len(separator)
        if data[head_start : head_start + 2] != b"\r\n":
            break
        head_stop = data.find(b"\r\n\r\n", head_start)
        place = data.find(b"\r\n" + separator, max(head_stop, 0))
        if head_stop < 0 or place < 0:
            raise _malformed()
        start, head = head_stop + 4, bytes(data[head_start:head_stop]).decode("utf-8", "replace")
        place = max(place, start - 2)
        name = _NAME.search(head)
        if name is None:
            raise _malformed()
        if name[1].lower() == "file":
            return _file(head, fields, start, place)
        if place - start > _MAX_FIELD_BYTES:
            raise _malformed("A form field is too long.")
        fields[name[1].lower()] = bytes(data[start:place]).decode("utf-8", "replace")
        place += 2
    text = "POST requires exactly one file upload per request."
    raise OssFault(400, "IncorrectNumberOfFilesInPOSTRequest", text, ec="0007-00000003")


def _file(head: str, fields: Mapping[str, str], start: int, stop: int) -> _Form:
    filename = _FILENAME.search(head)
    kind = re.search(r"(?im)^content-type:\s*(.+?)\s*$", head)
    return _Form(
        fields=fields,
        filename=re.split(r"[\\/]", filename[1])[-1] if filename else "",
        content_type=kind[1] if kind else "",
        start=start,
        stop=stop,
    )


async def post_object(call: Call) -> Reply:
    """PostObject."""
    boundary = _BOUNDARY.search(call.header("content-type"))
    if not call.header("content-type").startswith("multipart/form-data") or boundary is None:
        text = "Bucket POST must be of the enclosure-type multipart/form-data."
        raise OssFault(400, "RequestIsNotMultiPartContent", text, ec="0007-00000002")
    limit = MAX_PUT_BYTES + _MAX_FIELDS * _MAX_FIELD_BYTES
    whole = await call.body.receive(call.objects.vault, call.world.executor, limit)
    with _bytes_of(whole.content) as data:
        form = _parse(data, boundary[1].encode())
    key = form.fields.get("key", "").replace("${filename}", form.filename)
    if not key:
        raise invalid_argument("Bucket POST must contain a field named 'key'.", "key", "")
    identity = authenticate_form(
        form.fields, call.world.authority, region=call.region, now_s=call.now_s
    )
    headers = _headers(form)
    posted = replace(call, key=key, headers=headers, identity=identity)
    if "policy" in form.fields:
        fields = {**form.fields, "key": key, "bucket": call.bucket}
        _check_policy(form.fields["policy"], fields, form.stop - form.start, call.now_s)
    bucket = call.the_bucket()
    authorize(posted, "oss:PutObject", bucket, key)
    version = await _store(posted, whole.content.slice(form.start, form.stop))
    if "callback" in form.fields:
        posted.query = {"callback": form.fields["callback"]}
    check_callback(posted)
    return _reply(posted, form, version.etag, version_headers(version, bucket))


async def _store(call: Call, content: Content) -> Version:
    bucket = call.the_bucket()
    model = new_version(call, bucket)
    forbidden = forbids_overwrite(call)
    md5, crc64 = await digests(content, call.world.executor)
    with call.objects.lock:
        check_overwrite(call, bucket, forbidden=forbidden)
        return call.objects.store(
            bucket, finished(model, Received(content, md5, crc64), call.now_s)
        )


def _headers(form: _Form) -> dict[str, str]:
    """The form as the headers of a PutObject would have said it."""
    headers = dict(form.fields)
    kind = form.fields.get("x-oss-content-type") or form.fields.get("content-type")
    headers["content-type"] = kind or form.content_type
    return headers


def _reply(call: Call, form: _Form, etag: str, versions: dict[str, str]) -> Reply:
    headers = {"ETag": f'"{etag}"', **versions}
    redirect = form.fields.get("success_action_redirect", "")
    location = f"http://{call.bucket}.{call.host}/{quote(call.key)}"
    if redirect:
        query = f"bucket={call.bucket}&key={quote(call.key, safe='')}&etag=%22{etag}%22"
        headers["Location"] = f"{redirect}{'&' if '?' in redirect else '?'}{query}"
        return Reply(303, headers)
    headers["Location"] = location
    match form.fields.get("success_action_status", ""):
        case "200":
            return Reply(200, headers)
        case "201":
            root = tree(
                "PostResponse",
                leaf("Bucket", call.bucket),
                leaf("ETag", f'"{etag}"'),
                leaf("Key", call.key),
                leaf("Location", location),
            )
            reply = xml_reply(document(root), headers)
            reply.status = 201
            return reply
        case _:
            return Reply(204, headers)


def _invalid_policy(text: str) -> OssFault:
    message = f"Invalid Policy: {text}"
    return OssFault(400, "InvalidPolicyDocument", message, ec="0007-00000010")


def _refused(text: str) -> OssFault:
    message = f"Invalid according to Policy: {text}"
    return OssFault(403, "AccessDenied", message, ec="0007-00000011")


def _check_policy(encoded: str, fields: Mapping[str, str], size: int, now_s: float) -> None:
    """Hold a form against its policy.

    Raises:
        OssFault: InvalidPolicyDocument, AccessDenied, EntityTooLarge, EntityTooSmall.
    """
    try:
        policy = json.loads(base64.b64decode(encoded, validate=True))
        expires = datetime.fromisoformat(policy["expiration"]).timestamp()
        conditions = policy["conditions"]
    except (binascii.Error, ValueError, TypeError, KeyError) as error:
        raise _invalid_policy("Invalid JSON, expiration or conditions.") from error
    if not isinstance(conditions, list):
        raise _invalid_policy("conditions must be a list.")
    if now_s >= expires:
        raise _refused("Policy expired.")
    for condition in conditions:
        _check_condition(condition, fields, size)


def _check_condition(condition: object, fields: Mapping[str, str], size: int) -> None:
    match condition:
        case dict():
            for name, wanted in condition.items():
                if fields.get(str(name).lower(), "") != wanted:
                    raise _refused(f'Policy Condition failed: ["eq", "${name}", "{wanted}"]')
        case ["content-length-range", int(low), int(high)]:
            _check_size(size, low, high)
        case [str(operator), str(name), wanted]:
            value = fields.get(name.removeprefix("$").lower(), "")
            if not _holds(operator.lower(), value, wanted):
                raise _refused(f"Policy Condition failed: {json.dumps(condition)}")
        case _:
            raise _invalid_policy(f"Invalid condition {json.dumps(condition)}.")


def _check_size(size: int, low: int, high: int) -> None:
    if size > high:
        text = "Your proposed upload exceeds the maximum allowed size."
        raise OssFault(400, "EntityTooLarge", text, ec="0007-00000012")
    if size < low:
        text = "Your proposed upload smaller than the minimum allowed size."
        raise OssFault(400, "EntityTooSmall", text, ec="0007-00000013")


def _holds(operator: str, value: str, wanted: object) -> bool:
    match operator, wanted:
        case "eq", str():
            return value == wanted
        case "starts-with", str():
            return value.startswith(wanted)
        case "in", list():
            return value in wanted
        case "not-in", list():
            return value not in wanted
        case _:
            raise _invalid_policy(f"Invalid operator {operator}.")
