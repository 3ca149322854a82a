"""The verbs of multipart uploads: initiate, upload or copy parts, complete, abort, list."""

from collections.abc import Mapping, Sequence

from osssync.errors import NotFoundError
from osssync.model import ByteRange
from osssync.oss import documents, headers, replies
from osssync.oss.body import Body
from osssync.oss.client import Client
from osssync.oss.integrity import compare_crc64, crc64_of_body
from osssync.oss.request import Request

_URL_ENCODED = {"encoding-type": "url"}
_PAGE = "1000"  # the most OSS gives


class MultipartVerbs:
    """Requests about uploads in parts; the half of ``Bucket`` that small objects never need.

    Nothing is repeated here. Every method raises OsssyncError as ``translate`` decides.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def initiate(self, key: str, object_headers: Mapping[str, str]) -> str:
        """Begin an upload; returns its id. Headers are the object's: metadata, class, ACL.

        Raises:
            UsageError: a header that cannot be sent.
        """
        fresh = headers.of_new_object(object_headers)
        request = Request("POST", key, {"uploads": "", **_URL_ENCODED}, fresh)
        reply = self._client.exchange("initiate upload", request)
        with self._client.translated("initiate upload", key):
            return documents.parse_upload_id(reply.body)

    def upload_part(
        self, key: str, upload_id: str, number: int, body: Body, crc64: int | None
    ) -> replies.PutResult:
        """Upload part ``number`` (1 to 10,000); the same number again replaces the part.

        Args:
            key: of the upload.
            upload_id: of the upload.
            number: of the part.
            body: all of the part.
            crc64: of the body if known; computed for bytes, not compared for files otherwise.

        Raises:
            IntegrityError: OSS received other bytes.
            NotFoundError: no such upload (any more).
        """
        expected = crc64_of_body(body) if crc64 is None else crc64
        params = {"uploadId": upload_id, "partNumber": str(number)}
        reply = self._client.exchange("upload part", Request("PUT", key, params, body=body))
        result = replies.put_result(reply.headers)
        address = f"oss://{self._client.bucket}/{key}"
        compare_crc64(lambda: f"part {number} of {address}", expected, result.crc64)
        return result

    def copy_part(
        self,
        source_bucket: str,
        source_key: str,
        byte_range: ByteRange,
        key: str,
        upload: tuple[str, int],
        *,
        if_match: str = "",
    ) -> str:
        """Make a range of an object of this region a part, server side; returns the part's ETag.

        Args:
            source_bucket: where the source is.
            source_key: the whole key of the source.
            byte_range: at least 100 KiB, unless it is the end.
            key: of the upload.
            upload: its id and the number of the part.
            if_match: the source's ETag; another version is refused.

        Raises:
            PreconditionFailedError: the source has changed.
        """
        upload_id, number = upload
        fresh = headers.of_copy(source_bucket, source_key, if_match)
        fresh["x-oss-copy-source-range"] = headers.inclusive(byte_range)
        params = {"uploadId": upload_id, "partNumber": str(number)}
        reply = self._client.exchange("copy part", Request("PUT", key, params, fresh))
        return self._etag("copy part", key, reply.headers, reply.body)

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[tuple[int, str]],
        object_headers: Mapping[str, str] | None = None,
    ) -> replies.PutResult:
        """Join the parts, given as (number, ETag), into the object.

        ``crc64`` of the result is of the whole object, None if a part was copied without one. OSS
        may finish although the answer is lost; the upload is then unknown (NotFoundError).

        Raises:
            PreconditionFailedError: forbid-overwrite was asked for, and an object is there.
            UsageError: a header that cannot be sent.
        """
        request = Request(
            "POST",
            key,
            {"uploadId": upload_id, **_URL_ENCODED},
            headers.checked(object_headers or {}),
            documents.complete_request(parts),
        )
        reply = self._client.exchange("complete upload", request)
        etag = self._etag("complete upload", key, reply.headers, reply.body)
        return replies.PutResult(
            etag, replies.crc64_of(reply.headers), reply.headers.get("x-oss-version-id", "")
        )

    def abort(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; one that is not there (any more) is fine."""
        try:
            self._client.exchange("abort upload", Request("DELETE", key, {"uploadId": upload_id}))
        except NotFoundError as error:
            if error.code not in ("NoSuchUpload", ""):
                raise

    def list_parts(self, key: str, upload_id: str, *, after: int = 0) -> documents.PartsPage:
        """Up to 1,000 parts with numbers greater than ``after``."""
        params = {"uploadId": upload_id, "max-parts": _PAGE, **_URL_ENCODED}
        if after:
            params["part-number-marker"] = str(after)
        reply = self._client.exchange("list parts", Request("GET", key, params))
        with self._client.translated("list parts", key):
            return documents.parse_parts(reply.body)

    def list_uploads(
        self, prefix: str = "", *, marker: tuple[str, str] = ("", ""), limit: int = 1000
    ) -> documents.UploadsPage:
        """One page of the unfinished uploads of keys that begin with ``prefix``.

        Args:
            prefix: of the keys; everything if empty.
            marker: ``next_marker`` of the page before.
            limit: uploads of a page, 1 to 1000.

        Raises:
            IntegrityError: the page does not say where the next one begins, or leads in a circle.
        """
        optional = {"prefix": prefix, "key-marker": marker[0], "upload-id-marker": marker[1]}
        params = {"uploads": "", "max-uploads": str(limit), **_URL_ENCODED}
        params |= {name: value for name, value in optional.items() if value}
        reply = self._client.send("list uploads", Request("GET", params=params))
        with self._client.translated("list uploads", prefix):
            return documents.parse_uploads(reply.body, marker)

    def _etag(self, operation: str, key: str, found: Mapping[str, str], body: bytes) -> str:
        # The header is not documented for every operation that has the element; either will do.
        with self._client.translated(operation, key):
            return documents.parse_etag(body) or found.get("etag", "")
