"""Uploads in parts, on the wire."""

import pytest

from osssync.checksums import crc64
from osssync.errors import IntegrityError, NotFoundError, PreconditionFailedError
from osssync.model import ByteRange
from osssync.oss.documents import Part, Upload
from tests.oss.stub_server import Answer, error_xml

TIME_NS = 1589780754_000_000_000


def test_initiate_asks_for_an_encoded_reply_and_sets_the_type(server, bucket):
    """A key with control characters cannot break the document."""
    server.answers(
        Answer(body=b"<InitiateMultipartUploadResult><UploadId>U1</UploadId>"
                    b"<Key>k</Key></InitiateMultipartUploadResult>")
    )  # fmt: skip

    upload_id = bucket.initiate("k", {"x-oss-meta-a": "1"})

    (sent,) = server.requests
    assert upload_id == "U1"
    assert (sent.method, sent.target) == ("POST", "/bucket/k?uploads&encoding-type=url")
    assert sent.headers["content-type"] == "application/octet-stream"
    assert sent.headers["x-oss-meta-a"] == "1"
    assert sent.headers["content-length"] == "0"


def test_an_initiate_without_an_id_is_an_integrity_error(server, bucket):
    """Nothing could be uploaded to it."""
    server.answers(Answer(body=b"<InitiateMultipartUploadResult/>"))

    with pytest.raises(IntegrityError, match="UploadId"):
        bucket.initiate("k", {})


def test_a_part_is_sent_and_compared(server, bucket):
    """Number and upload in the query; ETag and CRC come back."""
    headers = {"ETag": '"P1"', "x-oss-hash-crc64ecma": str(crc64(b"part"))}
    server.answers(Answer(headers=headers))

    part = bucket.upload_part("k", "U1", 3, b"part", None)

    assert (part.etag, part.crc64) == ('"P1"', crc64(b"part"))
    assert server.requests[0].target == "/bucket/k?uploadId=U1&partNumber=3"
    assert server.requests[0].body == b"part"


def test_a_part_that_oss_received_wrongly_is_an_integrity_error(server, bucket):
    """The message says which part."""
    server.answers(Answer(headers={"x-oss-hash-crc64ecma": "1"}))

    with pytest.raises(IntegrityError, match="part 3 of oss://bucket/k"):
        bucket.upload_part("k", "U1", 3, b"part", None)


def test_a_copied_part_names_source_range_and_version(server, bucket):
    """Inclusive range; the version pinned; ETag from the document."""
    server.answers(Answer(body=b'<CopyPartResult><ETag>"P2"</ETag></CopyPartResult>'))

    etag = bucket.copy_part("src", "a/b", ByteRange(0, 10), "k", ("U1", 2), if_match='"E"')

    sent = server.requests[0]
    assert etag == '"P2"'
    assert sent.target == "/bucket/k?uploadId=U1&partNumber=2"
    assert sent.headers["x-oss-copy-source"] == "/src/a%2Fb"
    assert sent.headers["x-oss-copy-source-range"] == "bytes=0-9"
    assert sent.headers["x-oss-copy-source-if-match"] == '"E"'


def test_a_changed_source_of_a_part_is_a_failed_precondition(server, bucket):
    """412."""
    server.answers(Answer(412, body=error_xml("PreconditionFailed")))

    with pytest.raises(PreconditionFailedError):
        bucket.copy_part("src", "a", ByteRange(0, 10), "k", ("U1", 2), if_match='"E"')


def test_complete_lists_the_parts_in_order(server, bucket):
    """Ascending numbers whatever the order given; the object's CRC is in the header."""
    result = "CompleteMultipartUploadResult"
    document = f"<{result}><ETag>&quot;W-2&quot;</ETag></{result}>".encode()
    server.answers(Answer(headers={"x-oss-hash-crc64ecma": "99"}, body=document))

    done = bucket.complete("k", "U1", [(2, '"B"'), (1, '"A&"')])

    assert (done.etag, done.crc64) == ('"W-2"', 99)
    assert server.requests[0].body == (
        b"<CompleteMultipartUpload>"
        b'<Part><PartNumber>1</PartNumber><ETag>"A&amp;"</ETag></Part>'
        b'<Part><PartNumber>2</PartNumber><ETag>"B"</ETag></Part>'
        b"</CompleteMultipartUpload>"
    )


@pytest.mark.parametrize("body", [b"", b"<Error><Code>InternalError</Code></Error>"])
def test_a_complete_whose_reply_is_no_result_is_not_believed(server, bucket, body):
    """200 alone is not enough."""
    server.answers(Answer(body=body))

    with pytest.raises(IntegrityError, match="complete upload oss://bucket/k"):
        bucket.complete("k", "U1", [(1, '"A"')])


def test_a_complete_of_an_unknown_upload_is_not_found(server, bucket):
    """The caller decides whether an earlier Complete had finished."""
    server.answers(Answer(404, body=error_xml("NoSuchUpload")))

    with pytest.raises(NotFoundError) as caught:
        bucket.complete("k", "U1", [(1, '"A"')])

    assert caught.value.code == "NoSuchUpload"


def test_aborting_what_is_gone_is_fine_but_not_without_a_bucket(server, bucket):
    """NoSuchUpload is what was wanted; NoSuchBucket is not."""
    server.answers(
        Answer(204),
        Answer(404, body=error_xml("NoSuchUpload")),
        Answer(404, body=error_xml("NoSuchBucket")),
    )

    bucket.abort("k", "U1")
    bucket.abort("k", "U1")
    with pytest.raises(NotFoundError):
        bucket.abort("k", "U1")


def test_parts_are_listed_with_their_crc(server, bucket):
    """A page, and where the next one begins."""
    document = b"""<ListPartsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
    <NextPartNumberMarker>5</NextPartNumberMarker>
    <Part><PartNumber>1</PartNumber><LastModified>2020-05-18T05:45:54.000Z</LastModified>
    <ETag>"A"</ETag><HashCrc64ecma>7</HashCrc64ecma><Size>102400</Size></Part>
    <Part><PartNumber>5</PartNumber><LastModified>2020-05-18T05:45:54.000Z</LastModified>
    <ETag>"B"</ETag><Size>5</Size></Part></ListPartsResult>"""
    server.answers(Answer(body=document))

    page = bucket.list_parts("k", "U1", after=0)
    bucket.list_parts("k", "U1", after=5)

    assert page.parts == (
        Part(1, 102400, '"A"', TIME_NS, 7),
        Part(5, 5, '"B"', TIME_NS, None),
    )
    assert page.next_after == 5
    assert [seen.target for seen in server.requests] == [
        "/bucket/k?uploadId=U1&max-parts=1000&encoding-type=url",
        "/bucket/k?uploadId=U1&max-parts=1000&encoding-type=url&part-number-marker=5",
    ]


def test_uploads_are_listed_with_decoded_keys(server, bucket):
    """Both markers lead on; an empty marker means the end."""
    document = b"""<ListMultipartUploadsResult><EncodingType>url</EncodingType>
    <IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb</NextKeyMarker>
    <NextUploadIdMarker>U9</NextUploadIdMarker><Upload><Key>a%2Fb</Key><UploadId>U9</UploadId>
    <Initiated>2020-05-18T05:45:54.000Z</Initiated></Upload></ListMultipartUploadsResult>"""
    server.answers(
        Answer(body=document), Answer(body=document.replace(b">true<", b">false<"))
    )  # fmt: skip

    first = bucket.list_uploads("a/")
    last = bucket.list_uploads("a/", marker=first.next_marker)

    assert first.uploads == (Upload("a/b", "U9", TIME_NS),)
    assert first.next_marker == ("a/b", "U9")
    assert last.next_marker == ("", "")
    assert server.requests[1].target == (
        "/bucket/?uploads&max-uploads=1000&encoding-type=url"
        "&prefix=a%2F&key-marker=a%2Fb&upload-id-marker=U9"
    )


@pytest.mark.parametrize("following", ["", "<NextKeyMarker>k</NextKeyMarker>"])
def test_a_page_of_uploads_that_leads_nowhere_is_an_integrity_error(server, bucket, following):
    """Stopping there, or asking for the same page for ever, would both be wrong."""
    name = "ListMultipartUploadsResult"
    document = f"<{name}><IsTruncated>true</IsTruncated>{following}</{name}>"
    server.answers(Answer(body=document.encode()))

    with pytest.raises(IntegrityError, match="NextKeyMarker"):
        bucket.list_uploads("k", marker=("k", ""))
