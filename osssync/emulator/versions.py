"""ListObjectVersions.

Source: help.aliyun.com, ListObjectVersions (GetBucketVersions) (read 2026-11).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.listing import (
    OWNER,
    Window,
    check_query,
    encoder,
    encoding_element,
    entries,
    restore_info,
)
from osssync.emulator.moments import extended
from osssync.emulator.objects import Bucket
from osssync.emulator.records import Version
from osssync.emulator.xml import document, leaf, tree


@dataclass(frozen=True, slots=True)
class _Shown:
    """One line of the listing: a version, or a common prefix without one."""

    name: str
    version: Version | None
    latest: bool = False


def _lines(bucket: Bucket, window: Window, version_marker: str) -> Iterator[_Shown]:
    """All that comes after the markers, newest versions of a key first."""

    def source(start: str, inclusive: bool) -> Iterator[str]:  # noqa: FBT001 - a listing.Source
        return bucket.keys.walk(start, inclusive=inclusive)

    for name, is_common in entries(source, window):
        if is_common:
            yield _Shown(name, None)
            continue
        found = bucket.versions[name]
        first = 0
        if name == window.after and version_marker:
            places = [n for n, one in enumerate(found) if one.version_id == version_marker]
            first = places[0] + 1 if places else 0
        for number in range(first, len(found)):
            yield _Shown(name, found[number], latest=number == 0)


async def list_object_versions(call: Call) -> Reply:
    """ListObjectVersions: versions, delete markers and common prefixes, counted together."""
    check_query(call)
    bucket, encode = call.the_bucket(), encoder(call)
    limit = call.number("max-keys", 100, 1, 1000)
    key_marker, version_marker = call.parameter("key-marker"), call.parameter("version-id-marker")
    if version_marker and not key_marker:
        text = "A version-id marker cannot be specified without a key marker."
        raise invalid_argument(text, "version-id-marker", version_marker)
    prefix, delimiter = call.parameter("prefix"), call.parameter("delimiter")
    window = Window(prefix, delimiter, key_marker, limit, include_after=bool(version_marker))
    with call.objects.lock:
        shown: list[_Shown] = []
        truncated = False
        for line in _lines(bucket, window, version_marker):
            if len(shown) == limit:
                truncated = True
                break
            shown.append(line)
    last = shown[-1] if truncated else None
    next_version = last.version.version_id if last and last.version else ""
    root = tree(
        "ListVersionsResult",
        leaf("Name", bucket.name),
        f"<Prefix>{encode(prefix)}</Prefix>",
        f"<KeyMarker>{encode(key_marker)}</KeyMarker>",
        leaf("VersionIdMarker", version_marker),
        leaf("MaxKeys", limit),
        f"<Delimiter>{encode(delimiter)}</Delimiter>",
        encoding_element(call),
        leaf("IsTruncated", "true" if truncated else "false"),
        f"<NextKeyMarker>{encode(last.name)}</NextKeyMarker>" if last else "",
        leaf("NextVersionIdMarker", next_version) if last else "",
        *(_line(line, encode(line.name), call.now_s) for line in shown),
    )
    return xml_reply(document(root))


def _line(line: _Shown, name: str, now_s: float) -> str:
    version = line.version
    if version is None:
        return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
    identity = (
        f"<Key>{name}</Key>",
        leaf("VersionId", version.version_id),
        leaf("IsLatest", "true" if line.latest else "false"),
        leaf("LastModified", extended(version.modified_s)),
    )
    if version.is_marker:
        return tree("DeleteMarker", *identity, OWNER)
    return tree(
        "Version",
        *identity,
        f'<ETag>"{version.etag}"</ETag>',
        leaf("Type", version.kind),
        leaf("Size", version.size),
        leaf("StorageClass", version.storage_class),
        restore_info(version, now_s),
        OWNER,
    )
