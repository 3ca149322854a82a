"""What can be changed on an object without its bytes: ACL, tags, restoring from archive.

Source: help.aliyun.com, PutObjectACL, GetObjectACL, PutObjectTagging, GetObjectTagging,
DeleteObjectTagging, RestoreObject (read 2026-11).
"""

from dataclasses import dataclass, replace

from osssync.emulator.attributes import check_tags, object_acl, version_headers
from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.configurations import body_of
from osssync.emulator.errors import OssFault
from osssync.emulator.listing import OWNER
from osssync.emulator.reading import find_version
from osssync.emulator.records import Pairs, Restore, Version
from osssync.emulator.xml import document, leaf, malformed, parse, text_of, tree

_DAY_S = 86_400
_MAX_DAYS = {"Archive": 7, "ColdArchive": 365, "DeepColdArchive": 365}
_TIERS = frozenset({"Expedited", "Standard", "Bulk"})


async def put_object_acl(call: Call) -> Reply:
    """PutObjectACL."""
    if not call.header("x-oss-object-acl"):
        text = "Missing Some Required Arguments."
        raise OssFault(400, "MissingArgument", text, ec="0016-00000501")
    acl = object_acl(call.headers)
    with call.objects.lock:
        bucket = call.the_bucket()
        version = replace(find_version(call, bucket), acl=acl)
        call.objects.change(bucket, version)
    return Reply(headers=version_headers(version, bucket))


async def get_object_acl(call: Call) -> Reply:
    """GetObjectACL."""
    bucket = call.the_bucket()
    version = find_version(call, bucket)
    grant = tree("AccessControlList", leaf("Grant", version.acl))
    body = document(tree("AccessControlPolicy", OWNER, grant))
    return xml_reply(body, version_headers(version, bucket))


async def put_object_tagging(call: Call) -> Reply:
    """PutObjectTagging: replaces all tags."""
    root = parse(await body_of(call), "Tagging")
    if root.find("TagSet") is None:
        raise malformed()
    tags = tuple((text_of(tag, "Key"), text_of(tag, "Value")) for tag in root.iter("Tag"))
    return _set_tags(call, check_tags(tags))


def _set_tags(call: Call, tags: Pairs) -> Reply:
    with call.objects.lock:
        bucket = call.the_bucket()
        version = replace(find_version(call, bucket), tags=tags)
        call.objects.change(bucket, version)
    return Reply(headers=version_headers(version, bucket))


async def get_object_tagging(call: Call) -> Reply:
    """GetObjectTagging: an empty set where there are no tags."""
    bucket = call.the_bucket()
    version = find_version(call, bucket)
    tags = (tree("Tag", leaf("Key", name), leaf("Value", text)) for name, text in version.tags)
    body = document(tree("Tagging", tree("TagSet", *tags)))
    return xml_reply(body, version_headers(version, bucket))


async def delete_object_tagging(call: Call) -> Reply:
    """DeleteObjectTagging."""
    reply = _set_tags(call, ())
    reply.status = 204
    return reply


async def clean_restored_object(call: Call) -> Reply:
    """CleanRestoredObject: frozen again before its time; only what was restored can be."""
    with call.objects.lock:
        bucket = call.the_bucket()
        version = find_version(call, bucket)
        restore = version.restore
        if restore is None or not restore.ready_s <= call.now_s < restore.expires_s:
            text = "The object is not restored."
            raise OssFault(409, "ArchiveRestoreNotFinished", text, ec="0026-00000062")
        call.objects.change(bucket, replace(version, restore=None))
    return Reply(headers=version_headers(version, bucket))


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a RestoreRequest says; ``tier`` is empty where it says nothing."""

    days: int
    tier: str


async def restore_object(call: Call) -> Reply:
    """RestoreObject: 202 begins, 409 while it goes on, 200 prolongs.

    How long it goes on is ``Settings.restore_s``.
    """
    wish = _wish(await body_of(call))
    with call.objects.lock:
        bucket = call.the_bucket()
        version = find_version(call, bucket)
        if not version.is_archived:
            text = "The operation is not valid for the object's storage class"
            raise OssFault(400, "OperationNotSupported", text, ec="0016-00000702")
        if version.storage_class == "Archive" and wish.tier:
            raise malformed()
        if wish.days > _MAX_DAYS[version.storage_class]:
            raise invalid_argument("Days is beyond the limit.", "Days", str(wish.days))
        version, status = _restored(call, version, wish.days)
        call.objects.change(bucket, version)
    headers = version_headers(version, bucket)
    if version.storage_class != "Archive" and status == 202:
        headers["x-oss-object-restore-priority"] = wish.tier or "Standard"
    return Reply(status, headers)


def _wish(body: bytes) -> _Wish:
    if not body.strip():
        return _Wish(1, "")
    root = parse(body, "RestoreRequest")
    text = text_of(root, "Days", "1").strip()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 365:
        raise invalid_argument("Days must be between 1 and 365.", "Days", text)
    tier = text_of(root, "JobParameters/Tier").strip()
    if tier and tier not in _TIERS:
        raise invalid_argument("The Tier is not valid.", "Tier", tier)
    return _Wish(int(text), tier)


def _restored(call: Call, version: Version, days: int) -> tuple[Version, int]:
    old, now_s = version.restore, call.now_s
    if old is not None and now_s < old.ready_s:
        text = "The restore operation is in progress."
        raise OssFault(409, "RestoreAlreadyInProgress", text, ec="0026-00000061")
    if old is not None and now_s < old.expires_s:
        return replace(version, restore=replace(old, expires_s=now_s + days * _DAY_S)), 200
    ready_s = now_s + call.world.settings.restore_s
    return replace(version, restore=Restore(ready_s, ready_s + days * _DAY_S, days)), 202
