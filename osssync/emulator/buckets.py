"""Buckets and the service above them: create, delete, describe, list.

Source: help.aliyun.com, ListBuckets, DescribeRegions, PutBucket, DeleteBucket, GetBucketInfo,
GetBucketLocation, GetBucketStat, PutBucketAcl, GetBucketAcl (read 2026-11).
"""

import re
from collections import Counter

from osssync.emulator.authority import ACCOUNT_ID
from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.errors import OssFault
from osssync.emulator.listing import OWNER
from osssync.emulator.moments import extended
from osssync.emulator.objects import Bucket
from osssync.emulator.records import STORAGE_CLASSES
from osssync.emulator.xml import document, leaf, malformed, parse, text_of, tree

BUCKET_ACLS = frozenset({"private", "public-read", "public-read-write"})
RESOURCE_GROUP = "rg-acfmv3f6ce4****"
REGIONS = (
    "ap-northeast-1", "ap-southeast-1", "cn-beijing", "cn-chengdu", "cn-hangzhou", "cn-hongkong",
    "cn-shanghai", "cn-shenzhen", "eu-central-1", "us-east-1", "us-west-1",
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[a-z0-9-]{0,63}")
_REDUNDANCIES = frozenset({"LRS", "ZRS"})


def check_bucket_name(name: str) -> None:
    """Refuse a name that no bucket can have.

    Raises:
        OssFault: InvalidBucketName.
    """
    if not _NAME.fullmatch(name):
        text = "The specified bucket is not valid."
        extra = {"BucketName": name}
        raise OssFault(400, "InvalidBucketName", text, ec="0015-00000001", extra=extra)


async def list_buckets(call: Call) -> Reply:
    """ListBuckets, by name."""
    prefix, marker = call.parameter("prefix"), call.parameter("marker")
    if not _PREFIX.fullmatch(prefix):  # the Go SDK's IsBucketExist rests on this
        raise invalid_argument("The prefix is not that of a bucket's name.", "prefix", prefix)
    limit = call.number("max-keys", 100, 1, 1000)
    with call.objects.lock:
        names = sorted(
            name
            for name, bucket in call.objects.buckets.items()
            if name.startswith(prefix) and name > marker and _is_tagged(call, bucket)
        )
        shown = [call.objects.buckets[name] for name in names[:limit]]
    truncated = len(names) > limit
    root = tree(
        "ListAllMyBucketsResult",
        OWNER,
        leaf("Prefix", prefix),
        leaf("Marker", marker),
        leaf("MaxKeys", limit),
        leaf("IsTruncated", "true" if truncated else "false"),
        leaf("NextMarker", shown[-1].name) if truncated else "",
        tree("Buckets", *(_listed(bucket) for bucket in shown)),
    )
    return xml_reply(document(root))


def _is_tagged(call: Call, bucket: Bucket) -> bool:
    """Whether a bucket has the tag that ``tag-key`` and ``tag-value`` ask for."""
    key, value = call.parameter("tag-key"), call.parameter("tag-value")
    if not key:
        return True
    text = bucket.configurations.get("tagging", "")
    tag = leaf("Key", key) + (leaf("Value", value) if value else "")
    return tag in text


def _listed(bucket: Bucket) -> str:
    return tree(
        "Bucket",
        leaf("CreationDate", extended(bucket.created_s)),
        leaf("ExtranetEndpoint", f"{bucket.location}.aliyuncs.com"),
        leaf("IntranetEndpoint", f"{bucket.location}-internal.aliyuncs.com"),
        leaf("Location", bucket.location),
        leaf("Name", bucket.name),
        leaf("Region", bucket.location.removeprefix("oss-")),
        leaf("StorageClass", bucket.storage_class),
        leaf("ResourceGroupId", RESOURCE_GROUP),
    )


async def describe_regions(call: Call) -> Reply:
    """DescribeRegions: a part of the public ones, the emulator's own among them."""
    own = f"oss-{call.world.settings.region}"
    known = sorted({own, *(f"oss-{region}" for region in REGIONS)})
    wanted = call.parameter("regions")
    if wanted and wanted not in known:
        text = "The specified region does not exist."
        raise OssFault(404, "NoSuchRegion", text, ec="0022-00000101")
    shown = (_region(name) for name in known if wanted in {"", name})
    return xml_reply(document(tree("RegionInfoList", *shown)))


def _region(name: str) -> str:
    return tree(
        "RegionInfo",
        leaf("Region", name),
        leaf("InternetEndpoint", f"{name}.aliyuncs.com"),
        leaf("InternalEndpoint", f"{name}-internal.aliyuncs.com"),
        leaf("AccelerateEndpoint", "oss-accelerate.aliyuncs.com"),
    )


async def put_bucket(call: Call) -> Reply:
    """PutBucket. One's own bucket may be put again, with its class unchanged."""
    check_bucket_name(call.bucket)
    acl = call.header("x-oss-acl")
    if acl and acl not in BUCKET_ACLS:
        raise invalid_argument("no such bucket access control exists", "x-oss-acl", acl)
    storage_class, redundancy = _creation(await call.body.read())
    with call.objects.lock:
        exists = call.bucket in call.objects.buckets
        bucket = call.objects.create_bucket(call.bucket, f"oss-{call.region}")
        if exists and storage_class and storage_class != bucket.storage_class:
            text = "The bucket you tried to create already exists with another storage class."
            raise OssFault(409, "BucketAlreadyExists", text, ec="0015-00000104")
        if not exists:
            bucket.storage_class = storage_class or "Standard"
            bucket.redundancy = redundancy or "LRS"
        if not exists and (rule := _encryption_rule(call)):
            bucket.configurations["encryption"] = rule
        bucket.acl = acl or bucket.acl
        call.objects.save(bucket)
    return Reply(headers={"Location": f"/{bucket.name}"})


def _encryption_rule(call: Call) -> str:
    """The default encryption that the headers of PutBucket ask for; empty if they do not."""
    if not call.header("x-oss-server-side-encryption"):
        return ""
    names = {
        "SSEAlgorithm": "x-oss-server-side-encryption",
        "KMSMasterKeyID": "x-oss-server-side-encryption-key-id",
        "KMSDataEncryption": "x-oss-server-side-data-encryption",
    }
    shown = [
        leaf(name, call.header(header)) for name, header in names.items() if call.header(header)
    ]
    return tree("ServerSideEncryptionRule", tree("ApplyServerSideEncryptionByDefault", *shown))


def _creation(body: bytes) -> tuple[str, str]:
    """Storage class and redundancy type of a CreateBucketConfiguration; empty if not given."""
    if not body.strip():
        return "", ""
    root = parse(body, "CreateBucketConfiguration")
    storage_class = text_of(root, "StorageClass").strip()
    redundancy = text_of(root, "DataRedundancyType").strip()
    if storage_class and storage_class not in STORAGE_CLASSES:
        raise malformed()
    if redundancy and redundancy not in _REDUNDANCIES:
        raise malformed()
    return storage_class, redundancy


async def delete_bucket(call: Call) -> Reply:
    """DeleteBucket: only an empty one, without unfinished uploads."""
    with call.objects.lock:
        bucket = call.the_bucket()
        if bucket.versions:
            text = "The bucket you tried to delete is not empty."
            extra = {"BucketName": bucket.name}
            raise OssFault(409, "BucketNotEmpty", text, ec="0015-00000301", extra=extra)
        if bucket.uploads:
            text = "The bucket has list multipart uploads, please abort them first."
            extra = {"BucketName": bucket.name}
            raise OssFault(409, "BucketNotEmpty", text, ec="0015-00000302", extra=extra)
        call.objects.drop_bucket(bucket.name)
    return Reply(204)


async def get_bucket_location(call: Call) -> Reply:
    """GetBucketLocation."""
    return xml_reply(document(leaf("LocationConstraint", call.the_bucket().location)))


async def get_bucket_info(call: Call) -> Reply:
    """GetBucketInfo."""
    bucket = call.the_bucket()
    kept = bucket.configurations
    acceleration = _says(kept.get("transferAcceleration", ""), "true")
    monitor = _says(kept.get("accessmonitor", ""), "Enabled")
    blocked = _says(kept.get("publicAccessBlock", ""), "true")
    described = tree(
        "Bucket",
        leaf("AccessMonitor", "Enabled" if monitor else "Disabled"),
        leaf("BlockPublicAccess", "true" if blocked else "false"),
        leaf("Comment", ""),
        leaf("CreationDate", extended(bucket.created_s)),
        leaf("CrossRegionReplication", "Enabled" if "replication" in kept else "Disabled"),
        leaf("DataRedundancyType", bucket.redundancy),
        leaf("ExtranetEndpoint", f"{bucket.location}.aliyuncs.com"),
        leaf("IntranetEndpoint", f"{bucket.location}-internal.aliyuncs.com"),
        leaf("Location", bucket.location),
        leaf("Name", bucket.name),
        leaf("ResourceGroupId", RESOURCE_GROUP),
        leaf("StorageClass", bucket.storage_class),
        leaf("TransferAcceleration", "Enabled" if acceleration else "Disabled"),
        leaf("Versioning", bucket.versioning) if bucket.versioning else "",
        tree("Owner", leaf("DisplayName", ACCOUNT_ID), leaf("ID", ACCOUNT_ID)),
        tree("AccessControlList", leaf("Grant", bucket.acl)),
        _encryption_of(kept.get("encryption", "")),
        tree("BucketPolicy", leaf("LogBucket", ""), leaf("LogPrefix", "")),
    )
    return xml_reply(document(tree("BucketInfo", described)))


def _says(text: str, value: str) -> bool:
    return f">{value}<" in text


def _encryption_of(text: str) -> str:
    if not text:
        return tree("ServerSideEncryptionRule", leaf("SSEAlgorithm", "None"))
    default = parse(text.encode()).find("ApplyServerSideEncryptionByDefault")
    names = ("SSEAlgorithm", "KMSMasterKeyID", "KMSDataEncryption")
    shown = [
        leaf(name, default.findtext(name) or "")
        for name in names
        if default is not None and default.findtext(name)
    ]
    return tree("ServerSideEncryptionRule", *shown)


async def get_bucket_stat(call: Call) -> Reply:
    """GetBucketStat. OSS counts with a delay, the emulator at once."""
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    with call.objects.lock:
        bucket = call.the_bucket()
        for versions in bucket.versions.values():
            for version in versions:
                sizes[version.storage_class] += version.size
                counts[version.storage_class] += not version.is_marker
        uploads = len(bucket.uploads)
    root = tree(
        "BucketStat",
        leaf("Storage", sum(sizes.values())),
        leaf("ObjectCount", sum(counts.values())),
        leaf("MultipartUploadCount", uploads),
        leaf("LiveChannelCount", 0),
        leaf("LastModifiedTime", int(call.now_s)),
        leaf("StandardStorage", sizes["Standard"]),
        leaf("StandardObjectCount", counts["Standard"]),
        *_class_stat("InfrequentAccess", sizes["IA"], counts["IA"]),
        *_class_stat("Archive", sizes["Archive"], counts["Archive"]),
        *_class_stat("ColdArchive", sizes["ColdArchive"], counts["ColdArchive"]),
        *_class_stat("DeepColdArchive", sizes["DeepColdArchive"], counts["DeepColdArchive"]),
        leaf("MultipartPartCount", sum(len(one.parts) for one in bucket.uploads.values())),
        leaf("DeleteMarkerCount", _markers(bucket)),
    )
    return xml_reply(document(root))


def _class_stat(name: str, size: int, count: int) -> tuple[str, str, str]:
    return (
        leaf(f"{name}Storage", size),
        leaf(f"{name}RealStorage", size),
        leaf(f"{name}ObjectCount", count),
    )


def _markers(bucket: Bucket) -> int:
    return sum(version.is_marker for found in bucket.versions.values() for version in found)


async def put_bucket_acl(call: Call) -> Reply:
    """PutBucketAcl: by header, or by body as some clients do."""
    acl = call.header("x-oss-acl")
    if not acl:
        body = await call.body.read()
        acl = text_of(parse(body), "AccessControlList/Grant") if body.strip() else ""
    if acl not in BUCKET_ACLS:
        text = "no such bucket access control exists"
        raise invalid_argument(text, "x-oss-acl", acl, ec="0015-00000204")
    with call.objects.lock:
        bucket = call.the_bucket()
        bucket.acl = acl
        call.objects.save(bucket)
    return Reply()


async def get_bucket_acl(call: Call) -> Reply:
    """GetBucketAcl."""
    grant = tree("AccessControlList", leaf("Grant", call.the_bucket().acl))
    return xml_reply(document(tree("AccessControlPolicy", OWNER, grant)))
