"""Looking at OSS and removing from it: what ``ls``, ``stat``, ``cat`` and ``rm`` do. No output."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from osssync.config import OssAddress
from osssync.errors import (
    IntegrityError,
    NetworkError,
    NotFoundError,
    PreconditionFailedError,
    SourceChangedError,
    UsageError,
)
from osssync.model import ByteRange, Entry
from osssync.oss.connection import Connection
from osssync.oss.documents import BucketInfo, BucketsPage
from osssync.oss.listing import Page
from osssync.oss.replies import ObjectMeta
from osssync.oss.tree import list_tree
from osssync.trees import tree_prefix

RETRIES = 9
DELETE_BATCH = 1000  # OSS limit of DeleteMultipleObjects


class Listed(Struct, frozen=True):
    """One line of a listing: an object, or a common prefix (``entry`` is None)."""

    key: str
    entry: Entry | None


def list_buckets(connection: Connection) -> Iterator[BucketInfo]:
    """All buckets of the account that these credentials may list, in name order."""
    service = connection.service()
    marker = ""
    while True:

        def ask(asked: str = marker) -> BucketsPage:
            return service.list_buckets(marker=asked)

        page = connection.repeat(connection.retry(RETRIES), ask)
        yield from page.buckets
        marker = page.next_marker
        if not marker:
            return


def list_objects(
    connection: Connection, address: OssAddress, *, recursive: bool
) -> Iterator[Listed]:
    """What begins with the address's key; folded at the next "/" unless ``recursive``."""
    bucket = connection.bucket(address.bucket)
    token = ""
    while True:

        def ask(asked: str = token) -> Page:
            delimiter = "" if recursive else "/"
            return bucket.list_page(address.key, delimiter=delimiter, token=asked)

        page = connection.repeat(connection.retry(RETRIES), ask)
        lines = [Listed(entry.key, entry) for entry in page.entries]
        lines += [Listed(prefix, None) for prefix in page.prefixes]
        yield from sorted(lines, key=lambda line: line.key)
        token = page.next_token
        if not token:
            return


def stat(connection: Connection, address: OssAddress) -> ObjectMeta:
    """What OSS knows about one object.

    Raises:
        NotFoundError: no such object.
    """
    bucket = connection.bucket(_object(address).bucket)
    return connection.repeat(connection.retry(RETRIES), lambda: bucket.head(address.key))


def read(connection: Connection, address: OssAddress, sink: Callable[[memoryview], object]) -> int:
    """Stream one object into ``sink``, in order; returns the bytes.

    A connection that breaks is taken up again where it stopped, on the same version only.

    Raises:
        SourceChangedError: overwritten meanwhile; ``sink`` has the beginning of the old version.
        IntegrityError: OSS's checksum is another one than that of the bytes.
    """
    from osssync.checksums import crc64

    bucket = connection.bucket(_object(address).bucket)
    meta = stat(connection, address)
    offset, crc = 0, 0

    def pass_on(chunk: memoryview) -> None:
        nonlocal offset, crc
        sink(chunk)
        crc = crc64(chunk, crc)
        offset += len(chunk)

    def rest() -> None:
        if offset < meta.size:
            rest_range = ByteRange(offset, meta.size)
            bucket.get(address.key, pass_on, byte_range=rest_range, if_match=meta.etag)

    try:
        _while_it_moves(connection, rest, lambda: offset)
    except PreconditionFailedError as error:
        raise SourceChangedError(f"{address}: overwritten while it was read") from error
    if meta.crc64 is not None and crc != meta.crc64:
        raise IntegrityError(f"{address}: CRC-64 is {crc}, expected {meta.crc64}")
    return offset


def _while_it_moves(
    connection: Connection, call: Callable[[], None], position: Callable[[], int]
) -> None:
    """Repeat ``call`` after cut connections, with new patience whenever it got further."""
    while True:
        before = position()
        try:
            return connection.repeat(connection.retry(RETRIES), call)
        except NetworkError:
            if position() == before:
                raise


def remove_object(connection: Connection, address: OssAddress) -> None:
    """Delete one object.

    Raises:
        NotFoundError: it is not there (OSS itself would not say).
    """
    bucket = connection.bucket(_object(address).bucket)
    stat(connection, address)
    connection.repeat(connection.retry(RETRIES), lambda: bucket.delete(address.key))


def keys_below(connection: Connection, address: OssAddress) -> Iterator[str]:
    """The object called like the prefix and everything below it: "a" means "a" and "a/…"."""
    bucket = connection.bucket(address.bucket)
    prefix = tree_prefix(address.key)
    for key in dict.fromkeys((address.key, prefix)):
        if key and _exists(connection, OssAddress(address.bucket, key)):
            yield key
    for entry in list_tree(connection, bucket, prefix):
        yield prefix + entry.key


def _exists(connection: Connection, address: OssAddress) -> bool:
    try:
        stat(connection, address)
    except NotFoundError as error:
        if error.code == "NoSuchBucket":
            raise
        return False
    return True


def remove_all(
    connection: Connection, bucket_name: str, keys: Iterator[str]
) -> Iterator[tuple[str, str]]:
    """Delete keys in batches; yields (key, "") when gone and (key, reason) when not."""
    bucket = connection.bucket(bucket_name)
    batch: list[str] = []
    for key in keys:
        batch.append(key)
        if len(batch) == DELETE_BATCH:
            yield from _remove_batch(connection, bucket.delete_many, batch)
            batch = []
    if batch:
        yield from _remove_batch(connection, bucket.delete_many, batch)


def _remove_batch(
    connection: Connection,
    delete_many: Callable[[list[str]], tuple[tuple[str, str, str], ...]],
    batch: list[str],
) -> Iterator[tuple[str, str]]:
    failures = connection.repeat(connection.retry(RETRIES), lambda: delete_many(batch))
    reasons = {key: f"{code}: {message}" for key, code, message in failures}
    for key in batch:
        yield key, reasons.get(key, "")


def _object(address: OssAddress) -> OssAddress:
    if not address.key:
        raise UsageError(f"{address} is a bucket: give the key of an object")
    return address
