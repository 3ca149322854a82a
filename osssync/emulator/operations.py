"""Which operation a request is: method, level, sub-resource. START READING THE OSS SIDE HERE.

Source: help.aliyun.com, "List of operations by function", RAM actions of each (read 2026-11).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from osssync.emulator import (
    bucket_policy,
    buckets,
    configurations,
    copying,
    cors,
    deleting,
    listing,
    live,
    multipart,
    named_settings,
    object_settings,
    post_form,
    reading,
    redundancy,
    symlinks,
    upload_listing,
    versions,
    worm,
    writing,
)
from osssync.emulator.call import Call, Reply, not_implemented
from osssync.emulator.configurations import CONFIGURATIONS, Configuration, Run
from osssync.emulator.errors import OssFault

SERVICE, BUCKET, OBJECT = "service", "bucket", "object"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: OSS's name, what does it, and the RAM action it needs.

    ``needs_bucket``: it fails without the bucket. ``authorizes``: it asks for permission by
    itself: key by key, after reading who signed a form, or never.
    """

    name: str
    run: Run
    action: str
    needs_bucket: bool = True
    authorizes: bool = False


async def _refuse(call: Call) -> Reply:
    """Say honestly that this is not part of the emulator."""
    raise not_implemented(f"The emulator does not do {call.method} ?{'&'.join(call.query)}.")


def _op(name: str, run: Run, action: str = "") -> Operation:
    """An operation whose RAM action is its name unless another one is given."""
    return Operation(name, run, f"oss:{action or name}")


Row = dict[str, Operation]  # sub-resource → operation; "" is the request without any

_ACCOUNT_BLOCK = next(one for one in CONFIGURATIONS if one.resource == "publicAccessBlock")


def _account(make: Callable[[Configuration], Run], name: str) -> Row:
    """The row of the one setting that an account has of its own."""
    operation = Operation(name, make(_ACCOUNT_BLOCK), f"oss:{name}", needs_bucket=False)
    return {_ACCOUNT_BLOCK.resource: operation}


_SERVICE_GET: Row = {
    **_account(configurations.getter, "GetPublicAccessBlock"),
    "regions": Operation(
        "DescribeRegions", buckets.describe_regions, "oss:DescribeRegions", needs_bucket=False
    ),
    "redundancyTransition": Operation(
        "ListUserDataRedundancyTransition",
        redundancy.list_of_user,
        "oss:ListUserDataRedundancyTransition",
        needs_bucket=False,
    ),
    "qosInfo": Operation(
        "GetUserQosInfo", configurations.get_user_qos, "oss:GetUserQosInfo", needs_bucket=False
    ),
    "": Operation("ListBuckets", buckets.list_buckets, "oss:ListBuckets", needs_bucket=False),
}
_BUCKET_PUT: Row = {
    "acl": _op("PutBucketAcl", buckets.put_bucket_acl),
    "policy": _op("PutBucketPolicy", bucket_policy.put_policy),
    "versioning": _op("PutBucketVersioning", configurations.put_versioning),
    "style": _op("PutStyle", named_settings.put_style),
    "inventory": _op("PutBucketInventory", named_settings.put_inventory),
    "": Operation("PutBucket", buckets.put_bucket, "oss:PutBucket", needs_bucket=False),
}
_BUCKET_GET: Row = {
    "acl": _op("GetBucketAcl", buckets.get_bucket_acl),
    "location": _op("GetBucketLocation", buckets.get_bucket_location),
    "bucketInfo": _op("GetBucketInfo", buckets.get_bucket_info),
    "stat": _op("GetBucketStat", buckets.get_bucket_stat),
    "versions": _op("ListObjectVersions", versions.list_object_versions),
    "uploads": _op("ListMultipartUploads", upload_listing.list_uploads),
    "policy": _op("GetBucketPolicy", bucket_policy.get_policy),
    "policyStatus": _op("GetBucketPolicyStatus", bucket_policy.get_policy_status),
    "versioning": _op("GetBucketVersioning", configurations.get_versioning),
    "worm": _op("GetBucketWorm", worm.get),
    "live": _op("ListLiveChannel", live.list_channels),
    "style": _op("GetStyle", named_settings.get_style),
    "inventory": _op("GetBucketInventory", named_settings.get_inventory),
    "cname": _op("ListCname", named_settings.get_cname),
    "replication": _op("GetBucketReplication", named_settings.get_replication),
    "replicationLocation": _op(
        "GetBucketReplicationLocation", named_settings.get_replication_location
    ),
    "replicationProgress": _op(
        "GetBucketReplicationProgress", named_settings.get_replication_progress
    ),
    "redundancyTransition": _op("GetBucketDataRedundancyTransition", redundancy.get_or_list),
    "": _op("ListObjects", listing.list_objects),
}
_BUCKET_DELETE: Row = {
    "policy": _op("DeleteBucketPolicy", bucket_policy.delete_policy),
    "tagging": _op("DeleteBucketTags", configurations.delete_tags),
    "worm": _op("AbortBucketWorm", worm.abort),
    "style": _op("DeleteStyle", named_settings.delete_style),
    "inventory": _op("DeleteBucketInventory", named_settings.delete_inventory),
    "redundancyTransition": _op("DeleteBucketDataRedundancyTransition", redundancy.delete),
    "": _op("DeleteBucket", buckets.delete_bucket),
}
_BUCKET_POST: Row = {
    "delete": Operation(
        "DeleteMultipleObjects",
        deleting.delete_multiple_objects,
        "oss:DeleteObject",
        authorizes=True,
    ),
    "redundancyTransition": _op("CreateBucketDataRedundancyTransition", redundancy.create),
    "worm": _op("InitiateBucketWorm", worm.initiate),
    "wormExtend": _op("ExtendBucketWorm", worm.extend),
    "wormId": _op("CompleteBucketWorm", worm.complete),
    "cname": _op("PutCname", named_settings.post_cname),
    "replication": _op("PutBucketReplication", named_settings.post_replication),
    "": Operation("PostObject", post_form.post_object, "oss:PutObject", authorizes=True),
}
_OBJECT_GET: Row = {
    "uploadId": _op("ListParts", upload_listing.list_parts),
    "acl": _op("GetObjectAcl", object_settings.get_object_acl),
    "tagging": _op("GetObjectTagging", object_settings.get_object_tagging),
    "symlink": _op("GetSymlink", symlinks.get_symlink, "GetObject"),
    "objectMeta": _op("GetObjectMeta", reading.get_object_meta, "GetObject"),
    "live": _op("GetLiveChannelInfo", live.get_channel, "GetLiveChannel"),
    "vod": _op("GetVodPlaylist", live.no_recording),
    "": _op("GetObject", reading.get_object),
}
_OBJECT_PUT: Row = {
    "acl": _op("PutObjectAcl", object_settings.put_object_acl),
    "tagging": _op("PutObjectTagging", object_settings.put_object_tagging),
    "symlink": _op("PutSymlink", symlinks.put_symlink, "PutObject"),
    "uploadId": _op("UploadPart", multipart.upload_part, "PutObject"),
    "live": _op("PutLiveChannel", live.put_channel),
    "": _op("PutObject", writing.put_object),
}
_OBJECT_POST: Row = {
    "append": _op("AppendObject", writing.append_object, "PutObject"),
    "uploads": _op("InitiateMultipartUpload", multipart.initiate, "PutObject"),
    "uploadId": _op("CompleteMultipartUpload", multipart.complete, "PutObject"),
    "restore": _op("RestoreObject", object_settings.restore_object),
    "cleanRestoredObject": _op("CleanRestoredObject", object_settings.clean_restored_object),
    "vod": _op("PostVodPlaylist", live.no_recording),
    "x-oss-process": _op("ProcessObject", _refuse, "GetObject"),
    "x-oss-async-process": _op("AsyncProcessObject", _refuse, "GetObject"),
}
_OBJECT_DELETE: Row = {
    "uploadId": _op("AbortMultipartUpload", multipart.abort),
    "tagging": _op("DeleteObjectTagging", object_settings.delete_object_tagging),
    "live": _op("DeleteLiveChannel", live.delete_channel),
    "": _op("DeleteObject", deleting.delete_object),
}
_HEAD: Row = {
    "objectMeta": _op("GetObjectMeta", reading.get_object_meta, "GetObject"),
    "": _op("HeadObject", reading.head_object, "GetObject"),
}
_PREFLIGHT: Row = {"": Operation("OptionObject", cors.preflight, "", authorizes=True)}

_TABLE: dict[tuple[str, str], Row] = {
    ("GET", SERVICE): _SERVICE_GET,
    ("PUT", SERVICE): _account(configurations.putter, "PutPublicAccessBlock"),
    ("POST", SERVICE): {},
    ("DELETE", SERVICE): _account(configurations.deleter, "DeletePublicAccessBlock"),
    ("PUT", BUCKET): _BUCKET_PUT,
    ("GET", BUCKET): _BUCKET_GET,
    ("DELETE", BUCKET): _BUCKET_DELETE,
    ("POST", BUCKET): _BUCKET_POST,
    ("OPTIONS", BUCKET): _PREFLIGHT,
    ("GET", OBJECT): _OBJECT_GET,
    ("HEAD", OBJECT): _HEAD,
    ("PUT", OBJECT): _OBJECT_PUT,
    ("POST", OBJECT): _OBJECT_POST,
    ("DELETE", OBJECT): _OBJECT_DELETE,
    ("OPTIONS", OBJECT): _PREFLIGHT,
}
for _one in CONFIGURATIONS:
    _BUCKET_PUT.setdefault(_one.resource, _op(f"Put{_one.noun}", configurations.putter(_one)))
    _BUCKET_GET.setdefault(_one.resource, _op(f"Get{_one.noun}", configurations.getter(_one)))
    if _one.deletable:
        _BUCKET_DELETE.setdefault(
            _one.resource, _op(f"Delete{_one.noun}", configurations.deleter(_one))
        )

# Known to OSS and not to the emulator: without these names such a request would pass for the
# plain one, and a PUT of a data-accelerator's settings would create a bucket.
_REFUSED = {
    SERVICE: ("accessPoint", "cloudboxes", "redundancyTransition", "resourcePool"),
    BUCKET: (
        "accessPoint",
        "accessPointConfigForObjectProcess",
        "accessPointPolicy",
        "asyncFetch",
        "dataAccelerator",
        "dataPipeline",
        "dataProcessPipelineConfiguration",
        "metaQuery",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "objectWorm",
        "overwriteConfig",
        "quota",
        "redundancyTransition",
        "requesterQosInfo",
        "resourcePool",
        "resourcePoolInfo",
        "rtc",
    ),
    OBJECT: ("legalHold", "retention", "seal"),
}
for (_method, _level), _row in _TABLE.items():
    for _name in _REFUSED[_level] if _method != "OPTIONS" else ():
        _row.setdefault(
            _name, Operation("Unsupported", _refuse, "oss:Unsupported", needs_bucket=False)
        )

_LIST_V2 = _op("ListObjectsV2", listing.list_objects_v2, "ListObjects")
_COPY = _op("CopyObject", copying.copy_object, "PutObject")
_COPY_PART = _op("UploadPartCopy", copying.upload_part_copy, "PutObject")
_CHANNEL_STATUS = _op("PutLiveChannelStatus", live.put_status)


def find(
    method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation:
    """The operation a request asks for.

    Raises:
        OssFault: MethodNotAllowed.
    """
    level = OBJECT if key else BUCKET if bucket else SERVICE
    row = _TABLE.get((method, level), {})
    chosen = ""
    if len(query) == 1:
        (name,) = query
        chosen = name if name in row else ""
    elif query:
        chosen = next((name for name in row if name and name in query), "")
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
        case "PutLiveChannel" if "status" in query:
            return _CHANNEL_STATUS
        case _:
            return operation
