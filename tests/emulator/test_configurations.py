"""Buckets and everything that can be configured about them, over the wire."""

import base64
import hashlib
from urllib.parse import quote

import pytest

from tests.emulator.client import emulated


@pytest.fixture(scope="module")
def client():
    with emulated() as client:
        yield client


@pytest.fixture
def fresh(client):
    """A bucket of its own for one test."""
    client.bucket = "fresh"
    client.ask("PUT")
    yield client
    client.emulator.objects.buckets.pop("fresh", None)
    client.bucket = "bucket"


DOCUMENTS = {
    "cors": "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>"
    "<AllowedMethod>GET</AllowedMethod></CORSRule><ResponseVary>false</ResponseVary>"
    "</CORSConfiguration>",
    "lifecycle": "<LifecycleConfiguration><Rule><ID>one</ID><Prefix>a/</Prefix>"
    "<Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>"
    "</LifecycleConfiguration>",
    "website": "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
    "</WebsiteConfiguration>",
    "logging": "<BucketLoggingStatus><LoggingEnabled><TargetBucket>bucket</TargetBucket>"
    "<TargetPrefix>log/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>",
    "encryption": "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault>"
    "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
    "</ServerSideEncryptionRule>",
    "tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>",
    "requestPayment": "<RequestPaymentConfiguration><Payer>Requester</Payer>"
    "</RequestPaymentConfiguration>",
    "transferAcceleration": "<TransferAccelerationConfiguration><Enabled>true</Enabled>"
    "</TransferAccelerationConfiguration>",
    "accessmonitor": "<AccessMonitorConfiguration><Status>Enabled</Status>"
    "</AccessMonitorConfiguration>",
    "publicAccessBlock": "<PublicAccessBlockConfiguration><BlockPublicAccess>true"
    "</BlockPublicAccess></PublicAccessBlockConfiguration>",
    "bucketArchiveDirectRead": "<ArchiveDirectReadConfiguration><Enabled>true</Enabled>"
    "</ArchiveDirectReadConfiguration>",
    "httpsConfig": "<HttpsConfiguration><TLS><Enable>true</Enable><TLSVersion>TLSv1.2</TLSVersion>"
    "</TLS></HttpsConfiguration>",
    "versioning": "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "userDefinedLogFieldsConfig": "<UserDefinedLogFieldsConfiguration><ParamSet>"
    "<parameter>x</parameter></ParamSet></UserDefinedLogFieldsConfiguration>",
}


@pytest.mark.parametrize("resource", DOCUMENTS)
def test_a_configuration_reads_back_as_it_was_put(fresh, resource):
    """The document itself, without namespaces and with nothing lost."""
    document = DOCUMENTS[resource]
    root = document[1 : document.index(">")]
    sent = document.replace(
        f"<{root}>", f'<{root} xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">\n', 1
    )

    assert 200 == fresh.configure(resource, sent).status
    assert document == fresh.get("", resource).body.decode().partition("\n")[2]


MISSING = {
    "cors": "NoSuchCORSConfiguration",
    "lifecycle": "NoSuchLifecycle",
    "website": "NoSuchWebsiteConfiguration",
    "encryption": "NoSuchServerSideEncryptionRule",
    "policy": "NoSuchBucketPolicy",
    "worm": "NoSuchWORMConfiguration",
    "transferAcceleration": "NoSuchTransferAccelerationConfiguration",
    "inventory": "NoSuchInventory",
    "replication": "NoSuchReplicationConfiguration",
    "policy&comp=callback": "BucketCallbackPolicyNotExist",
}


@pytest.mark.parametrize("resource", MISSING)
def test_what_was_never_set_has_its_own_error(fresh, resource):
    """404 with the code that clients look for, before and after a deletion."""
    assert (404, MISSING[resource]) == fresh.get("", resource).outcome
    if resource not in {"worm", "transferAcceleration", "replication"}:
        assert 204 == fresh.delete("", resource).status


DEFAULTS = {
    "logging": ("LoggingEnabled", None),
    "referer": ("AllowEmptyReferer", "true"),
    "requestPayment": ("Payer", "BucketOwner"),
    "versioning": ("Status", None),
    "accessmonitor": ("Status", "Disabled"),
    "tagging": ("TagSet/Tag", None),
    "publicAccessBlock": ("BlockPublicAccess", "false"),
    "qos": ("StorageCapacity", "-1"),
    "live": ("IsTruncated", "false"),
    "cname": ("Bucket", "fresh"),
}


@pytest.mark.parametrize("resource", DEFAULTS)
def test_other_things_have_defaults(fresh, resource):
    """200 with what OSS answers while nothing is set."""
    path, text = DEFAULTS[resource]

    answer = fresh.get("", resource)

    assert (200, text) == (answer.status, answer.text(path))


def rule(*children):
    return (
        "<LifecycleConfiguration><Rule><Prefix>a</Prefix><Status>Enabled</Status>"
        f"{''.join(children)}</Rule></LifecycleConfiguration>"
    )


EXPIRES = "<Expiration><Days>{}</Days></Expiration>"
MOVES = "<Transition><Days>{}</Days><StorageClass>{}</StorageClass></Transition>"
WRONG = [
    ("cors", "<CORSConfiguration/>", "MalformedXML"),
    ("cors", "<LifecycleConfiguration/>", "MalformedXML"),
    (
        "cors",
        DOCUMENTS["cors"].replace(">GET<", ">PATCH<"),
        "InvalidArgument",
    ),
    ("cors", DOCUMENTS["cors"].replace(">*<", ">*.*<"), "InvalidArgument"),
    (
        "cors",
        DOCUMENTS["cors"].replace("</CORSRule>", "<MaxAgeSeconds>-1</MaxAgeSeconds></CORSRule>"),
        "InvalidArgument",
    ),
    ("lifecycle", rule(), "MalformedXML"),
    ("lifecycle", rule(EXPIRES.format(0)), "InvalidArgument"),
    ("lifecycle", rule(EXPIRES.format(3), MOVES.format(4, "IA")), "InvalidArgument"),
    (
        "lifecycle",
        rule(EXPIRES.format(9), MOVES.format(4, "IA"), MOVES.format(3, "Archive")),
        "InvalidArgument",
    ),
    ("lifecycle", rule(MOVES.format(4, "Standard")), "InvalidArgument"),
    (
        "lifecycle",
        rule("<Expiration><Date>2050-01-01T01:00:00Z</Date></Expiration>"),
        "InvalidArgument",
    ),
    (
        "lifecycle",
        rule(
            "<Expiration><Date>2050-01-01T00:00:00Z</Date></Expiration>",
            MOVES.format(3, "IA"),
        ),
        "InvalidRequest",
    ),
    ("website", "<WebsiteConfiguration/>", "MalformedXML"),
    ("website", DOCUMENTS["website"].replace("index", "a/index"), "InvalidArgument"),
    ("referer", "<RefererConfiguration/>", "MalformedXML"),
    (
        "encryption",
        DOCUMENTS["encryption"].replace("AES256", "ROT13"),
        "InvalidEncryptionAlgorithmError",
    ),
    (
        "logging",
        DOCUMENTS["logging"].replace(">bucket<", ">none<"),
        "InvalidTargetBucketForLogging",
    ),
    ("tagging", DOCUMENTS["tagging"].replace(">a<", "><"), "InvalidTag"),
    ("accessmonitor", DOCUMENTS["accessmonitor"].replace("Enabled", "On"), "MalformedXML"),
    ("httpsConfig", DOCUMENTS["httpsConfig"].replace("TLSv1.2", "SSLv3"), "MalformedXML"),
    ("policy", "not JSON", "InvalidPolicyDocument"),
    ("policy", '{"Version": "1", "Statement": []}', "InvalidPolicyDocument"),
    (
        "resourceGroup",
        (
            "<BucketResourceGroupConfiguration><ResourceGroupId>rg-x</ResourceGroupId>"
            "</BucketResourceGroupConfiguration>"
        ),
        "ResourceGroupIdPreCheckError",
    ),
]


@pytest.mark.parametrize(("resource", "document", "code"), WRONG)
def test_a_wrong_document_is_refused_and_changes_nothing(fresh, resource, document, code):
    """400, and what was read before is read after."""
    before = fresh.get("", resource)

    assert (400, code) == fresh.configure(resource, document).outcome
    assert before.outcome == fresh.get("", resource).outcome


def test_an_invalid_argument_says_which(fresh):
    """Name and value are elements of the error, as SDKs expect."""
    document = DOCUMENTS["cors"].replace(
        "</CORSRule>", "<MaxAgeSeconds>-1</MaxAgeSeconds></CORSRule>"
    )

    answer = fresh.configure("cors", document)

    assert ("MaxAgeSeconds", "-1") == (answer.text("ArgumentName"), answer.text("ArgumentValue"))


def test_lifecycle_rules_may_overlap_only_when_allowed(fresh):
    """A header allows what is otherwise a mistake; rules without an id get one."""
    one = rule(EXPIRES.format(3))
    two = one.replace("</LifecycleConfiguration>", "") + one.replace("<LifecycleConfiguration>", "")
    allowed = {"x-oss-allow-same-action-overlap": "true"}

    assert (400, "InvalidArgument") == fresh.configure("lifecycle", two).outcome
    assert 200 == fresh.ask("PUT", "", "lifecycle", allowed, two.encode()).status
    assert ["rule-1", "rule-2"] == fresh.get("", "lifecycle").texts("Rule/ID")


def test_a_configuration_is_checked_against_its_md5(fresh):
    """A document that was damaged on the way is not taken."""
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}

    answer = fresh.ask("PUT", "", "cors", headers, DOCUMENTS["cors"].encode())

    assert (400, "InvalidDigest") == answer.outcome


def test_tags_can_be_deleted_one_by_one(fresh):
    """``?tagging=a`` takes a away; ``?tagging`` everything."""
    tags = "".join(f"<Tag><Key>{key}</Key><Value>1</Value></Tag>" for key in "abc")
    fresh.configure("tagging", f"<Tagging><TagSet>{tags}</TagSet></Tagging>")

    fresh.delete("", "tagging=a%2Cb")

    assert ["c"] == fresh.get("", "tagging").texts("TagSet/Tag/Key")
    fresh.delete("", "tagging")
    assert [] == fresh.get("", "tagging").texts("TagSet/Tag")


def test_the_default_encryption_is_that_of_new_objects(fresh):
    """Objects that ask for nothing get what the bucket says, and say so."""
    document = DOCUMENTS["encryption"].replace("AES256", "KMS")
    fresh.configure("encryption", document)

    put = fresh.put("key", b"x").headers

    assert "KMS" == put["x-oss-server-side-encryption"]
    assert put["x-oss-server-side-encryption-key-id"]
    info = fresh.get("", "bucketInfo")
    assert "KMS" == info.text("Bucket/ServerSideEncryptionRule/SSEAlgorithm")


def test_a_website_has_an_index_and_a_page_for_what_is_missing(fresh):
    """The index stands for directories, the error page comes with 404."""
    fresh.configure(
        "website",
        "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
        "<ErrorDocument><Key>error.html</Key></ErrorDocument></WebsiteConfiguration>",
    )
    fresh.put("index.html", b"index")
    fresh.put("error.html", b"error")

    assert (200, b"index") == (fresh.get("dir/").status, fresh.get("dir/").body)
    assert (404, b"error") == (fresh.get("none").status, fresh.get("none").body)


def test_cors_answers_browsers(fresh):
    """A preflight needs no signature; the answers that follow carry the headers."""
    fresh.configure("cors", DOCUMENTS["cors"])
    asked = {"Origin": "http://x", "Access-Control-Request-Method": "GET"}

    allowed = fresh.send("OPTIONS", "/fresh/key", asked)
    refused = fresh.send("OPTIONS", "/fresh/key", {**asked, "Access-Control-Request-Method": "PUT"})
    incomplete = fresh.send("OPTIONS", "/fresh/key", {"Origin": "http://x"})
    answer = fresh.get("key", headers={"Origin": "http://x"})

    assert (200, "*") == (allowed.status, allowed.headers["access-control-allow-origin"])
    assert ((403, "AccessForbidden"), (400, "BadRequest")) == (
        refused.outcome,
        incomplete.outcome,
    )
    assert "*" == answer.headers["access-control-allow-origin"]


def test_a_locked_retention_policy_cannot_be_escaped(fresh):
    """Initiate, abort, lock, extend; then nothing young can be deleted or overwritten."""
    days = "<{0}WormConfiguration><RetentionPeriodInDays>{1}</RetentionPeriodInDays></{0}Worm"
    days += "Configuration>"
    begun = fresh.post("", "worm", days.format("Initiate", 1).encode())
    worm_id = begun.headers["x-oss-worm-id"]
    longer = days.format("Extend", 2).encode()

    assert "InProgress" == fresh.get("", "worm").text("State")
    early = fresh.post("", f"wormExtend&wormId={worm_id}", longer)
    assert (400, "InvalidWORMConfiguration") == early.outcome
    assert 204 == fresh.delete("", "worm").status
    worm_id = fresh.post("", "worm", days.format("Initiate", 1).encode()).headers["x-oss-worm-id"]
    assert 200 == fresh.post("", f"wormId={worm_id}").status
    assert (403, "WORMConfigurationLocked") == fresh.delete("", "worm").outcome
    assert 200 == fresh.post("", f"wormExtend&wormId={worm_id}", longer).status
    assert ("Locked", "2") == (
        fresh.get("", "worm").text("State"),
        fresh.get("", "worm").text("RetentionPeriodInDays"),
    )
    fresh.put("key", b"x")
    assert (409, "FileImmutable") == fresh.delete("key").outcome
    assert (409, "FileImmutable") == fresh.put("key", b"y").outcome


def test_buckets_are_made_described_and_deleted(client):
    """Names have rules, one's own may be put again, and only an empty one goes."""
    document = (
        "<CreateBucketConfiguration><StorageClass>IA</StorageClass>"
        "<DataRedundancyType>ZRS</DataRedundancyType></CreateBucketConfiguration>"
    )

    def made(name, body=None, headers=None):
        return client.ask("PUT", "", "", headers, body, bucket=name).outcome

    for name in ("ab", "-ab", "ab-", "a_b", "Abc", "a" * 64):
        assert (400, "InvalidBucketName") == made(name)
    assert (200, "") == made("new", document.encode(), {"x-oss-acl": "public-read"})
    assert (200, "") == made("new")
    standard = document.replace("IA", "Standard").encode()
    assert (409, "BucketAlreadyExists") == made("new", standard)
    info = client.ask("GET", "", "bucketInfo", bucket="new")
    assert ["IA", "ZRS", "public-read", "oss-cn-hangzhou"] == [
        info.text(f"Bucket/{path}")
        for path in ("StorageClass", "DataRedundancyType", "AccessControlList/Grant", "Location")
    ]
    location = client.ask("GET", "", "location", bucket="new")
    assert b"<LocationConstraint>oss-cn-hangzhou</LocationConstraint>" in location.body
    client.ask("PUT", "key", "", None, b"abc", bucket="new")
    stat = client.ask("GET", "", "stat", bucket="new")
    assert ["3", "1", "1"] == [
        stat.text(path) for path in ("Storage", "ObjectCount", "InfrequentAccessObjectCount")
    ]
    assert (409, "BucketNotEmpty") == client.ask("DELETE", bucket="new").outcome
    client.ask("DELETE", "key", bucket="new")
    upload = client.ask("POST", "key", "uploads", bucket="new").text("UploadId")
    assert (409, "BucketNotEmpty") == client.ask("DELETE", bucket="new").outcome
    client.ask("DELETE", "key", f"uploadId={upload}", bucket="new")
    assert 204 == client.ask("DELETE", bucket="new").status
    assert (404, "NoSuchBucket") == client.ask("DELETE", bucket="new").outcome


def test_buckets_are_listed_by_prefix_in_pages(client):
    """A teardown that deletes what a listing shows must be shown only what it asked for."""
    for name in ("list-a", "list-b", "list-c"):
        client.emulator.objects.create_bucket(name)

    first = client.ask("GET", "", "prefix=list-&max-keys=2", bucket="")
    second = client.ask("GET", "", "prefix=list-&marker=list-b", bucket="")
    everything = client.ask("GET", bucket="")

    assert (["list-a", "list-b"], "true", "list-b") == (
        first.texts("Buckets/Bucket/Name"),
        first.text("IsTruncated"),
        first.text("NextMarker"),
    )
    assert ["list-c"] == second.texts("Buckets/Bucket/Name")
    assert "bucket" in everything.texts("Buckets/Bucket/Name")
    assert {"cn-hangzhou"} == set(everything.texts("Buckets/Bucket/Region"))


def test_regions_are_described(client):
    """The emulator's own among them; another name does not exist."""
    regions = client.ask("GET", "", "regions", bucket="").texts("RegionInfo/Region")

    assert "oss-cn-hangzhou" in regions
    unknown = client.ask("GET", "", "regions=oss-mars", bucket="")
    assert (404, "NoSuchRegion") == unknown.outcome


def test_live_channels_are_only_configured(fresh):
    """Put, read, switch, list and delete; nobody ever streams."""
    document = (
        b"<LiveChannelConfiguration><Target><Type>HLS</Type></Target></LiveChannelConfiguration>"
    )

    assert 200 == fresh.ask("PUT", "tv", "live", None, document).status
    fresh.ask("PUT", "tv", "live&status=disabled")
    listed = fresh.get("", "live")

    assert "disabled" == fresh.get("tv", "live").text("Status")
    assert "Disabled" == fresh.get("tv", "live&comp=stat").text("Status")
    assert ["tv"] == listed.texts("LiveChannel/Name")
    assert 204 == fresh.delete("tv", "live").status
    assert (404, "NoSuchLiveChannel") == fresh.get("tv", "live").outcome


def test_styles_and_inventories_have_names(fresh):
    """Several documents under one sub-resource, each read and deleted by its name."""
    style = b"<Style><Content>image/resize,w_200</Content></Style>"
    assert 200 == fresh.ask("PUT", "", "style&styleName=small", None, style).status
    assert ["small"] == fresh.get("", "style").texts("Style/Name")
    assert "image/resize,w_200" == fresh.get("", "style&styleName=small").text("Content")
    assert 204 == fresh.delete("", "style&styleName=small").status
    assert (404, "NoSuchStyle") == fresh.get("", "style&styleName=small").outcome

    inventory = (
        "<InventoryConfiguration><Id>{}</Id><IsEnabled>True</IsEnabled>"
        "<Schedule><Frequency>Daily</Frequency></Schedule>"
        "<IncludedObjectVersions>All</IncludedObjectVersions><Destination><OSSBucketDestination>"
        "<Format>CSV</Format><Bucket>acs:oss:::bucket</Bucket></OSSBucketDestination>"
        "</Destination></InventoryConfiguration>"
    )
    for number in range(101):
        name = f"i{number:03}"
        document = inventory.format(name).encode()
        fresh.ask("PUT", "", f"inventory&inventoryId={name}", None, document)
    first = fresh.get("", "inventory")
    token = quote(first.text("NextContinuationToken"), safe="")
    second = fresh.get("", f"inventory&continuation-token={token}")

    assert (100, ["i100"]) == (
        len(first.texts("InventoryConfiguration/Id")),
        second.texts("InventoryConfiguration/Id"),
    )
    assert "true" == fresh.get("", "inventory&inventoryId=i000").text("IsEnabled")
