"""Putting, reading, appending and deleting objects, over the wire."""

import base64
import gzip
import hashlib
from email.utils import formatdate

import pytest
from fastcrc import crc64

from tests.emulator.client import emulated


@pytest.fixture(scope="module")
def shared():
    with emulated() as client:
        yield client


@pytest.fixture
def client(shared):
    for key in shared.emulator.objects.keys("bucket"):
        shared.emulator.objects.delete("bucket", key)
    shared.emulator.forget_requests()
    return shared


def md5_of(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) + 1, 3 << 20])
def test_an_object_comes_back_as_it_was_put(client, size):
    """Bytes, MD5 as ETag, CRC-64 and length agree, in memory and through a file."""
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    put = client.put("key", data)
    got = client.get("key")

    etag = f'"{hashlib.md5(data).hexdigest().upper()}"'
    assert (200, etag, str(crc64.xz(data))) == (
        put.status,
        put.headers["etag"],
        put.headers["x-oss-hash-crc64ecma"],
    )
    assert (data, etag, str(size)) == (
        got.body,
        got.headers["etag"],
        got.headers["content-length"],
    )


KEYS = ["a b+c", "a%2Fb", "a/b", "//x/", "../up", ".", "é/日本", "q?x=1&y", "c\x0bd", "\U0001f600"]


@pytest.mark.parametrize("key", [key for key in KEYS if not key.startswith("/")])
def test_a_key_is_what_it_says(client, key):
    """No character of a key is normalised, decoded twice or lost."""
    client.put(key, b"x")

    assert [key] == client.emulator.objects.keys("bucket")
    assert b"x" == client.get(key).body


@pytest.mark.parametrize("key", ["/a", "\\a", "x" * 1024, "é" * 512])
def test_a_key_oss_cannot_store_is_refused(client, key):
    """Not beginning with a slash of either kind, at most 1023 bytes of UTF-8."""
    assert (400, "InvalidObjectName") == client.put(key, b"x").outcome


def test_headers_and_metadata_are_kept(client):
    """What a client says about an object, every reader hears; names of metadata in lower case."""
    said = {
        "Content-Type": "text/x",
        "Cache-Control": "no-store",
        "Content-Disposition": "attachment",
        "Content-Encoding": "x-own",
        "Content-Language": "ja",
        "Expires": "Thu, 01 Dec 2050 16:00:00 GMT",
        "x-oss-meta-Some-Name": "日本",
    }

    client.put("key", b"x", said)
    heard = client.head("key").headers

    expected = {name.lower(): value for name, value in said.items()}
    expected["x-oss-meta-some-name"] = "日本".encode().decode("latin-1")
    assert expected == {name: heard.get(name) for name in expected}


def test_an_object_without_a_type_is_octets(client):
    """application/octet-stream is what OSS says of bytes nobody described."""
    client.put("key", b"x")

    assert "application/octet-stream" == client.head("key").headers["content-type"]


def test_a_gzip_body_is_stored_as_it_came(client):
    """The server must not decompress what the client compressed."""
    data = gzip.compress(b"text" * 1000)

    client.put("key", data, {"Content-Encoding": "gzip"})

    assert data == client.emulator.objects.get("bucket", "key")


def test_text_is_compressed_for_those_who_accept_it(client):
    """Then there is no ETag, no CRC and no length, as on OSS."""
    client.put("key", b"text" * 1000, {"Content-Type": "text/plain"})

    got = client.get("key", headers={"Accept-Encoding": "gzip"})

    assert b"text" * 1000 == gzip.decompress(got.body)
    assert {"etag", "content-length", "x-oss-hash-crc64ecma"}.isdisjoint(got.headers)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-MD5": "not base64"}, "InvalidDigest"),
        ({"Content-MD5": base64.b64encode(b"short").decode()}, "InvalidDigest"),
        ({"Content-MD5": md5_of(b"other")}, "InvalidDigest"),
        ({"x-oss-storage-class": "Warm"}, "InvalidArgument"),
        ({"x-oss-object-acl": "public"}, "InvalidArgument"),
        ({"x-oss-server-side-encryption": "ROT13"}, "InvalidEncryptionAlgorithmError"),
        ({"x-oss-tagging": "&".join(f"k{n}=v" for n in range(11))}, "InvalidTag"),
        ({"x-oss-tagging": "a=1&a=2"}, "InvalidTag"),
        ({"x-oss-tagging": "a=%3C"}, "InvalidTag"),
        ({"x-oss-meta-big": "x" * 8192}, "InvalidArgument"),
        ({"x-oss-forbid-overwrite": "maybe"}, "InvalidArgument"),
        ({"x-oss-traffic-limit": "1000"}, "InvalidArgument"),
    ],
)
def test_what_oss_refuses_is_not_stored(client, headers, code):
    """A refused PutObject leaves nothing."""
    assert (400, code) == client.put("key", b"x", headers).outcome
    assert [] == client.emulator.objects.keys("bucket")


def test_a_right_md5_is_accepted_and_repeated(client):
    """Content-MD5 of the body, in both directions."""
    assert 200 == client.put("key", b"x", {"Content-MD5": md5_of(b"x")}).status
    assert md5_of(b"x") == client.get("key").headers["content-md5"]


def test_forbid_overwrite_finds_the_object(client):
    """409, and the old bytes stay; without an object it passes."""
    assert 200 == client.put("key", b"old", {"x-oss-forbid-overwrite": "true"}).status

    answer = client.put("key", b"new", {"x-oss-forbid-overwrite": "true"})

    assert (409, "FileAlreadyExists", "0026-00000002") == (*answer.outcome, answer.text("EC"))
    assert b"old" == client.get("key").body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": "{etag}"}, 200),
        ({"If-Match": '"0"'}, 412),
        ({"If-None-Match": "{etag}"}, 304),
        ({"If-None-Match": '"0"'}, 200),
        ({"If-Modified-Since": "{past}"}, 200),
        ({"If-Modified-Since": "{future}"}, 304),
        ({"If-Unmodified-Since": "{past}"}, 412),
        ({"If-Unmodified-Since": "{future}"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_are_held(client, method, headers, status):
    """304 has no body, 412 says which condition; a date nobody can read is no condition."""
    etag = client.put("key", b"x").headers["etag"]
    words = {"etag": etag, "past": formatdate(1e9, usegmt=True)}
    words["future"] = formatdate(4e9, usegmt=True)

    given = {name: value.format(**words) for name, value in headers.items()}
    answer = client.ask(method, "key", headers=given)

    assert status == answer.status
    assert answer.status != 304 or (b"", etag) == (answer.body, answer.headers["etag"])


def test_a_range_is_a_part_with_the_crc_of_the_whole(client):
    """206, Content-Range, and the checksum of the object, not of the part."""
    data = bytes(range(256))
    client.put("key", data)

    got = client.get("key", headers={"Range": "bytes=10-19"})

    assert (206, data[10:20], "bytes 10-19/256", str(crc64.xz(data))) == (
        got.status,
        got.body,
        got.headers["content-range"],
        got.headers["x-oss-hash-crc64ecma"],
    )


def test_a_range_beyond_the_object_depends_on_the_behaviour_asked_for(client):
    """By default everything with 200, with ``standard`` 416."""
    client.put("key", b"0123456789")

    plain = client.get("key", headers={"Range": "bytes=10-"})
    standard = client.get("key", headers={"Range": "bytes=10-", "x-oss-range-behavior": "standard"})

    assert (200, b"0123456789") == (plain.status, plain.body)
    assert (416, "InvalidRange") == standard.outcome


def test_a_large_range_is_cut_out_of_the_file(client):
    """Sendfile begins and ends where the range does."""
    data = bytes(range(251)) * 20_000
    client.put("key", data)

    got = client.get("key", headers={"Range": "bytes=100000-4000000"})

    assert data[100_000:4_000_001] == got.body


def test_response_headers_can_be_overridden_by_those_who_sign(client):
    """``response-*`` replaces what is stored, for this answer."""
    client.put("key", b"x", {"Content-Type": "text/x"})

    got = client.get("key", "response-content-type=text%2Fy&response-cache-control=no-cache")

    assert ("text/y", "no-cache") == (got.headers["content-type"], got.headers["cache-control"])
    assert 400 == client.get("key", "response-content-type=a%0D%0Ab").status


def test_what_is_missing_is_404_with_its_cause(client):
    """GET has it in the body; HEAD, having no body, in a header."""
    got, head = client.get("nothing"), client.head("nothing")

    assert (404, "NoSuchKey", "0026-00000001") == (*got.outcome, got.text("EC"))
    assert b"<Code>NoSuchKey</Code>" in base64.b64decode(head.headers["x-oss-err"])
    assert (404, b"", "0026-00000001") == (head.status, head.body, head.headers["x-oss-ec"])
    missing = client.ask("GET", "key", bucket="no-such-bucket")
    assert (404, "NoSuchBucket", "0015-00000101") == (*missing.outcome, missing.text("EC"))


def test_object_meta_is_brief(client):
    """GetObjectMeta says length, time, ETag and CRC, and nothing of the metadata."""
    client.put("key", b"abc", {"x-oss-meta-a": "b"})

    head = client.head("key", "objectMeta")

    assert "3" == head.headers["content-length"]
    assert "x-oss-meta-a" not in head.headers


def test_deleting_succeeds_whether_there_was_an_object_or_not(client):
    """204 both times, and it is gone."""
    client.put("key", b"x")

    assert [204, 204] == [client.delete("key").status, client.delete("key").status]
    assert 404 == client.head("key").status


def batch(*keys, quiet=False):
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    return f"<Delete><Quiet>{str(quiet).lower()}</Quiet>{objects}</Delete>".encode()


def test_a_batch_is_deleted_and_reported(client):
    """Every key named is reported, whether it was there or not; quietly, none is."""
    body = batch("a", "b&amp;c", "d&#x0B;e")
    for key in ("a", "d\x0be", "kept"):
        client.put(key, b"x")

    answer = client.post("", "delete&encoding-type=url", body, {"Content-MD5": md5_of(body)})
    quiet = batch("a", quiet=True)
    silent = client.post("", "delete", quiet, {"Content-MD5": md5_of(quiet)})

    assert ["a", "b%26c", "d%0Be"] == answer.texts("Deleted/Key")
    assert ["kept"] == client.emulator.objects.keys("bucket")
    assert (200, b"") == (silent.status, silent.body)


def test_a_batch_needs_its_md5_and_a_bound(client):
    """Without Content-MD5, with a wrong one, or with 1,001 keys nothing is deleted."""
    client.put("k1", b"x")
    small, large = batch("k1"), batch(*(f"k{number}" for number in range(1001)))

    assert "MissingArgument" == client.post("", "delete", small).code
    wrong = client.post("", "delete", small, {"Content-MD5": md5_of(b"")})
    assert "InvalidDigest" == wrong.code
    many = client.post("", "delete", large, {"Content-MD5": md5_of(large)})
    assert "MalformedXML" == many.code
    assert ["k1"] == client.emulator.objects.keys("bucket")


def test_appending_goes_on_where_the_object_ends(client):
    """Positions must match; the CRC is of the whole; a put object takes no appends."""
    first = client.post("log", "append&position=0", b"one,")
    second = client.post("log", "append&position=4", b"two")
    wrong = client.post("log", "append&position=4", b"lost")
    client.put("plain", b"x")

    assert "4" == first.headers["x-oss-next-append-position"]
    assert str(crc64.xz(b"one,two")) == second.headers["x-oss-hash-crc64ecma"]
    assert (409, "PositionNotEqualToLength", "7") == (
        *wrong.outcome,
        wrong.headers["x-oss-next-append-position"],
    )
    assert (b"one,two", "Appendable") == (
        client.get("log").body,
        client.get("log").headers["x-oss-object-type"],
    )
    assert (409, "ObjectNotAppendable") == client.post("plain", "append&position=1").outcome
    assert (400, "MissingArgument") == client.post("log", "append").outcome
    assert (400, "InvalidArgument") == client.post("log", "append&position=x").outcome


def test_a_symlink_leads_to_its_target(client):
    """Bytes are the target's, the link may dangle, and it tells where it points."""
    link = client.ask("PUT", "link", "symlink", {"x-oss-symlink-target": "a%2Fb"})
    dangling = client.get("link")
    client.put("a/b", b"bytes")

    assert (200, (404, "SymlinkTargetNotExist")) == (link.status, dangling.outcome)
    assert (b"bytes", "Symlink") == (
        client.get("link").body,
        client.get("link").headers["x-oss-object-type"],
    )
    assert "a%2Fb" == client.get("link", "symlink").headers["x-oss-symlink-target"]
    assert (400, "NotSymlink") == client.get("a/b", "symlink").outcome


def test_an_archived_object_is_read_after_its_restoring():
    """403 before, 202, 409 while it goes on, then readable, 200 to prolong; HEAD all along."""
    with emulated(restore_s=60.0) as client:
        client.put("cold", b"bytes", {"x-oss-storage-class": "Archive"})

        before = client.get("cold").outcome
        begun = client.post("cold", "restore").status
        again = client.post("cold", "restore").outcome
        ongoing = client.head("cold").headers["x-oss-restore"]
        client.emulator.clock.offset_s = 61.0
        later = client.ask("GET", "cold", "", None)
        listed = client.get("", "list-type=2").text("Contents/RestoreInfo")

        assert ((403, "InvalidObjectState"), 202) == (before, begun)
        assert ((409, "RestoreAlreadyInProgress"), 'ongoing-request="true"') == (again, ongoing)
        assert b"bytes" == later.body
        assert 'ongoing-request="false", expiry-date=' in listed
        assert 200 == client.post("cold", "restore").status
        assert 200 == client.post("cold", "cleanRestoredObject").status
        assert (403, "InvalidObjectState") == client.get("cold").outcome
        client.put("warm", b"x")
        assert (400, "OperationNotSupported") == client.post("warm", "restore").outcome


def test_acl_and_tags_can_be_set_read_and_dropped(client):
    """Both belong to the object, not to its bytes."""
    client.put("key", b"x", {"x-oss-tagging": "a=1", "x-oss-object-acl": "private"})
    counted = client.head("key").headers["x-oss-tagging-count"]
    tags = b"<Tagging><TagSet><Tag><Key>b</Key><Value>2</Value></Tag></TagSet></Tagging>"
    client.ask("PUT", "key", "tagging", None, tags)
    client.ask("PUT", "key", "acl", {"x-oss-object-acl": "public-read"})

    assert "1" == counted
    assert (["b"], ["2"]) == (
        client.get("key", "tagging").texts("TagSet/Tag/Key"),
        client.get("key", "tagging").texts("TagSet/Tag/Value"),
    )
    assert "public-read" == client.get("key", "acl").text("AccessControlList/Grant")
    assert 204 == client.delete("key", "tagging").status
    assert [] == client.get("key", "tagging").texts("TagSet/Tag")


def test_what_the_emulator_cannot_do_it_says(client):
    """Data processing is refused with 501; a callback is admitted not to have been made."""
    client.put("key", b"x")

    assert (501, "NotImplemented") == client.get("key", "x-oss-process=image%2Finfo").outcome
    assert (501, "NotImplemented") == client.post("key", "x-oss-process").outcome
    answer = client.put("called", b"x", {"x-oss-callback": "e30="})
    assert (203, b"x") == (answer.status, client.get("called").body)
