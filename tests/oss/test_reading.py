"""HEAD and GET on the wire: what is asked for, and what is checked of what comes back."""

from base64 import b64encode

import pytest

from osssync.checksums import crc64
from osssync.errors import (
    ArchivedObjectError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    PreconditionFailedError,
    SourceChangedError,
)
from osssync.model import ByteRange
from tests.oss.stub_server import Answer, crc_header, error_xml

DATE_NS = 1445412480_000_000_000


def collect(bucket, key="k", **options):
    received = bytearray()
    got = bucket.get(key, received.extend, **options)
    return bytes(received), got


def test_a_whole_object_is_delivered_with_its_facts(server, bucket):
    """Bytes, count, CRC and ETag arrive; If-Match is sent, Range is not."""
    body = b"hello" * 500_000
    server.answers(Answer(headers=crc_header(body) | {"Content-Encoding": "gzip"}, body=body))

    received, got = collect(bucket, "a b/+%.txt", if_match='"E1"', expected_size=len(body))

    assert received == body
    assert (got.received, got.crc64, got.object_crc64) == (len(body), crc64(body), crc64(body))
    assert got.etag == '"E1"'
    sent = server.requests[0]
    assert (sent.method, sent.target) == ("GET", "/bucket/a%20b%2F%2B%25.txt")
    assert sent.headers["if-match"] == '"E1"'
    assert "range" not in sent.headers
    assert sent.headers["accept-encoding"] == "identity"


def test_wrong_bytes_of_a_whole_object_are_an_integrity_error(server, bucket):
    """The CRC of what came is not the one OSS keeps."""
    server.answers(Answer(headers=crc_header(b"right"), body=b"wrong"))

    with pytest.raises(IntegrityError, match="CRC-64"):
        collect(bucket)


def test_an_object_without_a_crc_says_so(server, bucket):
    """Nothing to compare with: object_crc64 is None, and that is no error."""
    server.answers(Answer(body=b"old"))

    received, got = collect(bucket)

    assert (received, got.object_crc64, got.crc64) == (b"old", None, crc64(b"old"))


def test_a_truncated_body_is_an_error_and_costs_the_connection(server, bucket):
    """Fewer bytes than announced, then the end; the next request works on a new connection."""
    server.answers(Answer(body=b"half", length=8, hang_up=True), Answer(body=b"whole"))

    with pytest.raises(NetworkError):
        collect(bucket)

    assert collect(bucket)[0] == b"whole"
    assert server.connections == 2


@pytest.mark.parametrize("size", [4, 6])
def test_an_object_of_another_size_has_changed(server, bucket, size):
    """Content-Length is not what the listing said: begin again, and no byte reaches the sink."""
    server.answers(Answer(body=b"12345"))
    received = bytearray()

    with pytest.raises(SourceChangedError):
        bucket.get("k", received.extend, expected_size=size)

    assert received == b""


def test_another_version_behind_a_careless_proxy_has_changed(server, bucket):
    """200 with another ETag although If-Match was sent."""
    server.answers(Answer(headers={"ETag": '"E2"'}, body=b"12345"))

    with pytest.raises(SourceChangedError, match="E2"):
        collect(bucket, if_match='"E1"')


def test_an_if_match_that_fails_is_a_failed_precondition(server, bucket):
    """412 PreconditionFailed."""
    server.answers(Answer(412, body=error_xml("PreconditionFailed")))

    with pytest.raises(PreconditionFailedError) as caught:
        collect(bucket, if_match='"E1"')

    assert caught.value.code == "PreconditionFailed"


def test_a_range_is_asked_for_strictly_and_checked(server, bucket):
    """Half-open becomes inclusive, OSS's lenient default is switched off, 206 is required."""
    headers = crc_header(b"0123456789") | {"Content-Range": "bytes 2-5/10"}
    server.answers(Answer(206, headers, b"2345"))

    received, got = collect(bucket, byte_range=ByteRange(2, 6))

    assert received == b"2345"
    assert (got.crc64, got.object_crc64) == (crc64(b"2345"), crc64(b"0123456789"))
    sent = server.requests[0].headers
    assert (sent["range"], sent["x-oss-range-behavior"]) == ("bytes=2-5", "standard")


@pytest.mark.parametrize(
    ("status", "content_range", "body"),
    [
        (200, None, b"0123456789"),
        (200, "bytes 2-5/10", b"2345"),
        (206, None, b"2345"),
        (206, "bytes 2-4/10", b"234"),
        (206, "bytes 3-6/10", b"3456"),
        (206, "bytes 2-5/5", b"2345"),
        (206, "bytes 2-5/*", b"2345"),
        (206, "bytes 2-5/10", b"23456"),
    ],
)
def test_anything_but_the_range_asked_for_is_an_integrity_error(
    server, bucket, status, content_range, body
):
    """The whole object, no Content-Range, another or impossible range, another length."""
    headers = {"Content-Range": content_range} if content_range else {}
    server.answers(Answer(status, headers, body))
    received = bytearray()

    with pytest.raises(IntegrityError, match=r"asked for bytes \[2, 6\)"):
        bucket.get("k", received.extend, byte_range=ByteRange(2, 6))

    assert received == b""


def test_an_empty_range_is_refused_before_anything_is_sent(server, bucket):
    """HTTP cannot ask for nothing; "bytes=5-4" would be answered with everything."""
    with pytest.raises(ValueError, match="empty byte range"):
        collect(bucket, byte_range=ByteRange(5, 5))

    assert server.requests == []


def test_a_full_disk_in_the_sink_is_not_the_networks_fault(server, bucket):
    """What the sink raises passes through unchanged, and the connection is not reused."""
    server.answers(Answer(body=b"x" * 3_000_000), Answer(body=b"next"))
    no_space = OSError(28, "No space left on device")

    def sink(_chunk):
        raise no_space

    with pytest.raises(OSError, match="No space left") as caught:
        bucket.get("k", sink)

    assert caught.value is no_space
    assert collect(bucket)[0] == b"next"


def test_an_abandoned_body_gives_its_place_in_the_pool_back(server, bucket):
    """More failed reads than the pool has places do not starve the next request."""
    server.answers(*[Answer(body=b"x" * 3_000_000)] * 9, Answer(body=b"ok"))

    for _ in range(9):
        with pytest.raises(ZeroDivisionError):
            bucket.get("k", lambda _chunk: 1 // 0)

    assert collect(bucket)[0] == b"ok"


def test_head_reads_every_fact(server, bucket):
    """Size, version, class, restore state, UTF-8 metadata and the headers to carry along."""
    server.answers(
        Answer(
            headers={
                "Content-Length": "42",
                "Content-Type": "text/x",
                "Cache-Control": "no-cache",
                "x-oss-storage-class": "IA",
                "x-oss-object-type": "Multipart",
                "x-oss-version-id": "V1",
                "x-oss-restore": 'ongoing-request="true"',
                "X-Oss-Meta-Name": "日本",
            }
            | crc_header(b"x"),
        )
    )

    meta = bucket.head("k")

    assert (meta.size, meta.etag, meta.last_modified_ns) == (42, '"E1"', DATE_NS)
    assert meta.crc64 == crc64(b"x")
    assert (meta.content_type, meta.storage_class, meta.object_type) == (
        "text/x",
        "IA",
        "Multipart",
    )
    assert (meta.version_id, meta.restore) == ("V1", 'ongoing-request="true"')
    assert meta.metadata == (("name", "日本"),)
    assert meta.headers == (("Cache-Control", "no-cache"),)


def test_a_crc_that_is_no_number_is_an_integrity_error(server, bucket):
    """A header nobody can compare is not silently ignored."""
    server.answers(Answer(headers={"Content-Length": "1", "x-oss-hash-crc64ecma": "0x12"}))

    with pytest.raises(IntegrityError, match="not a number"):
        bucket.head("k")


def test_a_missing_object_is_not_found_even_for_head(server, bucket):
    """HEAD has no body: code and EC come from the x-oss-err header."""
    document = b64encode(error_xml("NoSuchKey", EC="0026-00000001")).decode()
    server.answers(Answer(404, {"x-oss-err": document, "x-oss-request-id": "R1"}, length=0))

    with pytest.raises(NotFoundError) as caught:
        bucket.head("missing")

    error = caught.value
    assert (error.code, error.ec, error.request_id) == ("NoSuchKey", "0026-00000001", "R1")
    assert "head oss://bucket/missing: 404 NoSuchKey" in str(error)


def test_archived_objects_say_what_to_do(server, bucket):
    """403 InvalidObjectState is not a missing permission."""
    server.answers(Answer(403, body=error_xml("InvalidObjectState", EC="0016-00000404")))

    with pytest.raises(ArchivedObjectError, match="restore"):
        collect(bucket)
