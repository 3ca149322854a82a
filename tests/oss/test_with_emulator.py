"""Every verb against the emulator, which checks signatures, tokens and headers on its own."""

import contextlib
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from osssync.checksums import combine, crc64
from osssync.config import OssSettings, SignatureVersion
from osssync.emulator.faults import Effect
from osssync.emulator.settings import Settings, StaticCredential
from osssync.errors import (
    ClockSkewedError,
    CredentialsRefusedError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    OsssyncError,
    PreconditionFailedError,
    SourceChangedError,
    ThrottledError,
)
from osssync.model import ByteRange, EntryKind
from osssync.oss.bucket import open_bucket, open_service
from osssync.oss.endpoint import resolve
from osssync.oss.session import PooledSession
from osssync.oss.signature import ClockOffset
from osssync.retry import Retry, RetryPolicy
from tests.oss.stub_server import FixedCredentials

OWNER = StaticCredential("LTAItest", "owner-secret-0123456789")
ODD_KEYS = [
    "a b+c%d",
    "日本/\U0001f600",
    "~!'()*;:@&=$,[]",
    "a/../b",
    "a//b",
    "?acl",
    "#x",
    "tab\tnew\nline\r",
    "\x01\x7f",
    "%2F%41",
    "é" * 500,
]


class RoleCredentials:
    """The emulator's role, read afresh when told to."""

    def __init__(self, authority):
        self._authority = authority
        self.refused = []
        self.refresh()

    def refresh(self):
        current = self._authority.current()
        self._current = FixedCredentials(
            current.access_key_id, current.access_key_secret, current.security_token
        )

    def get_credentials(self):
        return self._current

    def invalidate(self, error):
        self.refused.append(error.access_key_id)
        self.refresh()
        return True


@pytest.fixture
def cloud(emulate):
    return emulate(Settings(buckets=("bucket", "other"), credentials=(OWNER,)))


@pytest.fixture(params=[SignatureVersion.V4, SignatureVersion.V1], ids=["v4", "v1"])
def oss_settings(request, cloud):
    return OssSettings(
        endpoint=cloud.endpoint, region=cloud.settings.region, signature=request.param
    )


@pytest.fixture
def role(cloud):
    return RoleCredentials(cloud.authority)


@pytest.fixture
def offset():
    return ClockOffset()


@pytest.fixture
def parts(oss_settings, role, offset):
    """What a bucket or a service is opened with."""
    session = PooledSession(oss_settings, 4)
    yield oss_settings, resolve(oss_settings, lambda: ""), role, session, offset
    session.close()


@pytest.fixture
def bucket(parts):
    return open_bucket("bucket", *parts)


def read(bucket, key, **options):
    received = bytearray()
    bucket.get(key, received.extend, **options)
    return bytes(received)


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
def test_every_key_survives_every_verb(bucket, key):
    """Signed, stored, listed, described, read, copied and deleted under the same name."""
    body = key.encode() * 3

    put = bucket.put(key, body, headers={"x-oss-meta-note": "メモ"}, crc64=None)
    meta = bucket.head(key)
    (entry,) = bucket.list_page(key).entries
    copied = bucket.copy("bucket", key, key + ".copy", if_match=put.etag, headers={})

    assert put.crc64 == meta.crc64 == crc64(body)
    assert meta.metadata == (("note", "メモ"),)
    assert meta.content_type == "application/octet-stream"
    assert (entry.key, entry.size, entry.etag) == (key, len(body), put.etag)
    assert entry.mtime_ns == meta.last_modified_ns
    assert read(bucket, key, if_match=put.etag, expected_size=len(body)) == body
    assert read(bucket, key, byte_range=ByteRange(1, 3)) == body[1:3]
    assert read(bucket, key + ".copy") == body
    assert copied.etag
    bucket.delete(key)
    with pytest.raises(NotFoundError) as caught:
        bucket.head(key)
    assert caught.value.code == "NoSuchKey"


def test_a_listing_of_many_pages_is_whole_and_in_order(bucket):
    """Tokens with special characters, prefixes summed up, nothing twice."""
    keys = sorted([f"d/{number % 3}/k+{number:02}" for number in range(20)] + ["d/", "e"])
    for key in keys:
        bucket.put(key, b"" if key.endswith("/") else b"1", headers={}, crc64=None)

    found, token = [], None
    while token != "":
        page = bucket.list_page("d/", token=token or "", limit=7)
        found += page.entries
        token = page.next_token
    summed = bucket.list_page("d/", delimiter="/")

    assert [entry.key for entry in found] == [key for key in keys if key.startswith("d/")]
    assert found[0].kind is EntryKind.DIRECTORY
    assert summed.prefixes == ("d/0/", "d/1/", "d/2/")
    assert [entry.key for entry in summed.entries] == ["d/"]
    assert [entry.key for entry in bucket.list_page(start_after="d/2/k+17").entries] == ["e"]


def test_a_thousand_keys_die_in_one_request(cloud, bucket):
    """And those that XML cannot carry in one each; deleting them again is fine."""
    keys = [f"k{number:03}" for number in range(5)] + ["odd\r", "odd\x0b", "<&>"]
    for key in keys:
        bucket.put(key, b"1", headers={}, crc64=None)
    cloud.forget_requests()

    failures = bucket.delete_many(keys)

    assert failures == ()
    assert list(bucket.list_page().entries) == []
    assert bucket.delete_many(keys) == ()
    assert len(cloud.requests) == 3 + 1 + 3


def test_an_upload_in_parts_becomes_one_object(bucket):
    """CRCs of the parts combine to the object's; lists show what is unfinished."""
    first, second = b"a" * 102_400, b"b" * 7
    key = "large ü\n"

    upload_id = bucket.initiate(key, {"Content-Type": "text/x"})
    parts = [
        (number, bucket.upload_part(key, upload_id, number, body, None).etag)
        for number, body in ((1, first), (2, second))
    ]
    uploads = bucket.list_uploads("large").uploads
    listed = bucket.list_parts(key, upload_id)
    done = bucket.complete(key, upload_id, parts)

    assert [(upload.key, upload.upload_id) for upload in uploads] == [(key, upload_id)]
    assert [(part.number, part.size, part.etag) for part in listed.parts] == [
        (1, len(first), parts[0][1]),
        (2, len(second), parts[1][1]),
    ]
    assert done.crc64 == combine(crc64(first), crc64(second), len(second))
    assert bucket.head(key).etag == done.etag
    assert bucket.head(key).content_type == "text/x"
    assert bucket.list_uploads().uploads == ()
    with pytest.raises(NotFoundError, match="NoSuchUpload"):
        bucket.complete(key, upload_id, parts)
    bucket.abort(key, upload_id)


def test_parts_are_copied_from_another_bucket(parts, bucket):
    """Ranges of a pinned version, server side."""
    other = open_bucket("other", *parts)
    body = bytes(range(256)) * 800
    etag = other.put("src ü", body, headers={}, crc64=None).etag
    upload_id = bucket.initiate("copy", {})
    cut = 102_400

    def copy_part(number, byte_range):
        upload = (upload_id, number)
        return bucket.copy_part("other", "src ü", byte_range, "copy", upload, if_match=etag)

    etags = [copy_part(1, ByteRange(0, cut)), copy_part(2, ByteRange(cut, len(body)))]
    bucket.complete("copy", upload_id, list(enumerate(etags, start=1)))

    assert read(bucket, "copy") == body
    with pytest.raises(PreconditionFailedError):
        bucket.copy("other", "src ü", "x", if_match='"stale"', headers={})


def test_versions_are_pinned(bucket):
    """If-Match of the version before is refused; forbid-overwrite too."""
    old = bucket.put("k", b"old", headers={}, crc64=None)
    bucket.put("k", b"newer", headers={}, crc64=None)

    with pytest.raises(PreconditionFailedError):
        read(bucket, "k", if_match=old.etag)
    with pytest.raises(SourceChangedError):
        read(bucket, "k", expected_size=3)
    with pytest.raises(PreconditionFailedError, match="FileAlreadyExists"):
        bucket.put("k", b"", headers={"x-oss-forbid-overwrite": "true"}, crc64=None)


def test_the_service_lists_buckets_and_a_bucket_says_where_it_is(parts, bucket):
    """By prefix; region as it is signed."""
    service = open_service(*parts)

    assert [found.name for found in service.list_buckets().buckets] == ["bucket", "other"]
    assert [found.name for found in service.list_buckets("oth").buckets] == ["other"]
    assert bucket.info().region == "cn-hangzhou"


def test_a_link_can_be_read_by_anybody(bucket):
    """The presigned address alone is enough."""
    bucket.put("a/b c?", b"linked", headers={}, crc64=None)
    link = urlsplit(bucket.presign("a/b c?", expires_s=60))

    # Not urllib3, which logs addresses, and this one is a secret.
    with contextlib.closing(HTTPConnection(link.netloc)) as anybody:
        anybody.request("GET", f"{link.path}?{link.query}")
        reply = anybody.getresponse()
        received = reply.read()

    assert (reply.status, received) == (200, b"linked")


def repeat(call, role, offset):
    """The call under the retry loop, without waiting."""
    retry = Retry(RetryPolicy(), wait=lambda _delay_s: False)
    value = retry.run(
        lambda _attempt: call(),
        on_refused=role.invalidate,
        on_skew=lambda error: offset.learn(error.server_time_s),
    )
    return value, retry.attempts


def test_revoked_credentials_are_replaced_and_the_request_repeated(cloud, bucket, role, offset):
    """The refused key is named, fresh ones are fetched, two attempts in all."""
    old = role.get_credentials().get_access_key_id()
    cloud.authority.revoke()
    cloud.authority.rotate()

    _, attempts = repeat(lambda: bucket.put("k", b"1", headers={}, crc64=None), role, offset)

    assert (attempts, role.refused) == (2, [old])
    assert read(bucket, "k") == b"1"


def test_a_torn_set_is_refused_as_credentials(cloud, parts):
    """Id of one set, token of another: what the documented wrapper can produce."""
    oss_settings, endpoint, role, session, offset = parts
    first = role.get_credentials()
    cloud.authority.rotate()
    role.refresh()
    torn = FixedCredentials(
        first.get_access_key_id(),
        first.get_access_key_secret(),
        role.get_credentials().get_security_token(),
    )
    bucket = open_bucket("bucket", oss_settings, endpoint, torn, session, offset)

    with pytest.raises(CredentialsRefusedError) as caught:
        bucket.head("k")

    assert caught.value.access_key_id == first.get_access_key_id()


@pytest.mark.parametrize("offset_s", [1800, -1800])  # the credentials live for 3,600
def test_a_wrong_clock_is_learned_from_the_refusal(cloud, bucket, role, offset, offset_s):
    """One refused request, then signed with the service's time."""
    cloud.clock.offset_s = offset_s

    _, attempts = repeat(lambda: bucket.list_page(""), role, offset)

    assert attempts == 2
    assert offset.seconds == pytest.approx(offset_s, abs=5)


def test_a_wrong_clock_is_named(cloud, bucket):
    """Without a retry it is an error of its own."""
    cloud.clock.offset_s = 3600

    with pytest.raises(ClockSkewedError):
        bucket.list_page("")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ((Effect.THROTTLE, {}), ThrottledError),
        ((Effect.ERROR, {"status": 503, "body": "garbage"}), ThrottledError),
        ((Effect.EXPIRED_TOKEN, {}), CredentialsRefusedError),
        ((Effect.REFUSE, {}), None),  # on a kept connection: sent once more at once
        ((Effect.RESET, {"at": 100_000}), NetworkError),
        ((Effect.CUT, {"at": 100_000}), NetworkError),
        ((Effect.FLIP, {"at": 100_000}), IntegrityError),
        ((Effect.LOSE, {}), None),
    ],
)
def test_every_fault_of_a_read_is_noticed_and_survived(cloud, bucket, role, offset, fault, kind):
    """Never a success with other bytes; the repeat has the right ones."""
    body = bytes(range(256)) * 1000
    bucket.put("k", body, headers={}, crc64=None)
    noticed = []

    def attempt():
        try:
            return read(bucket, "k", expected_size=len(body))
        except OsssyncError as error:
            noticed.append(type(error))
            raise

    effect, values = fault
    cloud.faults.inject(effect, operation="GetObject", times=1, **values)
    received, _ = repeat(attempt, role, offset)

    assert noticed == ([kind] if kind else [])
    assert received == body
