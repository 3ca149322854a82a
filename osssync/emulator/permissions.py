"""Who may do what: the signer's own policy first, then the ACLs of object and bucket.

Source: help.aliyun.com, "Authentication and access control flow", "Bucket ACL", "Object ACL"
(read 2026-11). The owner may do everything; anonymous callers what an ACL makes public.
"""

from functools import lru_cache

from osssync.emulator.authority import Identity
from osssync.emulator.call import Call
from osssync.emulator.errors import OssFault
from osssync.emulator.objects import Bucket
from osssync.emulator.policy import Policy

_PUBLIC_READS = frozenset({"oss:GetObject", "oss:GetObjectVersion", "oss:GetObjectMeta"})
_BUCKET_READS = _PUBLIC_READS | {"oss:ListObjects", "oss:GetObjectSymlink"}
_PUBLIC_WRITES = frozenset(
    {
        "oss:PutObject",
        "oss:DeleteObject",
        "oss:AbortMultipartUpload",
        "oss:ListParts",
        "oss:ListMultipartUploads",
        "oss:PutSymlink",
    }
)
_READABLE = frozenset({"public-read", "public-read-write"})


def resource(bucket: str, key: str) -> str:
    """The RAM name of a bucket or of an object in it."""
    return f"acs:oss:*:*:{bucket}/{key}" if key else f"acs:oss:*:*:{bucket or '*'}"


def authorize(call: Call, action: str, bucket: Bucket | None, key: str) -> None:
    """Stop a caller who may not do this.

    Args:
        call: who asks, and the circumstances that policies look at.
        action: RAM action, such as ``oss:GetObject``.
        bucket: None at service level.
        key: empty at bucket level.

    Raises:
        OssFault: AccessDenied.
    """
    name = resource(bucket.name if bucket else call.bucket, key)
    identity = call.identity
    verdict = _bucket_verdict(call, action, name, bucket)
    if verdict is False or _is_blocked(call, bucket):
        raise denied(identity)
    if identity.forbids(action, name, call.context):
        raise denied(identity)
    if verdict or identity.allows(action, name, call.context):
        return
    if bucket is not None and _is_public(action, bucket, key):
        return
    raise denied(identity)


_policy = lru_cache(maxsize=64)(Policy.parse)


def _bucket_verdict(call: Call, action: str, name: str, bucket: Bucket | None) -> bool | None:
    """What the bucket policy says. It cannot shut the owner out of the bucket's own settings."""
    text = bucket.configurations.get("policy") if bucket else None
    if text is None or (call.identity.is_owner and "/" not in name):
        return None
    return _policy(text).verdict(action, name, call.context, _principal(call.identity))


def _principal(identity: Identity) -> str:
    if identity.is_anonymous or identity.is_owner:
        return identity.name
    return f"arn:sts::{identity.name}/session"


def _is_blocked(call: Call, bucket: Bucket | None) -> bool:
    """Whether public access is blocked, for the bucket or the account, and this is one."""
    if bucket is None or not call.identity.is_anonymous:
        return False
    return any(
        ">true<" in one.configurations.get("publicAccessBlock", "")
        for one in (bucket, call.objects.account)
    )


def _is_public(action: str, bucket: Bucket, key: str) -> bool:
    current = bucket.current(key) if key else None
    acl = current.acl if current is not None else "default"
    if acl != "default" and action in _PUBLIC_READS:
        return acl in _READABLE
    if acl == "public-read-write" and action in _PUBLIC_WRITES:
        return True
    if action in _BUCKET_READS:
        return bucket.acl in _READABLE
    return action in _PUBLIC_WRITES and bucket.acl == "public-read-write"


def denied(identity: Identity) -> OssFault:
    """The refusal, in the words OSS has for strangers and for its own users."""
    if identity.is_anonymous:
        text = "You have no right to access this object because of bucket acl."
        return OssFault(403, "AccessDenied", text, ec="0003-00000001")
    text = "You have no right to access this object."
    return OssFault(403, "AccessDenied", text, ec="0003-00000102")
