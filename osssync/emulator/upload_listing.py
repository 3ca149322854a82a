"""ListMultipartUploads and ListParts.

Source: help.aliyun.com, ListMultipartUploads, ListParts (read 2026-11).
"""

from collections.abc import Iterator

from osssync.emulator.call import Call, Reply, xml_reply
from osssync.emulator.listing import Window, check_query, encoder, encoding_element, entries
from osssync.emulator.moments import extended
from osssync.emulator.multipart import LIST_PARTS_EC, MAX_PART_NUMBER, find_upload
from osssync.emulator.objects import Bucket
from osssync.emulator.records import Upload
from osssync.emulator.sorted_keys import SortedKeys
from osssync.emulator.xml import document, leaf, tree


def _lines(bucket: Bucket, window: Window, id_marker: str) -> Iterator[tuple[str, Upload | None]]:
    """Uploads by key, then by id, after the markers; None with a common prefix."""
    keys = SortedKeys()
    by_key: dict[str, list[Upload]] = {}
    for upload in sorted(bucket.uploads.values(), key=lambda one: one.upload_id):
        keys.add(upload.model.key)
        by_key.setdefault(upload.model.key, []).append(upload)

    def source(start: str, inclusive: bool) -> Iterator[str]:  # noqa: FBT001 - a listing.Source
        return keys.walk(start, inclusive=inclusive)

    for name, is_common in entries(source, window):
        if is_common:
            yield name, None
            continue
        for upload in by_key[name]:
            if name != window.after or upload.upload_id > id_marker:
                yield name, upload


async def list_uploads(call: Call) -> Reply:
    """ListMultipartUploads."""
    check_query(call)
    bucket, encode = call.the_bucket(), encoder(call)
    limit = call.number("max-uploads", 1000, 1, 1000)
    prefix, delimiter = call.parameter("prefix"), call.parameter("delimiter")
    key_marker = call.parameter("key-marker")
    id_marker = call.parameter("upload-id-marker") if key_marker else ""
    window = Window(prefix, delimiter, key_marker, limit, include_after=bool(id_marker))
    with call.objects.lock:
        lines = list(_lines(bucket, window, id_marker))
    shown, truncated = lines[:limit], len(lines) > limit
    last_key, last_upload = shown[-1] if truncated else ("", None)
    root = tree(
        "ListMultipartUploadsResult",
        encoding_element(call),
        leaf("Bucket", bucket.name),
        f"<KeyMarker>{encode(key_marker)}</KeyMarker>",
        leaf("UploadIdMarker", id_marker),
        f"<NextKeyMarker>{encode(last_key)}</NextKeyMarker>",
        leaf("NextUploadIdMarker", last_upload.upload_id if last_upload else ""),
        f"<Delimiter>{encode(delimiter)}</Delimiter>",
        f"<Prefix>{encode(prefix)}</Prefix>",
        leaf("MaxUploads", limit),
        leaf("IsTruncated", "true" if truncated else "false"),
        *(_upload(encode(name), upload) for name, upload in shown),
    )
    return xml_reply(document(root))


def _upload(name: str, upload: Upload | None) -> str:
    if upload is None:
        return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
    return tree(
        "Upload",
        f"<Key>{name}</Key>",
        leaf("UploadId", upload.upload_id),
        leaf("StorageClass", upload.model.storage_class),
        leaf("Initiated", extended(upload.model.modified_s)),
    )


async def list_parts(call: Call) -> Reply:
    """ListParts, in order of their numbers."""
    bucket, encode = call.the_bucket(), encoder(call)
    limit = call.number("max-parts", 1000, 1, 1000)
    marker = call.number("part-number-marker", 0, 0, MAX_PART_NUMBER)
    with call.objects.lock:
        upload = find_upload(call, bucket, LIST_PARTS_EC)
        numbers = sorted(number for number in upload.parts if number > marker)
        parts = [upload.parts[number] for number in numbers[:limit]]
    truncated = len(numbers) > limit
    root = tree(
        "ListPartsResult",
        encoding_element(call),
        leaf("Bucket", bucket.name),
        f"<Key>{encode(call.key)}</Key>",
        leaf("UploadId", upload.upload_id),
        leaf("StorageClass", upload.model.storage_class),
        leaf("PartNumberMarker", marker),
        leaf("NextPartNumberMarker", parts[-1].number if parts else marker),
        leaf("MaxParts", limit),
        leaf("IsTruncated", "true" if truncated else "false"),
        *(
            tree(
                "Part",
                leaf("PartNumber", part.number),
                leaf("LastModified", extended(part.modified_s)),
                f'<ETag>"{part.etag}"</ETag>',
                leaf("HashCrc64ecma", part.crc64),
                leaf("Size", part.content.size),
            )
            for part in parts
        ),
    )
    return xml_reply(document(root))
