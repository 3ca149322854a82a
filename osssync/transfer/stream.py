"""A stream of unknown length → one object: standard input.

A stream can be read only once, so every part is held in memory until OSS has confirmed it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar

from osssync.checksums import combine_parts, crc64
from osssync.config import MAX_PARTS, OssAddress, TransferSettings
from osssync.errors import LocalFileError, NotFoundError, OsssyncError
from osssync.keys import display
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.transfer.steps import ABORT_RETRIES, check_stored, compare_crc64, of_complete

T = TypeVar("T")

FIRST_PART_BYTES = 8 << 20
IN_FLIGHT = 4  # parts in memory at once
_GROW_EVERY = 1250
"""Parts after which the part size doubles: 10,000 parts of 8 MiB … 1 GiB reach 20 TB."""


def upload_stream(
    connection: Connection, address: OssAddress, stream: BinaryIO, settings: TransferSettings
) -> int:
    """Read ``stream`` to its end into one object; returns its size in bytes.

    Nothing is visible before everything is there; a failed upload is aborted.

    Raises:
        OsssyncError: it did not arrive, or is too long (more than 10,000 parts).
    """
    chunks = _chunks(stream, settings.part_size or FIRST_PART_BYTES)
    first = next(chunks, b"")
    second = next(chunks, b"") if first else b""
    upload = _StreamUpload(connection, address, settings)
    return upload.send_parts(first, second, chunks) if second else upload.send_whole(first)


def _chunks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    for number in range(MAX_PARTS + 1):
        # BufferedReader.read blocks until it has all or the stream has ended.
        try:
            chunk = stream.read(size << number // _GROW_EVERY)
        except OSError as error:
            raise LocalFileError(f"cannot read the stream: {error.strerror}") from error
        if not chunk:
            return
        if number == MAX_PARTS:
            raise OsssyncError("the stream is longer than 10,000 parts: give a larger --part-size")
        yield chunk


class _StreamUpload:
    """One object on its way up, as parts or whole."""

    def __init__(
        self, connection: Connection, address: OssAddress, settings: TransferSettings
    ) -> None:
        self._connection = connection
        self._bucket: Bucket = connection.bucket(address.bucket)
        self._key = address.key
        self._name = f"oss://{address.bucket}/{display(address.key)}"
        self._settings = settings
        self._stopping = threading.Event()
        self._parts: list[tuple[int, str]] = []
        self._sums: list[tuple[int, int]] = []

    def send_whole(self, data: bytes) -> int:
        def put() -> None:
            headers = dict(self._settings.headers)
            stored = self._bucket.put(self._key, data, headers=headers, crc64=crc64(data))
            check_stored(self._name, stored.etag)

        self._repeat(put)
        return len(data)

    def send_parts(self, first: bytes, second: bytes, rest: Iterator[bytes]) -> int:
        headers = dict(self._settings.headers)
        upload_id = self._repeat(lambda: self._bucket.initiate(self._key, headers))
        try:
            self._fill(upload_id, _joined(first, second, rest))
            stored = self._repeat(lambda: self._complete(upload_id))
        except BaseException as error:
            self._put_away(upload_id, error)
            raise
        compare_crc64(self._name, combine_parts(self._sums), stored)
        return sum(size for _, size in self._sums)

    def _fill(self, upload_id: str, chunks: Iterator[bytes]) -> None:
        waiting: deque[Future[str]] = deque()
        threads = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="osssync-part")
        try:
            for number, chunk in enumerate(chunks, start=1):
                self._sums.append((crc64(chunk), len(chunk)))
                waiting.append(threads.submit(self._send_part, upload_id, number, chunk))
                if len(waiting) == IN_FLIGHT:
                    self._parts.append((len(self._parts) + 1, waiting.popleft().result()))
            while waiting:
                self._parts.append((len(self._parts) + 1, waiting.popleft().result()))
        except BaseException:
            self._stopping.set()  # the other parts need not be patient any more
            raise
        finally:
            threads.shutdown(cancel_futures=True)

    def _send_part(self, upload_id: str, number: int, chunk: bytes) -> str:
        crc = crc64(chunk)

        def put() -> str:
            stored = self._bucket.upload_part(self._key, upload_id, number, chunk, crc64=crc)
            check_stored(f"part {number} of {self._name}", stored.etag)
            return stored.etag

        return self._repeat(put)

    def _complete(self, upload_id: str) -> int | None:
        try:
            headers = of_complete(dict(self._settings.headers))
            return self._bucket.complete(self._key, upload_id, self._parts, headers).crc64
        except NotFoundError as error:
            # OSS finishes a Complete whose answer was lost, and then no longer knows the upload.
            meta = self._bucket.head(self._key)
            if meta.crc64 is None or meta.crc64 != combine_parts(self._sums):
                raise error from None
            return meta.crc64

    def _put_away(self, upload_id: str, reason: BaseException) -> None:
        try:
            retry = self._connection.retry(ABORT_RETRIES)
            self._connection.repeat(retry, lambda: self._bucket.abort(self._key, upload_id))
        except OsssyncError as error:
            reason.add_note(f"its upload {upload_id} stays, and is billed: {error}")

    def _repeat(self, call: Callable[[], T]) -> T:
        retry = self._connection.retry(self._settings.retries, self._stopping.wait)
        return self._connection.repeat(retry, call)


def _joined(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest
