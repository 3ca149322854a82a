"""Multipart uploads and copies, over the wire."""

import hashlib

import pytest
from fastcrc import crc64

from tests.emulator.client import emulated

PART = 100 << 10  # the smallest that may have another one behind it
DATA = (bytes(range(251)) * 2000)[: 3 * PART + 5]


@pytest.fixture(scope="module")
def shared():
    with emulated(buckets=("bucket", "other")) as client:
        yield client


@pytest.fixture
def client(shared):
    objects = shared.emulator.objects
    for name in ("bucket", "other"):
        for key in objects.keys(name):
            objects.delete(name, key)
        for upload in list(objects.buckets[name].uploads.values()):
            objects.end_upload(objects.buckets[name], upload)
    return shared


def begin(client, key="key", headers=None):
    return client.post(key, "uploads", b"", headers).text("UploadId")


def upload(client, upload_id, number, data, key="key"):
    return client.put(key, data, query=f"partNumber={number}&uploadId={upload_id}")


def listed(*parts):
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def complete(client, upload_id, body, headers=None, key="key"):
    return client.post(key, f"uploadId={upload_id}", body, headers)


def upload_all(client, upload_id):
    """The three parts of DATA; returns them as Complete names them."""
    cuts = [DATA[:PART], DATA[PART : 2 * PART], DATA[2 * PART :]]
    return [
        (number, upload(client, upload_id, number, data).headers["etag"])
        for number, data in enumerate(cuts, 1)
    ]


def test_parts_become_one_object(client):
    """Bytes in the order of the numbers, an ETag that says how many, the CRC of the whole."""
    upload_id = begin(client, headers={"Content-Type": "text/x", "x-oss-meta-a": "b"})
    parts = upload_all(client, upload_id)

    answer = complete(client, upload_id, listed(*parts))
    got = client.get("key")

    digest = hashlib.md5(b"".join(bytes.fromhex(etag.strip('"')) for _, etag in parts))
    assert f'"{digest.hexdigest().upper()}-3"' == answer.text("ETag") == got.headers["etag"]
    assert str(crc64.xz(DATA)) == answer.headers["x-oss-hash-crc64ecma"]
    assert (DATA, "Multipart", "text/x", "b") == (
        got.body,
        got.headers["x-oss-object-type"],
        got.headers["content-type"],
        got.headers["x-oss-meta-a"],
    )
    assert (404, "NoSuchUpload") == complete(client, upload_id, listed(*parts)).outcome


def test_a_range_may_span_parts(client):
    """Where the parts met does not matter to a reader."""
    upload_id = begin(client)
    complete(client, upload_id, listed(*upload_all(client, upload_id)))

    got = client.get("key", headers={"Range": f"bytes={PART - 10}-{2 * PART + 9}"})

    assert DATA[PART - 10 : 2 * PART + 10] == got.body


def test_complete_all_takes_what_is_there(client):
    """``x-oss-complete-all: yes`` needs no list, and takes none."""
    upload_id = begin(client)
    parts = upload_all(client, upload_id)

    both = complete(client, upload_id, listed(*parts), {"x-oss-complete-all": "yes"})
    answer = complete(client, upload_id, b"", {"x-oss-complete-all": "yes"})

    assert ((400, "InvalidArgument"), 200) == (both.outcome, answer.status)
    assert DATA == client.get("key").body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda parts: parts[::-1], "InvalidPartOrder"),
        (lambda parts: [*parts, parts[-1]], "InvalidPartOrder"),
        (lambda _: [(1, '"0123456789ABCDEF0123456789ABCDEF"')], "InvalidPart"),
        (lambda parts: [*parts, (9, parts[0][1])], "InvalidPart"),
        (lambda _: [], "MalformedXML"),
        (lambda parts: [("x", parts[0][1])], "MalformedXML"),
    ],
)
def test_a_wrong_list_completes_nothing(client, change, code):
    """The upload stays, and the right list still works."""
    upload_id = begin(client)
    parts = upload_all(client, upload_id)

    assert (400, code) == complete(client, upload_id, listed(*change(parts))).outcome
    assert 200 == complete(client, upload_id, listed(*parts)).status


def test_only_the_last_part_may_be_small(client):
    """Below 100 KiB in front of another part is EntityTooSmall, at Complete and not before."""
    upload_id = begin(client)
    parts = [
        (number, upload(client, upload_id, number, data).headers["etag"])
        for number, data in ((1, DATA[: PART - 1]), (2, b"end"))
    ]

    answer = complete(client, upload_id, listed(*parts))

    assert (400, "EntityTooSmall", str(PART)) == (*answer.outcome, answer.text("MinSizeAllowed"))


def test_a_part_can_be_sent_again(client):
    """The last one of a number counts, and the first one's ETag no more."""
    upload_id = begin(client)
    first = upload(client, upload_id, 1, b"first").headers["etag"]
    second = upload(client, upload_id, 1, b"second").headers["etag"]

    assert (400, "InvalidPart") == complete(client, upload_id, listed((1, first))).outcome
    assert 200 == complete(client, upload_id, listed((1, second))).status
    assert b"second" == client.get("key").body


def test_forbid_overwrite_holds_at_complete(client):
    """An object that came meanwhile is not overwritten, and the upload survives."""
    upload_id = begin(client, headers={"x-oss-forbid-overwrite": "true"})
    etag = upload(client, upload_id, 1, b"new").headers["etag"]
    client.put("key", b"old")

    answer = complete(client, upload_id, listed((1, etag)))

    assert (409, "FileAlreadyExists") == answer.outcome
    assert b"old" == client.get("key").body
    assert (409, "FileAlreadyExists") == client.post(
        "key", "uploads", b"", {"x-oss-forbid-overwrite": "true"}
    ).outcome


@pytest.mark.parametrize("number", ["0", "10001", "x", ""])
def test_part_numbers_have_bounds(client, number):
    """1 to 10,000."""
    upload_id = begin(client)

    assert (400, "InvalidArgument") == upload(client, upload_id, number, b"x").outcome


def test_an_unknown_upload_has_a_cause_for_every_operation(client):
    """Clients' suites tell them apart by EC."""
    causes = [
        upload(client, "0" * 32, 1, b"x"),
        complete(client, "0" * 32, listed((1, '"0"'))),
        client.delete("key", "uploadId=" + "0" * 32),
        client.get("key", "uploadId=" + "0" * 32),
    ]

    assert {(404, "NoSuchUpload")} == {answer.outcome for answer in causes}
    assert ["0042-00000104", "0042-00000311", "0042-00000002", "0042-00000002"] == [
        answer.text("EC") for answer in causes
    ]


def test_an_aborted_upload_is_gone(client):
    """With its parts; and nothing was ever visible."""
    upload_id = begin(client)
    upload(client, upload_id, 1, b"x")

    assert 204 == client.delete("key", f"uploadId={upload_id}").status
    assert (404, "NoSuchUpload") == upload(client, upload_id, 2, b"x").outcome
    assert [] == client.emulator.objects.keys("bucket")


def test_parts_are_listed_in_pages(client):
    """By number, with sizes and ETags, going on after the marker."""
    upload_id = begin(client)
    for number in (3, 1, 2):
        upload(client, upload_id, number, b"x" * number)

    first = client.get("key", f"uploadId={upload_id}&max-parts=2")
    second = client.get("key", f"uploadId={upload_id}&max-parts=2&part-number-marker=2")

    assert (["1", "2"], "true", "2") == (
        first.texts("Part/PartNumber"),
        first.text("IsTruncated"),
        first.text("NextPartNumberMarker"),
    )
    assert (["3"], ["3"], "false") == (
        second.texts("Part/PartNumber"),
        second.texts("Part/Size"),
        second.text("IsTruncated"),
    )


def test_uploads_are_listed_in_pages(client):
    """By key and then by id; prefixes and delimiters as in a listing of objects."""
    ids = {key: begin(client, key) for key in ("a/1", "a/2", "b", "c")}
    more = begin(client, "b")

    folded = client.get("", "uploads&delimiter=%2F")
    first = client.get("", "uploads&max-uploads=2&prefix=")
    both = sorted([ids["b"], more])
    second = client.get("", f"uploads&key-marker=b&upload-id-marker={both[0]}")

    assert (["b", "b", "c"], ["a/"]) == (
        folded.texts("Upload/Key"),
        folded.texts("CommonPrefixes/Prefix"),
    )
    assert (["a/1", "a/2"], "true", "a/2", ids["a/2"]) == (
        first.texts("Upload/Key"),
        first.text("IsTruncated"),
        first.text("NextKeyMarker"),
        first.text("NextUploadIdMarker"),
    )
    assert [both[1], ids["c"]] == second.texts("Upload/UploadId")


def source(key, bucket="bucket"):
    return {"x-oss-copy-source": f"/{bucket}/{key}"}


def test_an_object_is_copied_with_what_belongs_to_it(client):
    """Across buckets, with headers, metadata and tags; the checksum comes along."""
    client.put("a/b", DATA, {"x-oss-meta-a": "1", "Content-Type": "text/x", "x-oss-tagging": "t=1"})

    answer = client.ask("PUT", "copy", "", source("a%2Fb"), bucket="other")
    got = client.ask("GET", "copy", bucket="other")

    assert (200, DATA) == (answer.status, got.body)
    assert ("1", "text/x", "1", str(crc64.xz(DATA))) == (
        got.headers["x-oss-meta-a"],
        got.headers["content-type"],
        got.headers["x-oss-tagging-count"],
        got.headers["x-oss-hash-crc64ecma"],
    )


def test_a_copy_onto_itself_changes_metadata(client):
    """REPLACE takes what the request says, COPY ignores it."""
    client.put("key", b"x", {"x-oss-meta-a": "1"})
    said = {"x-oss-meta-b": "2", **source("key")}

    client.put("key", None, {**said, "x-oss-metadata-directive": "COPY"})
    kept = client.head("key").headers
    client.put("key", None, {**said, "x-oss-metadata-directive": "REPLACE"})
    replaced = client.head("key").headers

    assert ("1", None) == (kept.get("x-oss-meta-a"), kept.get("x-oss-meta-b"))
    assert (None, "2") == (replaced.get("x-oss-meta-a"), replaced.get("x-oss-meta-b"))
    wrong = {**source("key"), "x-oss-metadata-directive": "MERGE"}
    assert (400, "InvalidArgument") == client.put("key", None, wrong).outcome


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-oss-copy-source-if-match": '"0"'}, 412),
        ({"x-oss-copy-source-if-none-match": "{etag}"}, 304),
        ({"x-oss-copy-source-if-modified-since": "Wed, 01 Jan 2070 00:00:00 GMT"}, 304),
        ({"x-oss-copy-source-if-unmodified-since": "Wed, 01 Jan 2020 00:00:00 GMT"}, 412),
        ({"x-oss-copy-source-if-match": "{etag}"}, 200),
        ({"x-oss-copy-source": "/bucket/nothing"}, 404),
        ({"x-oss-copy-source": "/no-such-bucket/key"}, 404),
        ({"x-oss-copy-source": "nonsense"}, 400),
    ],
)
def test_conditions_of_a_copy_are_about_its_source(client, headers, status):
    """And a source that is not there is said to be missing."""
    etag = client.put("key", b"x").headers["etag"]
    given = {name: value.format(etag=etag) for name, value in headers.items()}

    assert status == client.put("copy", None, {**source("key"), **given}).status


def test_parts_can_be_ranges_of_objects(client):
    """UploadPartCopy shares bytes with its source, which may go away meanwhile."""
    client.put("source", DATA)
    upload_id = begin(client)
    parts = []
    for number, cut in ((1, f"bytes=0-{PART - 1}"), (2, f"bytes={PART}-")):
        query = f"partNumber={number}&uploadId={upload_id}"
        headers = {**source("source"), "x-oss-copy-source-range": cut}
        answer = client.put("key", None, headers, query)
        parts.append((number, answer.text("ETag")))
        assert answer.text("ETag") == answer.headers["etag"]
    client.delete("source")

    complete(client, upload_id, listed(*parts))

    assert DATA == client.get("key").body


@pytest.mark.parametrize(
    ("cut", "code"),
    [
        ("bytes=0-9999999", "InvalidRange"),
        ("bytes=5-4", "InvalidRange"),
        ("0-4", "InvalidArgument"),
    ],
)
def test_a_copied_range_must_lie_within_its_source(client, cut, code):
    """Unlike a GET, a copy never takes another range than was asked for."""
    client.put("source", b"0123456789")
    query = f"partNumber=1&uploadId={begin(client)}"

    answer = client.put("key", None, {**source("source"), "x-oss-copy-source-range": cut}, query)

    assert code == answer.code


def test_a_sequential_upload_refuses_gaps_and_knows_its_md5(client):
    """``?sequential``: parts in order, and the object gets a Content-MD5."""
    upload_id = client.post("key", "uploads&sequential").text("UploadId")

    gap = upload(client, upload_id, 2, b"x")
    etag = upload(client, upload_id, 1, b"x").headers["etag"]
    complete(client, upload_id, listed((1, etag)))

    assert (400, "PartNotSequential") == gap.outcome
    assert "content-md5" in client.head("key").headers
