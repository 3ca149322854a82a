"""A stream of unknown length → one object: standard input.

A stream can be read only once, so every part is held in memory until OSS has confirmed it.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from osssync.checksums import combine_parts, crc64
from osssync.config import MAX_PARTS, OssAddress, TransferSettings
from osssync.errors import OsssyncError
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.transfer.steps import compare_crc64

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
    bucket, headers = connection.bucket(address.bucket), dict(settings.headers)
    chunks = _chunks(stream, settings.part_size or FIRST_PART_BYTES)
    first = next(chunks, b"")
    second = next(chunks, b"") if first else b""
    if second:
        return _Multipart(connection, bucket, address.key, settings).send(first, second, chunks)
    retry = connection.retry(settings.retries)
    crc = crc64(first)
    connection.repeat(retry, lambda: bucket.put(address.key, first, headers=headers, crc64=crc))
    return len(first)


def _chunks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    for number in range(MAX_PARTS + 1):
        # BufferedReader.read blocks until it has all or the stream has ended.
        chunk = stream.read(size << number // _GROW_EVERY)
        if not chunk:
            return
        if number == MAX_PARTS:
            raise OsssyncError("the stream is longer than 10,000 parts: give a larger --part-size")
        yield chunk


class _Multipart:
    def __init__(
        self, connection: Connection, bucket: Bucket, key: str, settings: TransferSettings
    ) -> None:
        self._connection = connection
        self._bucket = bucket
        self._key = key
        self._settings = settings
        self._parts: list[tuple[int, str]] = []
        self._sums: list[tuple[int, int]] = []

    def send(self, first: bytes, second: bytes, rest: Iterator[bytes]) -> int:
        headers = dict(self._settings.headers)
        retry = self._connection.retry(self._settings.retries)
        upload_id = self._connection.repeat(
            retry, lambda: self._bucket.initiate(self._key, headers)
        )
        try:
            self._send_parts(upload_id, first, second, rest)
            retry = self._connection.retry(self._settings.retries)
            done = self._connection.repeat(
                retry, lambda: self._bucket.complete(self._key, upload_id, self._parts)
            )
        except BaseException:
            self._bucket.abort(self._key, upload_id)
            raise
        what = f"oss://{self._bucket.name}/{self._key}"
        compare_crc64(what, combine_parts(self._sums), done.crc64)
        return sum(size for _, size in self._sums)

    def _send_parts(
        self, upload_id: str, first: bytes, second: bytes, rest: Iterator[bytes]
    ) -> None:
        waiting: deque[Future[str]] = deque()
        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="osssync-part") as threads:
            for number, chunk in enumerate(_joined(first, second, rest), start=1):
                self._sums.append((crc64(chunk), len(chunk)))
                waiting.append(threads.submit(self._send_part, upload_id, number, chunk))
                if len(waiting) == IN_FLIGHT:
                    self._parts.append((len(self._parts) + 1, waiting.popleft().result()))
            while waiting:
                self._parts.append((len(self._parts) + 1, waiting.popleft().result()))

    def _send_part(self, upload_id: str, number: int, chunk: bytes) -> str:
        crc = crc64(chunk)
        retry = self._connection.retry(self._settings.retries)
        put = self._connection.repeat(
            retry,
            lambda: self._bucket.upload_part(self._key, upload_id, number, chunk, crc64=crc),
        )
        return put.etag


def _joined(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest
