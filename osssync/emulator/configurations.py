"""Bucket sub-resources that are one document each: put, get, delete, all by one table.

Most are only kept and read back; versioning, encryption, website and CORS also act. Bucket
policies are JSON and have a module of their own.
Source: help.aliyun.com, "Operations on buckets" and the error codes of each (read 2026-11).
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from osssync.emulator import configuration_rules as rules
from osssync.emulator.buckets import RESOURCE_GROUP
from osssync.emulator.call import Call, Reply, xml_reply
from osssync.emulator.checksums import content_md5
from osssync.emulator.errors import OssFault
from osssync.emulator.lifecycle_rules import check_overlaps, lifecycle
from osssync.emulator.xml import document, leaf, parse, render, tree

_MAX_BODY_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Missing:
    """The answer while nothing is set."""

    code: str
    message: str
    ec: str

    def fault(self, bucket: str) -> OssFault:
        """The answer for one bucket."""
        return OssFault(404, self.code, self.message, ec=self.ec, extra={"BucketName": bucket})


@dataclass(frozen=True, slots=True)
class Configuration:
    """One sub-resource.

    ``noun`` makes the operations' names: PutBucketCors, GetBucketCors, DeleteBucketCors.
    ``missing`` is a fault, or the document OSS answers while nothing is set. ``check`` may also
    fill in what OSS fills in.
    """

    resource: str
    noun: str
    root: str
    missing: Missing | str
    check: Callable[[Element], None] = rules.anything
    deletable: bool = True


_NO_REFERER = tree(
    "RefererConfiguration",
    leaf("AllowEmptyReferer", "true"),
    leaf("AllowTruncateQueryString", "true"),
    leaf("TruncatePath", "false"),
    tree("RefererList"),
)

CONFIGURATIONS = (
    Configuration(
        "cors",
        "BucketCors",
        "CORSConfiguration",
        Missing(
            "NoSuchCORSConfiguration", "The CORS Configuration does not exist.", "0034-00000001"
        ),
        rules.cors,
    ),
    Configuration(
        "lifecycle",
        "BucketLifecycle",
        "LifecycleConfiguration",
        Missing("NoSuchLifecycle", "No Row found in Lifecycle Table.", "0036-00000001"),
        lifecycle,
    ),
    Configuration(
        "website",
        "BucketWebsite",
        "WebsiteConfiguration",
        Missing(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration.",
            "0038-00000001",
        ),
        rules.website,
    ),
    Configuration("logging", "BucketLogging", "BucketLoggingStatus", tree("BucketLoggingStatus")),
    Configuration(
        "referer",
        "BucketReferer",
        "RefererConfiguration",
        _NO_REFERER,
        rules.referer,
        deletable=False,
    ),
    Configuration(
        "encryption",
        "BucketEncryption",
        "ServerSideEncryptionRule",
        Missing(
            "NoSuchServerSideEncryptionRule",
            "The server side encryption configuration was not found.",
            "0025-00000101",
        ),
        rules.encryption,
    ),
    Configuration(
        "tagging", "BucketTags", "Tagging", tree("Tagging", tree("TagSet")), rules.tagging
    ),
    Configuration(
        "requestPayment",
        "BucketRequestPayment",
        "RequestPaymentConfiguration",
        tree("RequestPaymentConfiguration", leaf("Payer", "BucketOwner")),
        rules.payment,
        deletable=False,
    ),
    Configuration(
        "transferAcceleration",
        "BucketTransferAcceleration",
        "TransferAccelerationConfiguration",
        Missing(
            "NoSuchTransferAccelerationConfiguration",
            "The specified bucket does not have a transfer acceleration configuration.",
            "0055-00000001",
        ),
        rules.enabled,
        deletable=False,
    ),
    Configuration(
        "accessmonitor",
        "BucketAccessMonitor",
        "AccessMonitorConfiguration",
        tree("AccessMonitorConfiguration", leaf("Status", "Disabled")),
        rules.status,
        deletable=False,
    ),
    Configuration(
        "resourceGroup",
        "BucketResourceGroup",
        "BucketResourceGroupConfiguration",
        tree("BucketResourceGroupConfiguration", leaf("ResourceGroupId", RESOURCE_GROUP)),
        rules.resource_group,
        deletable=False,
    ),
    Configuration(
        "qosInfo",
        "BucketQosInfo",
        "QoSConfiguration",
        Missing("NoSuchQosInfo", "The specified bucket has no QoS information.", "0053-00000001"),
        rules.qos,
    ),
    Configuration(
        "publicAccessBlock",
        "BucketPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        tree("PublicAccessBlockConfiguration", leaf("BlockPublicAccess", "false")),
        rules.access_block,
    ),
    Configuration(
        "bucketArchiveDirectRead",
        "BucketArchiveDirectRead",
        "ArchiveDirectReadConfiguration",
        tree("ArchiveDirectReadConfiguration", leaf("Enabled", "false")),
        rules.enabled,
        deletable=False,
    ),
    Configuration(
        "httpsConfig",
        "BucketHttpsConfig",
        "HttpsConfiguration",
        Missing("NoSuchHttpsConfig", "The specified bucket has no https config.", "0068-00000001"),
        rules.https,
        deletable=False,
    ),
    Configuration(
        "userDefinedLogFieldsConfig",
        "UserDefinedLogFieldsConfig",
        "UserDefinedLogFieldsConfiguration",
        Missing(
            "NoSuchUserDefinedLogFieldsConfig",
            "The specified bucket has no user defined log fields.",
            "0039-00000101",
        ),
    ),
    Configuration(
        "qos",
        "BucketStorageCapacity",
        "BucketUserQos",
        tree("BucketUserQos", leaf("StorageCapacity", -1)),
        rules.capacity,
        deletable=False,
    ),
    Configuration(
        "callbackPolicy",
        "BucketCallbackPolicy",
        "BucketCallbackPolicy",
        Missing(
            "BucketCallbackPolicyNotExist",
            "The specified bucket has no callback policy.",
            "0007-00000041",
        ),
    ),
)

Run = Callable[[Call], Awaitable[Reply]]


async def body_of(call: Call, limit: int = _MAX_BODY_BYTES) -> bytes:
    """The body of a configuration request, once it agrees with its Content-MD5.

    Raises:
        OssFault: InvalidDigest.
    """
    announced = content_md5(call)
    body = await call.body.read(limit)
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    if announced is not None and announced != digest:
        text = "The Content-MD5 you specified did not match what we received."
        extra = {"ServerMD5": base64.b64encode(digest).decode()}
        raise OssFault(400, "InvalidDigest", text, ec="0017-00000503", extra=extra)
    return body


def keep(call: Call, name: str, text: str) -> None:
    """Store a document of the bucket."""
    with call.objects.lock:
        bucket = call.the_bucket()
        bucket.configurations[name] = text
        call.objects.save(bucket)


def forget(call: Call, name: str) -> None:
    """Drop a document of the bucket; nothing happens if there is none."""
    with call.objects.lock:
        bucket = call.the_bucket()
        if bucket.configurations.pop(name, None) is not None:
            call.objects.save(bucket)


def putter(one: Configuration) -> Run:
    """What puts a configuration."""

    async def put(call: Call) -> Reply:
        root = parse(await body_of(call), one.root)
        for element in root.iter():
            if element.text in {"True", "False"}:  # as Python's SDK writes some of its switches
                element.text = element.text.lower()
        one.check(root)
        _check_with(call, one, root)
        keep(call, one.resource, render(root))
        return Reply()

    return put


def _check_with(call: Call, one: Configuration, root: Element) -> None:
    """The rules that need more than the document: other buckets, or a header."""
    overlap = call.header("x-oss-allow-same-action-overlap").lower() == "true"
    if one.resource == "lifecycle" and not overlap:
        check_overlaps(root)
    target = root.findtext("LoggingEnabled/TargetBucket")
    if one.resource == "logging" and target and target not in call.objects.buckets:
        text = "The target bucket for logging does not exist"
        extra = {"TargetBucket": target}
        raise OssFault(400, "InvalidTargetBucketForLogging", text, ec="0039-00000001", extra=extra)


def getter(one: Configuration) -> Run:
    """What reads a configuration back."""

    async def get(call: Call) -> Reply:
        text = call.the_bucket().configurations.get(one.resource)
        if text is None:
            if isinstance(one.missing, Missing):
                raise one.missing.fault(call.bucket)
            text = one.missing
        return xml_reply(document(text))

    return get


def deleter(one: Configuration) -> Run:
    """What deletes a configuration; deleting none succeeds."""

    async def delete(call: Call) -> Reply:
        forget(call, one.resource)
        return Reply(204)

    return delete


# Documents with a shape or an effect of their own


async def put_versioning(call: Call) -> Reply:
    """PutBucketVersioning: from now on; versions that are there stay."""
    root = parse(await body_of(call), "VersioningConfiguration")
    status = rules.one_of(root, "Status", frozenset({"Enabled", "Suspended"}))
    with call.objects.lock:
        bucket = call.the_bucket()
        if "worm" in bucket.configurations:
            text = "Versioning cannot be changed while the bucket has a WORM configuration."
            raise OssFault(400, "InvalidArgument", text, ec="0059-00000001")
        bucket.versioning = status
        call.objects.save(bucket)
    return Reply()


async def get_versioning(call: Call) -> Reply:
    """GetBucketVersioning: no status if it was never enabled."""
    status = call.the_bucket().versioning
    root = tree("VersioningConfiguration", leaf("Status", status) if status else "")
    return xml_reply(document(root))


async def delete_tags(call: Call) -> Reply:
    """DeleteBucketTags: all, or those that ``?tagging=a,b`` names."""
    names = {name for name in call.parameter("tagging").split(",") if name}
    with call.objects.lock:
        text = call.the_bucket().configurations.get("tagging")
        if text is None or not names:
            forget(call, "tagging")
            return Reply(204)
        root = parse(text.encode(), "Tagging")
        tags = root.find("TagSet")
        for tag in root.findall("TagSet/Tag"):
            if tags is not None and tag.findtext("Key") in names:
                tags.remove(tag)
        keep(call, "tagging", render(root))
    return Reply(204)


_ACCOUNT_QOS = tree(
    "QoSConfiguration",
    leaf("Region", "{region}"),
    *(
        leaf(f"{net}{what}", rules.QOS_LIMIT if what != "Qps" else -1)
        for what in ("UploadBandwidth", "DownloadBandwidth", "Qps")
        for net in ("Total", "Intranet", "Extranet")
    ),
)


async def get_user_qos(call: Call) -> Reply:
    """GetUserQosInfo: the account's limits."""
    return xml_reply(document(_ACCOUNT_QOS.replace("{region}", f"oss-{call.region}")))
