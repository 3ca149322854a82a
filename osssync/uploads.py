"""Unfinished multipart uploads: finding them, and aborting them. No output.

OSS keeps their parts, and charges for them, until somebody completes or aborts each.
"""

from collections.abc import Iterator

from osssync.config import OssAddress
from osssync.errors import OssError
from osssync.oss.connection import Connection
from osssync.oss.documents import Upload, UploadsPage

RETRIES = 9


def list_unfinished(connection: Connection, address: OssAddress) -> Iterator[Upload]:
    """Uploads of keys that begin with the address's key; aborting some meanwhile is fine.

    Raises:
        OsssyncError: the listing could not be read to its end.
    """
    bucket = connection.bucket(address.bucket)
    marker = ("", "")
    while True:

        def ask(asked: tuple[str, str] = marker) -> UploadsPage:
            return bucket.list_uploads(address.key, marker=asked)

        page = connection.repeat(connection.retry(RETRIES), ask)
        yield from page.uploads
        marker = page.next_marker
        if marker == ("", ""):
            return


def is_older(connection: Connection, upload: Upload, age_s: float) -> bool:
    """Whether it was initiated more than ``age_s`` seconds ago, by OSS's clock where known."""
    return connection.clock_offset.now() - upload.initiated_ns / 1e9 > age_s


def abort(connection: Connection, bucket_name: str, upload: Upload) -> str:
    """Drop an upload and its parts; returns why OSS refused, "" when it is gone.

    Raises:
        OsssyncError: what would fail the next one too, such as a network that is down.
    """
    bucket = connection.bucket(bucket_name)
    try:
        connection.repeat(
            connection.retry(RETRIES), lambda: bucket.abort(upload.key, upload.upload_id)
        )
    except OssError as error:
        if error.retryable:
            raise
        return str(error)
    return ""
