"""The verbs of one bucket, and of the service above buckets. One request each, nothing repeated.

What OSS sends is checked here: lengths, ranges, CRC-64, versions. What fails is one of
``osssync.errors``, its message naming operation, key and request id.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

from osssync import checksums
from osssync.config import OssSettings
from osssync.errors import OssError, OsssyncError
from osssync.keys import display
from osssync.model import ByteRange
from osssync.oss import documents, integrity, replies
from osssync.oss.body import Body
from osssync.oss.client import Client
from osssync.oss.documents import BucketInfo, BucketsPage, Part, PartsPage, Upload, UploadsPage
from osssync.oss.endpoint import Endpoint
from osssync.oss.headers import checked, of_copy, of_new_object, of_read
from osssync.oss.line import Line
from osssync.oss.listing import Page, parse_page
from osssync.oss.multipart import MultipartVerbs
from osssync.oss.replies import Got, ObjectMeta, PutResult
from osssync.oss.request import Request, Route
from osssync.oss.session import PooledResponse, PooledSession
from osssync.oss.signature import ClockOffset, CredentialsProvider
from osssync.oss.translate import from_transport

__all__ = [
    "Bucket",
    "BucketInfo",
    "BucketsPage",
    "Got",
    "Line",
    "ObjectMeta",
    "Page",
    "Part",
    "PartsPage",
    "PutResult",
    "Service",
    "Upload",
    "UploadsPage",
    "open_bucket",
    "open_service",
]

MAX_DELETES = 1000  # OSS limit of one DeleteMultipleObjects

Sink = Callable[[memoryview], object]


class Bucket(MultipartVerbs):
    """One bucket. Keys are whole, not relative to anything. Threads may share it.

    Every method raises OsssyncError as ``translate`` decides, beside what it lists itself.
    """

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._client.bucket

    def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str = "",
        token: str = "",
        start_after: str = "",
        limit: int = 1000,
    ) -> Page:
        """One page of the keys that begin with ``prefix``, in the order of their UTF-8 bytes.

        Args:
            prefix: of the keys; everything if empty.
            delimiter: keys with it after the prefix are summed up in ``prefixes``.
            token: ``next_token`` of the page before.
            start_after: only keys after this one.
            limit: keys and prefixes of a page, 1 to 1000.

        Raises:
            IntegrityError: the page is cut short or contradicts itself.
        """
        params = {"list-type": "2", "encoding-type": "url", "max-keys": str(limit)}
        optional = {
            "prefix": prefix,
            "delimiter": delimiter,
            "continuation-token": token,
            "start-after": start_after,
        }
        params |= {name: value for name, value in optional.items() if value}
        reply = self._client.exchange("list", Request("GET", params=params))
        with self._client.translated("list", prefix):
            return parse_page(reply.body)

    def head(self, key: str) -> ObjectMeta:
        """Describe an object."""
        return replies.object_meta(self._client.exchange("head", Request("HEAD", key)).headers)

    def get(
        self,
        key: str,
        sink: Sink,
        *,
        byte_range: ByteRange | None = None,
        if_match: str = "",
        expected_size: int | None = None,
        asked: Line | None = None,
    ) -> Got:
        """Read an object or a range of it into ``sink``, up to 1 MiB at a time, in order.

        The bytes are as stored (no content decoding). They count only once this returns: what an
        error leaves in the sink is to be discarded.

        Args:
            key: of the object.
            sink: takes each chunk, valid during the call only; what it raises passes through.
            byte_range: not empty and inside the object; the whole object if None.
            if_match: the ETag it must have, quotes included.
            expected_size: of the whole object, in bytes.
            asked: where ``ask_get`` has sent the request, if it has.

        Raises:
            PreconditionFailedError: another version is there now.
            SourceChangedError: another size or ETag than expected.
            IntegrityError: not the range asked for, bytes missing, or (of a whole object) a CRC-64
                that is not the one OSS keeps.
            ValueError: an empty range.
        """
        if asked is None:
            request = Request("GET", key, headers=of_read(byte_range, if_match))
            response = self._client.open("get", request)
        else:
            response = self._client.answer("get", key, asked)

        def what() -> str:
            return self._address(key)

        try:
            found = response.headers
            integrity.check_version(what, found, if_match)
            if byte_range is None:
                length = integrity.check_whole(
                    what, response.status, response.length, expected_size
                )
            else:
                length, _ = integrity.check_range(what, response.status, found, byte_range)
            object_crc64 = replies.crc64_of(found)
            received, crc64 = self._receive(key, response, sink)
        finally:
            response.close()
        integrity.check_received(what, length, received)
        if byte_range is None:
            integrity.compare_crc64(what, crc64, object_crc64)
        return Got(
            received=received,
            crc64=crc64,
            object_crc64=object_crc64,
            etag=found.lowercase("etag", ""),
        )

    def line(self) -> Line | None:
        """An idle connection for ``ask_get`` and ``ask_put``; None if none is."""
        return self._client.line()

    def ask_get(
        self, lines: Sequence[Line], wanted: Sequence[tuple[str, str] | None]
    ) -> Sequence[bool]:
        """Send the requests of ``get`` for whole objects, each on its line; what was sent.

        Args:
            lines: idle ones; of what was not sent it may have broken.
            wanted: key and ``if_match`` of each; None: nothing.
        """
        requests = [one and Request("GET", one[0], headers=of_read(None, one[1])) for one in wanted]
        return self._client.ask(lines, requests)

    def ask_put(
        self,
        lines: Sequence[Line],
        bodies: Sequence[tuple[str, bytes] | None],
        *,
        headers: Mapping[str, str],
    ) -> Sequence[bool]:
        """Send the requests of ``put``, each on its line; what was sent.

        Args:
            lines: idle ones; of what was not sent it may have broken.
            bodies: key and body of each; None: nothing.
            headers: of all these objects, as ``put`` has them.
        """
        fresh = of_new_object(headers)
        requests = [one and Request("PUT", one[0], headers=fresh, body=one[1]) for one in bodies]
        return self._client.ask(lines, requests)

    def put(
        self,
        key: str,
        body: Body,
        *,
        headers: Mapping[str, str],
        crc64: int | None,
        asked: Line | None = None,
    ) -> PutResult:
        """Write a whole object of at most 5 GiB; there is no moment at which half of it is seen.

        Args:
            key: of the object.
            body: all of it.
            headers: of the object: Content-Type (application/octet-stream), metadata, class, ACL.
            crc64: of the body if known; computed for bytes, not compared for files otherwise.
            asked: where ``ask_put`` has sent the request, if it has.

        Raises:
            IntegrityError: OSS received other bytes; the wrong object is there until put again.
            PreconditionFailedError: forbid-overwrite was asked for, and an object is there.
            UsageError: a header that cannot be sent.
        """
        expected = integrity.crc64_of_body(body) if crc64 is None else crc64
        if asked is None:
            request = Request("PUT", key, headers=of_new_object(headers), body=body)
            reply = self._client.exchange("put", request)
        else:
            reply = self._client.read("put", key, self._client.answer("put", key, asked))
        result = replies.put_result(reply.headers)
        integrity.compare_crc64(lambda: self._address(key), expected, result.crc64)
        return result

    def copy(
        self,
        source_bucket: str,
        source_key: str,
        key: str,
        *,
        if_match: str = "",
        headers: Mapping[str, str],
    ) -> PutResult:
        """Copy an object of this region, server side, at most 1 GiB.

        Metadata comes along, unless ``headers`` hold ``x-oss-metadata-directive: REPLACE``.

        Args:
            source_bucket: where the source is.
            source_key: the whole key of the source.
            key: of the copy.
            if_match: the source's ETag; another version is refused.
            headers: of the new object.

        Raises:
            PreconditionFailedError: the source has changed.
            UsageError: a header that cannot be sent.
        """
        fresh = checked(headers) | of_copy(source_bucket, source_key, if_match)
        reply = self._client.exchange("copy", Request("PUT", key, headers=fresh))
        etag = self._etag("copy", key, reply.headers, reply.body)
        version_id = reply.headers.get("x-oss-version-id", "")
        return PutResult(etag, replies.crc64_of(reply.headers), version_id)

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is fine."""
        self._client.exchange("delete", Request("DELETE", key))

    def delete_many(self, keys: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
        """Delete at most 1,000 objects; returns key, code and message of each that was not.

        Keys that XML cannot carry go one by one. A key that OSS does not confirm is a failure.

        Raises:
            ValueError: more than 1,000 keys.
        """
        if len(keys) > MAX_DELETES:
            raise ValueError(f"{len(keys)} keys in one delete; OSS takes {MAX_DELETES}")
        written = [key for key in keys if documents.can_be_written(key)]
        failures = self._delete_batch(written) if written else []
        for key in keys:
            if not documents.can_be_written(key):
                failures += self._delete_one(key)
        return tuple(failures)

    def restore(self, key: str, days: int) -> None:
        """Ask for an archived object to be readable for ``days``; asking again is fine."""
        body = documents.restore_request(days)
        try:
            self._client.send("restore", Request("POST", key, {"restore": ""}, body=body))
        except OssError as error:
            if error.code != "RestoreAlreadyInProgress":
                raise

    def info(self) -> BucketInfo:
        """Where the bucket is, whose it is, and its storage class."""
        reply = self._client.send("get info of", Request("GET", params={"bucketInfo": ""}))
        with self._client.translated("get info of"):
            return documents.parse_bucket_info(reply.body)

    def presign(self, key: str, *, expires_s: int, method: str = "GET") -> str:
        """A link that needs no credentials; it dies with those that signed it, if not before."""
        return self._client.presign(method, key, expires_s)

    def _receive(self, key: str, response: PooledResponse, sink: Sink) -> tuple[int, int]:
        received = crc64 = 0
        while True:
            try:
                chunk = response.take()
            except OSError as error:
                raise from_transport(error, self._client.subject("get", key)) from error
            if not chunk:
                return received, crc64
            received += len(chunk)
            crc64 = checksums.crc64(chunk, crc64)
            # Outside the "try": a full disk is not the network's fault.
            sink(chunk)
            if response.is_read:
                return received, crc64

    def _delete_batch(self, keys: Sequence[str]) -> list[tuple[str, str, str]]:
        body = documents.delete_request(keys)
        digest = hashlib.md5(body, usedforsecurity=False).digest()  # OSS requires Content-MD5
        request = Request(
            "POST",
            params={"delete": "", "encoding-type": "url"},
            headers={"Content-MD5": b64encode(digest).decode(), "Content-Type": "application/xml"},
            body=body,
        )
        reply = self._client.exchange("delete keys of", request)
        with self._client.translated("delete keys of"):
            deleted, failed = documents.parse_deleted(reply.body)
        unconfirmed = ("", "OSS did not confirm the deletion")
        return [(key, *failed.get(key, unconfirmed)) for key in keys if key not in deleted]

    def _delete_one(self, key: str) -> list[tuple[str, str, str]]:
        try:
            self.delete(key)
        except OsssyncError as error:
            if error.retryable:  # deleting all of them again is harmless
                raise
            return [(key, getattr(error, "code", ""), str(error))]
        return []

    def _address(self, key: str) -> str:
        return f"oss://{self.name}/{display(key)}"


class Service:
    """What is above buckets. Threads may share it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_buckets(self, prefix: str = "", marker: str = "", limit: int = 1000) -> BucketsPage:
        """One page of the account's buckets whose names begin with ``prefix``."""
        params = {"max-keys": str(limit)}
        params |= {name: value for name, value in (("prefix", prefix), ("marker", marker)) if value}
        reply = self._client.send("list buckets of", Request("GET", params=params))
        with self._client.translated("list buckets of"):
            return documents.parse_buckets(reply.body)


def open_bucket(
    name: str,
    settings: OssSettings,
    endpoint: Endpoint,
    provider: CredentialsProvider,
    session: PooledSession,
    clock_offset: ClockOffset,
) -> Bucket:
    """The verbs of a bucket. No request is made; session and clock may serve several buckets.

    Raises:
        UsageError: a name or an endpoint that cannot be.
    """
    return Bucket(Client(Route(settings, endpoint, provider, session, clock_offset), name))


def open_service(
    settings: OssSettings,
    endpoint: Endpoint,
    provider: CredentialsProvider,
    session: PooledSession,
    clock_offset: ClockOffset,
) -> Service:
    """The verbs above buckets. No request is made.

    Raises:
        UsageError: an endpoint that cannot be.
    """
    return Service(Client(Route(settings, endpoint, provider, session, clock_offset), ""))
