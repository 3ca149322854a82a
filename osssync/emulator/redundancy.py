"""Tasks that turn a bucket's local redundancy into zone redundancy. They are kept; no data moves.

Source: help.aliyun.com, CreateBucketDataRedundancyTransition, GetBucketDataRedundancyTransition,
ListBucketDataRedundancyTransition, ListUserDataRedundancyTransition,
DeleteBucketDataRedundancyTransition (read 2026-11).
"""

import base64
import binascii
import secrets

from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.configurations import forget, keep
from osssync.emulator.errors import OssFault
from osssync.emulator.moments import extended
from osssync.emulator.objects import Bucket
from osssync.emulator.xml import document, leaf, tree

_FAMILY = "redundancyTransition/"
_TASK = "x-oss-redundancy-transition-taskid"
_TARGET = "x-oss-target-redundancy-type"


def _task_of(bucket: Bucket) -> tuple[str, str] | None:
    """The id and the elements of a bucket's task; a bucket has one at most."""
    for name, text in bucket.configurations.items():
        if name.startswith(_FAMILY):
            return name.removeprefix(_FAMILY), text
    return None


def _named_task(call: Call) -> str:
    """The elements of the task a request names.

    Raises:
        OssFault: NoSuchBucketDataRedundancyTransition.
    """
    task = _task_of(call.the_bucket())
    if task is None or task[0] != call.parameter(_TASK):
        text = "The specified data redundancy transition task does not exist."
        raise OssFault(404, "NoSuchBucketDataRedundancyTransition", text)
    return task[1]


async def create(call: Call) -> Reply:
    """CreateBucketDataRedundancyTransition: only to ZRS, and one for each bucket."""
    bucket = call.the_bucket()
    wanted = call.parameter(_TARGET)
    if wanted != "ZRS":
        text = "The target redundancy type is not valid."
        raise invalid_argument(text, _TARGET, wanted)
    if _task_of(bucket) is not None:
        text = "The data redundancy transition of the bucket has been created."
        raise OssFault(409, "BucketDataRedundancyTransitionConflict", text)
    identifier = secrets.token_hex(16)
    elements = (
        leaf("Bucket", bucket.name)
        + leaf("TaskId", identifier)
        + leaf("Status", "Queueing")
        + leaf("CreateTime", extended(call.now_s))
    )
    keep(call, _FAMILY + identifier, elements)
    root = tree("BucketDataRedundancyTransition", leaf("TaskId", identifier))
    return xml_reply(document(root))


async def get_or_list(call: Call) -> Reply:
    """GetBucketDataRedundancyTransition; ListBucketDataRedundancyTransition without a task id."""
    if _TASK in call.query:
        return xml_reply(document(tree("BucketDataRedundancyTransition", _named_task(call))))
    return xml_reply(document(_list([call.the_bucket()])))


async def list_of_user(call: Call) -> Reply:
    """ListUserDataRedundancyTransition: every bucket's, in pages, by name of the bucket."""
    token = call.parameter("continuation-token")
    limit = call.number("max-keys", 100, 1, 100)
    try:
        after = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, ValueError):
        text = "The continuation token is not valid."
        raise invalid_argument(text, "continuation-token", token) from None
    with call.objects.lock:
        buckets = [
            bucket
            for name, bucket in sorted(call.objects.buckets.items())
            if name > after and _task_of(bucket) is not None
        ]
    truncated = len(buckets) > limit
    shown = buckets[:limit]
    following = base64.b64encode(shown[-1].name.encode()).decode() if truncated else ""
    root = _list(
        shown,
        leaf("IsTruncated", "true" if truncated else "false"),
        leaf("NextContinuationToken", following),
    )
    return xml_reply(document(root))


def _list(buckets: list[Bucket], *more: str) -> str:
    tasks = [task[1] for task in map(_task_of, buckets) if task is not None]
    shown = (tree("BucketDataRedundancyTransition", task) for task in tasks)
    return tree("ListBucketDataRedundancyTransition", *shown, *more)


async def delete(call: Call) -> Reply:
    """DeleteBucketDataRedundancyTransition: it was never begun, so it can always be taken back."""
    _named_task(call)
    forget(call, _FAMILY + call.parameter(_TASK))
    return Reply(204)
