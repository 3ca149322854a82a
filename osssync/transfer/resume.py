"""What uploads and copies share when they prove the parts that an earlier run left at OSS.

Only our own records count: a part that OSS lists and we have no record of may hold anything, and
a record that OSS does not confirm, number, size and ETag, is worth nothing.

Source: help.aliyun.com, ListParts: "build the list of parts from your own records" (read 2026-11).
"""

from collections.abc import Mapping
from hashlib import blake2b

from osssync.errors import AccessDeniedError, IntegrityError, NotFoundError
from osssync.keys import display
from osssync.model import PartReceipt, Pinned
from osssync.oss.bucket import Bucket, Part


def confirmed_parts(
    bucket: Bucket, key: str, pinned: Pinned, receipts: tuple[PartReceipt, ...]
) -> tuple[PartReceipt, ...] | None:
    """Those receipts whose parts OSS holds; None if it no longer knows the upload.

    A role that may not list parts confirms none: they are sent again into the same upload.

    Raises:
        OsssyncError: OSS could not be asked.
    """
    try:
        listed = _list_parts(bucket, key, pinned.transfer_id)
    except AccessDeniedError:
        return ()
    except NotFoundError as error:
        if error.code != "NoSuchUpload":
            raise
        return None
    return tuple(receipt for receipt in receipts if _confirms(listed.get(receipt.number), receipt))


def is_whole(receipts: tuple[PartReceipt, ...], size: int) -> bool:
    """Whether the parts, in order, make up ``size`` bytes without a gap."""
    stop = 0
    for receipt in receipts:
        if receipt.byte_range.start != stop:
            return False
        stop = receipt.byte_range.stop
    return stop == size


def hash_of_headers(headers: Mapping[str, str]) -> str:
    """What ``Pinned.headers_hash`` holds for these headers of a new object."""
    text = repr(sorted((name.lower(), value) for name, value in headers.items()))
    return blake2b(text.encode(errors="backslashreplace"), digest_size=8).hexdigest()


def _list_parts(bucket: Bucket, key: str, upload_id: str) -> dict[int, Part]:
    parts: dict[int, Part] = {}
    after = 0
    while True:
        page = bucket.list_parts(key, upload_id, after=after)
        parts.update((part.number, part) for part in page.parts)
        if not page.next_after:
            return parts
        if page.next_after <= after:
            what = f"oss://{bucket.name}/{display(key)}"
            raise IntegrityError(f"{what}: the listing of its parts does not go on after {after}")
        after = page.next_after


def _confirms(part: Part | None, receipt: PartReceipt) -> bool:
    if part is None or (part.size, _bare(part.etag)) != (
        len(receipt.byte_range),
        _bare(receipt.etag),
    ):
        return False
    return None in (part.crc64, receipt.crc64) or part.crc64 == receipt.crc64


def _bare(etag: str) -> str:
    """Headers have quotes around it; of the XML of some operations that is not documented."""
    return etag.strip('"')
