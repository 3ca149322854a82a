"""PUT, copy, DELETE and the rest on the wire: what is sent, and what is made of the answers."""

import hashlib
import mmap
from base64 import b64encode

import pytest

from osssync.checksums import crc64
from osssync.errors import (
    AccessDeniedError,
    IntegrityError,
    NetworkError,
    PreconditionFailedError,
    SourceChangedError,
    UnsafeKeyError,
    UsageError,
)
from tests.oss.stub_server import CLOSE, Answer, crc_header, error_xml


class SizedBody:
    """A body as an upload streams it: a length and a read."""

    def __init__(self, body, length=None):
        self._body = body
        self.len = len(body) if length is None else length

    def read(self, amt, /):
        chunk, self._body = self._body[:amt], self._body[amt:]
        return chunk


def test_put_sends_the_body_once_with_its_length_and_type(server, bucket):
    """Content-Length, no chunks, a Content-Type that depends on no machine, UTF-8 metadata."""
    body = b"x" * 700_000
    server.answers(Answer(headers=crc_header(body)))
    given = {"x-oss-meta-name": " 日本 "}

    result = bucket.put("page.html", body, headers=given, crc64=None)

    sent = server.requests[0]
    assert (sent.body, sent.chunked) == (body, False)
    assert sent.headers["content-type"] == "application/octet-stream"
    assert sent.headers["x-oss-meta-name"] == "日本"
    assert (result.etag, result.crc64) == ('"E1"', crc64(body))
    assert given == {"x-oss-meta-name": " 日本 "}


def test_a_given_content_type_is_kept_in_any_case(server, bucket):
    """One Content-Type, the caller's."""
    bucket.put("k", b"x", headers={"content-TYPE": "text/plain"}, crc64=None)

    assert server.requests[0].headers["content-type"] == "text/plain"


@pytest.mark.parametrize("name", ["Authorization", "x-oss-date", "HOST", "Content-Length"])
def test_what_follows_from_the_request_cannot_be_given(server, bucket, name):
    """A second one would contradict it: refused with its name, not dropped; nothing is sent."""
    with pytest.raises(UsageError, match=name):
        bucket.put("k", b"x", headers={name: "1"}, crc64=None)

    assert [] == server.requests


def test_one_header_in_two_spellings_is_sent_once(server, bucket):
    """The later one holds, as in any mapping."""
    bucket.put("k", b"x", headers={"X-Oss-Meta-A": "1", "x-oss-meta-a": "2"}, crc64=None)

    assert "2" == server.requests[0].headers["x-oss-meta-a"]
    assert 1 == sum(name == "x-oss-meta-a" for name in server.requests[0].names)


@pytest.mark.parametrize("body", [b"", memoryview(b""), SizedBody(b"")])
def test_an_empty_body_is_zero_bytes_not_chunks(server, bucket, body):
    """Content-Length: 0, for every kind of body."""
    bucket.put("k", body, headers={}, crc64=0)

    assert server.requests[0].headers["content-length"] == "0"
    assert not server.requests[0].chunked


def test_a_mapped_file_is_sent_and_can_be_closed(server, bucket, tmp_path):
    """The session keeps no view of it, even when the request fails."""
    path = tmp_path / "file"
    path.write_bytes(b"mapped" * 100_000)
    server.answers(Answer(500, body=error_xml("InternalError")), Answer())

    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with pytest.raises(Exception, match="InternalError"):
            bucket.put("k", mapped, headers={}, crc64=None)
        bucket.put("k", mapped, headers={}, crc64=None)
        mapped.close()

    assert [sent.body for sent in server.requests] == [b"mapped" * 100_000] * 2


def test_wide_items_are_measured_in_bytes(server, bucket):
    """A memoryview of 4-byte items has nbytes, not len, bytes."""
    bucket.put("k", memoryview(b"abcdefgh").cast("I"), headers={}, crc64=None)

    assert server.requests[0].body == b"abcdefgh"


def test_a_file_is_streamed_with_its_length(server, bucket):
    """Content-Length of a body with ``len`` and ``read``."""
    bucket.put("k", SizedBody(b"y" * 600_000), headers={}, crc64=None)

    assert server.requests[0].body == b"y" * 600_000
    assert not server.requests[0].chunked


def test_a_file_that_shrank_fails_at_once(server, bucket):
    """No stall until the server times out: the missing bytes are noticed where they are read."""
    with pytest.raises(SourceChangedError):
        bucket.put("k", SizedBody(b"short", length=500_000), headers={}, crc64=None)


def test_a_put_that_oss_received_wrongly_is_an_integrity_error(server, bucket):
    """OSS's CRC is not ours."""
    server.answers(Answer(headers=crc_header(b"other")))

    with pytest.raises(IntegrityError, match="CRC-64"):
        bucket.put("k", b"mine", headers={}, crc64=None)


def test_the_crc_the_caller_knows_is_the_one_compared(server, bucket):
    """No second pass over the body: a wrong given CRC is noticed."""
    server.answers(Answer(headers=crc_header(b"mine")))

    with pytest.raises(IntegrityError):
        bucket.put("k", b"mine", headers={}, crc64=1)


def test_an_existing_object_is_not_overwritten_when_forbidden(server, bucket):
    """409 FileAlreadyExists."""
    server.answers(Answer(409, body=error_xml("FileAlreadyExists")))

    with pytest.raises(PreconditionFailedError, match="must not be overwritten"):
        bucket.put("k", b"", headers={"x-oss-forbid-overwrite": "true"}, crc64=None)


@pytest.mark.parametrize(
    "bad", [{"x-oss-meta-a": "b\r\nx-oss-acl: public"}, {"x y": "1"}, {"": "1"}, {"ä": "1"}]
)
def test_headers_that_would_break_their_line_are_refused(server, bucket, bad):
    """No header injection; nothing is sent."""
    with pytest.raises(UsageError, match="header"):
        bucket.put("k", b"", headers=bad, crc64=None)

    assert server.requests == []


@pytest.mark.parametrize("key", [".", "..", "bad\udcff"])
def test_keys_that_would_become_another_resource_are_refused(server, bucket, key):
    """The keys "." and ".." name the bucket or the service; surrogates cannot be sent."""
    for call in (bucket.head, bucket.delete, lambda k: bucket.put(k, b"", headers={}, crc64=None)):
        with pytest.raises(UnsafeKeyError):
            call(key)

    assert server.requests == []


@pytest.mark.parametrize("key", ["a/../b", "//a", "a/./b", "?x=1", "#", "%2e%2e", "...", "a\x01\r"])
def test_odd_keys_arrive_as_they_are(server, bucket, key):
    """No normalisation anywhere: the percent-decoded path is the key."""
    from urllib.parse import unquote

    server.answers(Answer(204))

    bucket.delete(key)

    assert unquote(server.requests[0].target) == f"/bucket/{key}"


def test_copy_names_and_pins_its_source(server, bucket):
    """Source percent-encoded, its version in if-match, ETag from the reply's document."""
    result = b"<CopyObjectResult><ETag>&quot;C1&quot;</ETag></CopyObjectResult>"
    server.answers(Answer(headers={"x-oss-hash-crc64ecma": "7"}, body=result))

    copied = bucket.copy("other", "a/日", "k", if_match='"E1"', headers={"x-oss-acl": "private"})

    sent = server.requests[0].headers
    assert sent["x-oss-copy-source"] == "/other/a%2F%E6%97%A5"
    assert sent["x-oss-copy-source-if-match"] == '"E1"'
    assert sent["x-oss-acl"] == "private"
    assert (copied.etag, copied.crc64) == ('"C1"', 7)


def test_delete_many_sends_one_request_with_its_digest(server, bucket):
    """Names escaped, Content-MD5 of the document, nothing left over."""
    keys = ["a&<b>", "日本", "sp ace"]
    deleted = "".join(
        f"<Deleted><Key>{key}</Key></Deleted>"
        for key in ("a%26%3Cb%3E", "%E6%97%A5%E6%9C%AC", "sp%20ace")
    )
    document = f"<DeleteResult><EncodingType>url</EncodingType>{deleted}</DeleteResult>"
    server.answers(Answer(body=document.encode()))

    failures = bucket.delete_many(keys)

    assert failures == ()
    (sent,) = server.requests
    assert (sent.method, sent.target) == ("POST", "/bucket/?delete&encoding-type=url")
    assert "<Key>a&amp;&lt;b&gt;</Key>" in sent.body.decode()
    digest = hashlib.md5(sent.body, usedforsecurity=False).digest()
    assert sent.headers["content-md5"] == b64encode(digest).decode()


def test_a_key_that_is_not_confirmed_was_not_deleted(server, bucket):
    """Silence is a failure; an <Error> gives its code."""
    document = (
        b"<DeleteResult><Deleted><Key>a</Key></Deleted>"
        b"<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
    )
    server.answers(Answer(body=document))

    failures = bucket.delete_many(["a", "b", "c"])

    assert failures == (
        ("b", "AccessDenied", "no"),
        ("c", "", "OSS did not confirm the deletion"),
    )


def test_keys_that_xml_cannot_carry_are_deleted_one_by_one(server, bucket):
    r"""A "\r" in the document would be read as "\n": another object would die."""
    server.reply = lambda seen: (
        Answer(body=b"<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>")
        if seen.method == "POST"
        else Answer(204)
    )

    failures = bucket.delete_many(["a", "b\r", "c\x0b", "d\ufffe"])

    assert failures == ()
    assert [(sent.method, sent.target) for sent in server.requests] == [
        ("POST", "/bucket/?delete&encoding-type=url"),
        ("DELETE", "/bucket/b%0D"),
        ("DELETE", "/bucket/c%0B"),
        ("DELETE", "/bucket/d%EF%BF%BE"),
    ]


def test_a_refused_single_delete_is_a_failure_and_a_broken_one_an_error(server, bucket):
    """AccessDenied is reported for its key; a lost connection repeats the whole call."""
    server.answers(Answer(403, body=error_xml("AccessDenied")), CLOSE)

    assert bucket.delete_many(["a\r"])[0][:2] == ("a\r", "AccessDenied")
    with pytest.raises(NetworkError):
        bucket.delete_many(["a\r"])


def test_at_most_a_thousand_keys_are_deleted_at_once(server, bucket):
    """OSS's limit, refused before anything is sent."""
    with pytest.raises(ValueError, match="1001 keys"):
        bucket.delete_many([str(number) for number in range(1001)])

    assert server.requests == []


def test_restoring_again_is_fine(server, bucket):
    """409 RestoreAlreadyInProgress is what was wanted; other refusals are errors."""
    server.answers(
        Answer(202),
        Answer(409, body=error_xml("RestoreAlreadyInProgress")),
        Answer(403, body=error_xml("AccessDenied")),
    )

    bucket.restore("k", 3)
    bucket.restore("k", 3)
    with pytest.raises(AccessDeniedError):
        bucket.restore("k", 3)

    assert server.requests[0].target == "/bucket/k?restore"
    assert server.requests[0].body == b"<RestoreRequest><Days>3</Days></RestoreRequest>"


INFO = b"""<?xml version="1.0"?><BucketInfo><Bucket>
<CreationDate>2013-07-31T10:56:21.000Z</CreationDate>
<ExtranetEndpoint>oss-cn-hangzhou.aliyuncs.com</ExtranetEndpoint>
<IntranetEndpoint>oss-cn-hangzhou-internal.aliyuncs.com</IntranetEndpoint>
<Location>oss-cn-hangzhou</Location><Name>bucket</Name><StorageClass>IA</StorageClass>
<Versioning>Enabled</Versioning><Owner><DisplayName>u</DisplayName><ID>27183473914</ID></Owner>
</Bucket></BucketInfo>"""


def test_info_tells_where_a_bucket_is(server, bucket):
    """Region without "oss-", both endpoints, class, owner."""
    server.answers(Answer(body=INFO))

    info = bucket.info()

    assert (info.name, info.region, info.storage_class) == ("bucket", "cn-hangzhou", "IA")
    assert info.public_endpoint == "oss-cn-hangzhou.aliyuncs.com"
    assert info.internal_endpoint == "oss-cn-hangzhou-internal.aliyuncs.com"
    assert (info.owner_id, info.versioning) == ("27183473914", "Enabled")
    assert server.requests[0].target == "/bucket/?bucketInfo"


def test_buckets_are_listed_page_by_page(server, service):
    """Prefix and marker are sent when given; the next marker only counts if truncated."""
    document = b"""<ListAllMyBucketsResult><Owner><ID>9</ID></Owner><Buckets><Bucket>
    <CreationDate>2014-02-17T18:12:43.000Z</CreationDate><Location>oss-cn-beijing</Location>
    <Name>app</Name><StorageClass>Standard</StorageClass><Region>cn-beijing</Region></Bucket>
    </Buckets><IsTruncated>true</IsTruncated><NextMarker>app</NextMarker></ListAllMyBucketsResult>"""
    server.answers(Answer(body=document))

    page = service.list_buckets(prefix="a", marker="aa")

    assert [(found.name, found.region, found.owner_id) for found in page.buckets] == [
        ("app", "cn-beijing", "9")
    ]
    assert page.next_marker == "app"
    assert server.requests[0].target == "/?max-keys=1000&prefix=a&marker=aa"


def test_a_bucket_name_that_cannot_be_is_a_usage_error(
    settings, session, provider, clock_offset, server
):
    """oss2's own refusal becomes one of ours."""
    from osssync.oss.bucket import open_bucket
    from osssync.oss.endpoint import Endpoint

    with pytest.raises(UsageError, match="No_Bucket"):
        open_bucket(
            "No_Bucket", settings, Endpoint(server.url, "r"), provider, session, clock_offset
        )


def test_presigned_links_hold_the_signature_and_the_readable_key(bucket):
    """A link for a browser: slashes stay, the rest is percent-encoded."""
    link = bucket.presign("a/b c?", expires_s=60)

    assert "/bucket/a/b%20c%3F?" in link
    assert "x-oss-signature=" in link
    assert "x-oss-expires=60" in link
