"""Which operation a request is: method, level, sub-resource. START READING THE OSS SIDE HERE.

Source: help.aliyun.com, "List of operations by function", RAM actions of each (read 2026-11).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from osssync.emulator import (
    buckets,
    copying,
    deleting,
    listing,
    multipart,
    reading,
    symlinks,
    writing,
)
from osssync.emulator.call import Call, Reply
from osssync.emulator.errors import OssFault

SERVICE, BUCKET, OBJECT = "service", "bucket", "object"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: OSS's name, the RAM action it needs, and what does it."""

    name: str
    action: str
    run: Callable[[Call], Awaitable[Reply]]
    needs_bucket: bool = True


def _operation(name: str, run: Callable[[Call], Awaitable[Reply]], action: str = "") -> Operation:
    return Operation(name, f"oss:{action or name}", run)


Table = dict[tuple[str, str], dict[str, Operation]]

# The sub-resource "" is the operation without any. Where a request has several, the one that
# stands first wins.
_TABLE: Table = {
    ("GET", SERVICE): {
        "regions": Operation("DescribeRegions", "oss:DescribeRegions", buckets.describe_regions,
                             needs_bucket=False),
        "": Operation("ListBuckets", "oss:ListBuckets", buckets.list_buckets, needs_bucket=False),
    },
    ("PUT", BUCKET): {
        "acl": _operation("PutBucketAcl", buckets.put_bucket_acl),
        "": Operation("PutBucket", "oss:PutBucket", buckets.put_bucket, needs_bucket=False),
    },
    ("GET", BUCKET): {
        "acl": _operation("GetBucketAcl", buckets.get_bucket_acl),
        "location": _operation("GetBucketLocation", buckets.get_bucket_location),
        "bucketInfo": _operation("GetBucketInfo", buckets.get_bucket_info),
        "stat": _operation("GetBucketStat", buckets.get_bucket_stat),
        "": _operation("ListObjects", listing.list_objects),
    },
    ("DELETE", BUCKET): {"": _operation("DeleteBucket", buckets.delete_bucket)},
    ("POST", BUCKET): {
        "delete": _operation(
            "DeleteMultipleObjects", deleting.delete_multiple_objects, "DeleteObject"
        ),
    },
    ("GET", OBJECT): {
        "symlink": _operation("GetSymlink", symlinks.get_symlink, "GetObject"),
        "objectMeta": _operation("GetObjectMeta", reading.get_object_meta, "GetObject"),
        "": _operation("GetObject", reading.get_object),
    },
    ("HEAD", OBJECT): {
        "objectMeta": _operation("GetObjectMeta", reading.get_object_meta, "GetObject"),
        "": _operation("HeadObject", reading.head_object, "GetObject"),
    },
    ("PUT", OBJECT): {
        "symlink": _operation("PutSymlink", symlinks.put_symlink, "PutObject"),
        "uploadId": _operation("UploadPart", multipart.upload_part, "PutObject"),
        "": _operation("PutObject", writing.put_object),
    },
    ("POST", OBJECT): {
        "append": _operation("AppendObject", writing.append_object, "PutObject"),
        "uploads": _operation("InitiateMultipartUpload", multipart.initiate, "PutObject"),
        "uploadId": _operation("CompleteMultipartUpload", multipart.complete, "PutObject"),
    },
    ("DELETE", OBJECT): {
        "uploadId": _operation("AbortMultipartUpload", multipart.abort),
        "": _operation("DeleteObject", deleting.delete_object),
    },
}  # fmt: skip

_LIST_V2 = _operation("ListObjectsV2", listing.list_objects_v2, "ListObjects")
_COPY = _operation("CopyObject", copying.copy_object, "PutObject")
_COPY_PART = _operation("UploadPartCopy", copying.upload_part_copy, "PutObject")
_ORDER = {
    name: number
    for number, name in enumerate(dict.fromkeys(n for row in _TABLE.values() for n in row))
}


def find(
    method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation:
    """The operation a request asks for.

    Raises:
        OssFault: MethodNotAllowed.
    """
    level = OBJECT if key else BUCKET if bucket else SERVICE
    row = _TABLE.get((method, level), {})
    known = [name for name in query if name in row]
    chosen = min(known, key=_ORDER.__getitem__) if known else ""
    operation = row.get(chosen)
    if operation is None:
        text = "The specified method is not allowed against this resource."
        extra = {"Method": method, "ResourceType": level.title()}
        raise OssFault(405, "MethodNotAllowed", text, ec="0018-00000101", extra=extra)
    return _refined(operation, query, headers)


def _refined(
    operation: Operation, query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation:
    """Tell apart the operations that share a sub-resource."""
    match operation.name:
        case "ListObjects" if query.get("list-type") == "2":
            return _LIST_V2
        case "PutObject" if "x-oss-copy-source" in headers:
            return _COPY
        case "UploadPart" if "x-oss-copy-source" in headers:
            return _COPY_PART
        case _:
            return operation
