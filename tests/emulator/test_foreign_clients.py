"""What clients of other authors send, beyond what the pages say; on the wire, without them.

Each of these made a test of somebody else's suite fail once: aliyun-oss-go-sdk's, oss2's, or calls
of ali-oss (JavaScript) and of Apache Libcloud.
"""

import base64
import hashlib
import hmac
import time
from urllib.parse import quote

import pytest

from osssync.emulator.addressing import resolve
from tests.emulator.client import KEY_ID, SECRET, emulated

PART = 100 << 10


@pytest.fixture(scope="module")
def shared():
    with emulated(buckets=("bucket", "other")) as client:
        yield client


@pytest.fixture
def client(shared):
    for key in shared.emulator.objects.keys("bucket"):
        shared.emulator.objects.delete("bucket", key)
    return shared


def v1_headers(method, resource, headers=None):
    """Headers of a V1 request for a decoded resource."""
    given = dict(headers or {})
    given["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    signed = "".join(f"{name}:{given[name]}\n" for name in sorted(given) if name != "Date")
    text = f"{method}\n\n\n{given['Date']}\n{signed}{resource}".encode()
    digest = base64.b64encode(hmac.digest(SECRET.encode(), text, "sha1")).decode()
    return {**given, "Authorization": f"OSS {KEY_ID}:{digest}"}


def test_a_raw_plus_in_a_path_is_a_space(client):
    """The Go SDK escapes keys as forms do: ``+`` for a space, ``%2B`` for a plus."""
    headers = v1_headers("PUT", "/bucket/a b+c")

    answer = client.send("PUT", "/bucket/a+b%2Bc", headers, b"x")

    assert 200 == answer.status
    assert ["a b+c"] == client.emulator.objects.keys("bucket")


def test_a_raw_plus_in_a_copy_source_is_a_space(client):
    """It names the source of a copy in the same way."""
    client.put("a b+c", b"x")

    answer = client.put("copy", headers={"x-oss-copy-source": "/bucket/a+b%2Bc"})

    assert 200 == answer.status
    assert b"x" == client.emulator.objects.get("bucket", "copy")


def test_a_raw_plus_in_a_symlink_target_is_a_space(client):
    """And the target of a symbolic link."""
    client.put("a b+c", b"x")

    client.put("link", headers={"x-oss-symlink-target": "a+b%2Bc"}, query="symlink")

    assert b"x" == client.get("link").body


CONDITIONS = [
    ("If-Match", '"0CC175B9C0F1B6A831C399E269772661"'),
    ("If-None-Match", "*"),
    ("If-Modified-Since", "Tue, 24 Nov 2020 06:00:00 GMT"),
    ("If-Unmodified-Since", "Tue, 24 Nov 2020 06:00:00 GMT"),
]


@pytest.mark.parametrize(("name", "value"), CONDITIONS)
def test_putting_an_object_has_no_conditions(client, name, value):
    """OSS refuses what it would have to ignore, and stores nothing."""
    answer = client.put("key", b"x", {name: value})

    assert (501, "NotImplemented") == answer.outcome
    assert name == answer.text("Header")
    assert [] == client.emulator.objects.keys("bucket")


@pytest.mark.parametrize(("name", "value"), CONDITIONS)
def test_conditions_of_a_multipart_upload_mean_nothing(client, name, value):
    """The Go SDK's suite initiates an upload with one that cannot hold, and gets it."""
    answer = client.post("key", "uploads", b"", {name: value})

    assert 200 == answer.status


def test_an_append_may_change_the_acl_and_nothing_else(client):
    """Metadata stays that of the first append; the ACL is that of the last one to name one."""
    first = {"x-oss-object-acl": "public-read-write", "x-oss-meta-my": "one"}
    second = {"x-oss-object-acl": "public-read", "x-oss-meta-my": "two"}

    client.post("key", "append&position=0", b"ab", first)
    client.post("key", "append&position=2", b"cd", second)
    client.post("key", "append&position=4", b"ef")

    assert b"abcdef" == client.get("key").body
    assert "public-read" == client.get("key", "acl").text("AccessControlList/Grant")
    assert "one" == client.head("key").headers["x-oss-meta-my"]


@pytest.mark.parametrize(
    ("begun", "completed", "expected"),
    [("public-read", "", "default"), ("", "public-read", "public-read")],
)
def test_completing_says_the_acl_of_a_multipart_object(client, begun, completed, expected):
    """An ACL named at the beginning is not kept: SDKs send it again at the end."""

    def acl(value):
        return {"x-oss-object-acl": value} if value else {}

    upload_id = client.post("key", "uploads", b"", acl(begun)).text("UploadId")
    client.put("key", b"x", query=f"partNumber=1&uploadId={upload_id}")
    headers = {"x-oss-complete-all": "yes", **acl(completed)}
    client.post("key", f"uploadId={upload_id}", b"", headers)

    assert expected == client.get("key", "acl").text("AccessControlList/Grant")


def v4_headers(path, canonical_query):
    """Headers of a V4 GET whose canonical query is the given text."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    canonical = (
        f"GET\n{path}\n{canonical_query}\nx-oss-content-sha256:UNSIGNED-PAYLOAD\n"
        f"x-oss-date:{moment}\n\n\nUNSIGNED-PAYLOAD"
    )
    scope = f"{moment[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"aliyun_v4{SECRET}".encode()
    for piece in (*scope.split("/"), f"OSS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"):
        key = hmac.digest(key, piece.encode(), "sha256")
    credential = f"OSS4-HMAC-SHA256 Credential={KEY_ID}/{scope},Signature={key.hex()}"
    return {
        "x-oss-date": moment,
        "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
        "Authorization": credential,
    }


@pytest.mark.parametrize(
    ("signed", "status"),
    [("prefix&uploads", 200), ("prefix=&uploads", 200), ("prefix=&uploads=", 403)],
)
def test_an_empty_parameter_is_signed_bare_or_as_it_is_sent(client, signed, status):
    """The JavaScript SDK signs ``prefix=`` where it sends ``prefix=``; what differs is refused."""
    headers = v4_headers("/bucket/", signed)

    answer = client.send("GET", "/bucket/?prefix=&uploads", headers)

    assert status == answer.status


def v2_text(method, time_line, headers, additional, resource):
    canonical = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name != "date")
    return f"{method}\n\n\n{time_line}\n{canonical}{additional}\n{resource}"


def v2_signature(text):
    return base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), "sha256")).decode()


@pytest.mark.parametrize(("offset_s", "status"), [(0, 206), (-3600, 403)])
def test_version_2_signatures_are_still_believed(client, offset_s, status):
    """All of the query is signed, encoded, and additional headers are; a stale date is not."""
    client.put("a/b", b"0123456789")
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + offset_s))
    resource = f"{quote('/bucket/a/b', safe='')}?response-content-type=text%2Fx"
    text = v2_text("GET", date, {"range": "bytes=2-4"}, "range", resource)
    fields = f"AccessKeyId:{KEY_ID},AdditionalHeaders:range,Signature:{v2_signature(text)}"
    headers = {"date": date, "range": "bytes=2-4", "Authorization": f"OSS2 {fields}"}

    answer = client.send("GET", "/bucket/a/b?response-content-type=text%2Fx", headers)
    headers["range"] = "bytes=0-9"
    tampered = client.send("GET", "/bucket/a/b?response-content-type=text%2Fx", headers)

    assert (status, 403) == (answer.status, tampered.status)


@pytest.mark.parametrize(("life_s", "status"), [(60, 200), (-60, 403)])
def test_version_2_links_end_at_the_instant_they_name(client, life_s, status):
    """``x-oss-expires`` of version 2 is an instant, not a duration."""
    client.put("key", b"x")
    expires = str(int(time.time()) + life_s)
    query = f"x-oss-access-key-id={KEY_ID}&x-oss-expires={expires}&x-oss-signature-version=OSS2"
    text = v2_text("GET", expires, {}, "", f"{quote('/bucket/key', safe='')}?{query}")
    signature = quote(v2_signature(text), safe="")

    answer = client.send("GET", f"/bucket/key?{query}&x-oss-signature={signature}")
    logged = client.emulator.requests[-1]

    assert status == answer.status
    assert (KEY_ID, "***") == (logged.access_key_id, logged.query["x-oss-signature"])


@pytest.mark.parametrize(
    ("host", "region", "bucket"),
    [
        ("bucket.oss.aliyuncs.com", "cn-hangzhou", "bucket"),
        ("oss.aliyuncs.com", "cn-hangzhou", ""),
        ("cn-beijing.oss.aliyuncs.com", "cn-beijing", ""),
        ("bucket.cn-beijing.oss.aliyuncs.com", "cn-beijing", "bucket"),
    ],
)
def test_the_oldest_name_of_oss_is_the_first_region(host, region, bucket):
    """Libcloud's default is ``oss.aliyuncs.com``; dual-stack names end the same way."""
    address = resolve("/key" if bucket else "/", host, ())

    assert (region, bucket) == (address.region, address.bucket)


def test_a_link_without_a_region_is_told_so(client):
    """oss2 signs links with an empty region where none is set, and its suite reads the message."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    credential = quote(f"{KEY_ID}/{moment[:8]}//oss/aliyun_v4_request", safe="")
    query = (
        f"x-oss-credential={credential}&x-oss-date={moment}&x-oss-expires=60"
        "&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=0"
    )

    answer = client.send("GET", f"/bucket/key?{query}")

    assert "The signing region in credential is invalid." == answer.text("Message")


@pytest.mark.parametrize(("prefix", "status"), [("buck", 200), ("", 200), ("BucketName", 400)])
def test_listing_buckets_by_what_begins_no_name_is_refused(client, prefix, status):
    """The Go SDK asks in this way whether a bucket exists, and passes the refusal on."""
    answer = client.ask("GET", "", f"max-keys=1&prefix={prefix}", bucket="")

    assert status == answer.status
