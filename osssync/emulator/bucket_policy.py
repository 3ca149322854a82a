"""Bucket policies, and the callback policies that share their sub-resource.

Source: help.aliyun.com, PutBucketPolicy, GetBucketPolicyStatus, PutBucketCallbackPolicy
(read 2026-11).
"""

from osssync.emulator.call import Call, Reply, xml_reply
from osssync.emulator.configurations import (
    CONFIGURATIONS,
    Missing,
    body_of,
    deleter,
    forget,
    getter,
    keep,
    putter,
)
from osssync.emulator.errors import OssFault
from osssync.emulator.policy import Policy
from osssync.emulator.policy_conditions import PolicyError
from osssync.emulator.xml import document, leaf, tree

_MAX_BYTES = 16 << 10
_CALLBACKS = next(one for one in CONFIGURATIONS if one.resource == "callbackPolicy")


def _is_callback(call: Call) -> bool:
    """Callback policies share the sub-resource of bucket policies."""
    return call.parameter("comp") == "callback"


async def put_policy(call: Call) -> Reply:
    """PutBucketPolicy: JSON; it counts at once."""
    if _is_callback(call):
        return await putter(_CALLBACKS)(call)
    body = await body_of(call)
    if len(body) > _MAX_BYTES:
        text = "The length of the policy must be less than 16KB."
        raise OssFault(400, "InvalidPolicyDocument", text, ec="0030-00000001")
    try:
        text = body.decode("utf-8")
        Policy.parse(text)
    except (PolicyError, UnicodeDecodeError) as error:
        message = f"The policy is not valid: {error}"
        raise OssFault(400, "InvalidPolicyDocument", message, ec="0030-00000002") from error
    keep(call, "policy", text)
    return Reply()


_NO_POLICY = Missing("NoSuchBucketPolicy", "The bucket policy does not exist.", "0030-00000003")


async def get_policy(call: Call) -> Reply:
    """GetBucketPolicy."""
    if _is_callback(call):
        return await getter(_CALLBACKS)(call)
    text = call.the_bucket().configurations.get("policy")
    if text is None:
        raise _NO_POLICY.fault(call.bucket)
    return Reply(headers={"Content-Type": "application/json"}, body=text.encode())


async def delete_policy(call: Call) -> Reply:
    """DeleteBucketPolicy."""
    if _is_callback(call):
        return await deleter(_CALLBACKS)(call)
    forget(call, "policy")
    return Reply(204)


async def get_policy_status(call: Call) -> Reply:
    """GetBucketPolicyStatus: whether a statement allows everybody."""
    text = call.the_bucket().configurations.get("policy")
    if text is None:
        raise _NO_POLICY.fault(call.bucket)
    public = any(
        one.allow and "*" in one.principals and not one.conditions
        for one in Policy.parse(text).statements
    )
    return xml_reply(document(tree("PolicyStatus", leaf("IsPublic", str(public).lower()))))
