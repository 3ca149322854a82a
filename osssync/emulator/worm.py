"""Retention policies of a bucket (WORM): initiate, complete (lock), extend, abort, read.

A locked policy keeps every object from being deleted or overwritten while it is younger than the
retention period. Source: help.aliyun.com, InitiateBucketWorm and its relatives, "Retention
policies" (read 2026-11).
"""

import re
import secrets
from dataclasses import dataclass

from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.configurations import body_of, forget, keep
from osssync.emulator.errors import OssFault
from osssync.emulator.moments import extended
from osssync.emulator.objects import Bucket
from osssync.emulator.records import Version
from osssync.emulator.xml import document, leaf, parse, text_of, tree

_DAY_S = 86_400
_MAX_DAYS = 70 * 365
_KEPT = re.compile(
    r"<WormId>(\w+)</WormId><State>(\w+)</State>"
    r"<RetentionPeriodInDays>(\d+)</RetentionPeriodInDays><CreationDate>([^<]+)</CreationDate>"
)


@dataclass(frozen=True, slots=True)
class _Policy:
    worm_id: str
    state: str  # InProgress, Locked
    days: int
    created: str

    def render(self) -> str:
        return tree(
            "WormConfiguration",
            leaf("WormId", self.worm_id),
            leaf("State", self.state),
            leaf("RetentionPeriodInDays", self.days),
            leaf("CreationDate", self.created),
        )


def _read(bucket: Bucket) -> _Policy | None:
    match = _KEPT.search(bucket.configurations.get("worm", ""))
    return _Policy(match[1], match[2], int(match[3]), match[4]) if match else None


def _known(call: Call) -> _Policy:
    policy = _read(call.the_bucket())
    if policy is None or call.parameter("wormId", policy.worm_id) not in {"", policy.worm_id}:
        text = "The WORM Configuration does not exist."
        raise OssFault(404, "NoSuchWORMConfiguration", text, ec="0059-00000101")
    return policy


def _days_of(body: bytes, root_name: str) -> int:
    text = text_of(parse(body, root_name), "RetentionPeriodInDays").strip()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MAX_DAYS:
        message = "Days must be between 1 and 25550."
        raise invalid_argument(message, "RetentionPeriodInDays", text)
    return int(text)


async def initiate(call: Call) -> Reply:
    """InitiateBucketWorm: a policy that may still be aborted."""
    days = _days_of(await body_of(call), "InitiateWormConfiguration")
    existing = _read(call.the_bucket())
    if existing is not None and existing.state == "Locked":
        raise _locked()
    policy = _Policy(secrets.token_hex(16).upper(), "InProgress", days, extended(call.now_s))
    keep(call, "worm", policy.render())
    return Reply(headers={"x-oss-worm-id": policy.worm_id})


async def complete(call: Call) -> Reply:
    """CompleteBucketWorm: from now on nobody can take it back."""
    policy = _known(call)
    if policy.state == "Locked":
        raise _locked()
    keep(call, "worm", _Policy(policy.worm_id, "Locked", policy.days, policy.created).render())
    return Reply()


async def extend(call: Call) -> Reply:
    """ExtendBucketWorm: only a locked one, and only to a longer period."""
    days = _days_of(await body_of(call), "ExtendWormConfiguration")
    policy = _known(call)
    if policy.state != "Locked" or days < policy.days:
        text = "The WORM Configuration is not valid for this operation."
        raise OssFault(400, "InvalidWORMConfiguration", text, ec="0059-00000102")
    keep(call, "worm", _Policy(policy.worm_id, policy.state, days, policy.created).render())
    return Reply()


async def abort(call: Call) -> Reply:
    """AbortBucketWorm: only while it is not locked."""
    if _known(call).state == "Locked":
        raise _locked()
    forget(call, "worm")
    return Reply(204)


def _locked() -> OssFault:
    text = "The WORM Configuration is locked."
    return OssFault(403, "WORMConfigurationLocked", text, ec="0059-00000103")


async def get(call: Call) -> Reply:
    """GetBucketWorm."""
    return xml_reply(document(_known(call).render()))


def check_mutable(bucket: Bucket, version: Version | None, now_s: float) -> None:
    """Refuse to delete or overwrite a version that a locked policy protects.

    Raises:
        OssFault: FileImmutable.
    """
    if version is None or "worm" not in bucket.configurations:
        return
    policy = _read(bucket)
    if policy is None or policy.state != "Locked":
        return
    if now_s < version.modified_s + policy.days * _DAY_S:
        text = "The object you specified is immutable."
        extra = {"Key": version.key}
        raise OssFault(409, "FileImmutable", text, ec="0026-00000071", extra=extra)
