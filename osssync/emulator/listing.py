"""ListObjects and ListObjectsV2, and the walk that every listing with a delimiter shares.

Source: help.aliyun.com, ListObjects (GetBucket), ListObjectsV2 (read 2026-11).
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from osssync.emulator.authority import ACCOUNT_ID
from osssync.emulator.call import Call, Reply, invalid_argument, xml_reply
from osssync.emulator.moments import extended, http_date
from osssync.emulator.objects import Bucket
from osssync.emulator.records import Version
from osssync.emulator.xml import document, escape, leaf, tree

# Keys in order from a start on, the start itself included if the second argument says so.
Source = Callable[[str, bool], Iterator[str]]

OWNER = tree("Owner", leaf("ID", ACCOUNT_ID), leaf("DisplayName", ACCOUNT_ID))


@dataclass(frozen=True, slots=True)
class Window:
    """What part of a bucket a listing asks for."""

    prefix: str
    delimiter: str
    after: str  # only what comes later, common prefixes too
    limit: int  # keys and common prefixes together
    include_after: bool = False


def entries(source: Source, window: Window) -> Iterator[tuple[str, bool]]:
    """Keys and common prefixes of a window in order; the flag tells common prefixes.

    The limit is the caller's. What lies below a common prefix is skipped, not walked.
    """
    prefix, delimiter, after = window.prefix, window.delimiter, window.after
    position, inclusive = prefix, True
    if after >= prefix:
        position, inclusive = after, window.include_after
    while True:
        jump = ""
        for key in source(position, inclusive):
            if not key.startswith(prefix):
                return
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                yield key, False
                continue
            common = key[: cut + len(delimiter)]
            if common > after:
                yield common, True
            jump = _successor(common)
            break
        if not jump:
            return
        position, inclusive = jump, True


def _successor(prefix: str) -> str:
    """The smallest string above everything that starts with ``prefix``; empty if none is."""
    last = prefix.rstrip("\U0010ffff")
    return last[:-1] + chr(ord(last[-1]) + 1) if last else ""


def encoder(call: Call) -> Callable[[str], str]:
    """How a listing writes keys: as they are, or URL-encoded on request.

    Raises:
        OssFault: InvalidArgument for an unknown encoding type.
    """
    kind = call.parameter("encoding-type")
    if kind and kind.lower() != "url":
        raise invalid_argument(
            "Invalid Encoding Method specified in Request", "encoding-type", kind
        )
    return url_encoded if kind else escape


def url_encoded(text: str) -> str:
    """Every byte but the unreserved ones as ``%XX``."""
    return quote(text, safe="-_.~*")


def check_query(call: Call) -> None:
    """Refuse a prefix, marker or delimiter longer than a key.

    Raises:
        OssFault: InvalidArgument.
    """
    names = ("prefix", "marker", "delimiter", "start-after", "key-marker")
    for name in names:
        value = call.parameter(name)
        if len(value.encode("utf-8", "surrogateescape")) > 1023:
            raise invalid_argument(
                f"The length of {name} must be less than 1024.", name, value, ec="0017-00000904"
            )


@dataclass(frozen=True, slots=True)
class _Page:
    contents: str
    common_prefixes: str
    count: int
    last: str  # of what the page shows
    truncated: bool


def _page(call: Call, bucket: Bucket, window: Window, *, owner: bool) -> _Page:
    encode = encoder(call)
    contents: list[str] = []
    common: list[str] = []
    last = ""
    with call.objects.lock:
        found = list(islice(entries(bucket.live, window), window.limit + 1 if window.limit else 0))
        for name, is_common in found[: window.limit]:
            last = name
            if is_common:
                common.append(f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>")
            else:
                version = bucket.versions[name][0]
                contents.append(_contents(version, encode(name), call.now_s, owner=owner))
    count = min(len(found), window.limit)
    return _Page("".join(contents), "".join(common), count, last, len(found) > count)


def _contents(version: Version, key: str, now_s: float, *, owner: bool) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{extended(version.modified_s)}</LastModified>"
        f'<ETag>"{version.etag}"</ETag><Type>{version.kind}</Type><Size>{version.size}</Size>'
        f"<StorageClass>{version.storage_class}</StorageClass>"
        f"{restore_info(version, now_s)}{OWNER if owner else ''}</Contents>"
    )


def restore_info(version: Version, now_s: float) -> str:
    """How far the restoring of an archived object is; empty where there is none."""
    restore = version.restore
    if restore is None or now_s >= restore.expires_s:
        return ""
    if now_s < restore.ready_s:
        return leaf("RestoreInfo", 'ongoing-request="true"')
    expiry = http_date(restore.expires_s)
    return leaf("RestoreInfo", f'ongoing-request="false", expiry-date="{expiry}"')


async def list_objects(call: Call) -> Reply:
    """ListObjects, the first version: marker and NextMarker, owners always."""
    check_query(call)
    bucket, encode = call.the_bucket(), encoder(call)
    limit = call.number("max-keys", 100, 0, 1000)
    prefix, marker = call.parameter("prefix"), call.parameter("marker")
    delimiter = call.parameter("delimiter")
    page = _page(call, bucket, Window(prefix, delimiter, marker, limit), owner=True)
    root = tree(
        "ListBucketResult",
        leaf("Name", bucket.name),
        f"<Prefix>{encode(prefix)}</Prefix>",
        f"<Marker>{encode(marker)}</Marker>",
        leaf("MaxKeys", limit),
        f"<Delimiter>{encode(delimiter)}</Delimiter>",
        encoding_element(call),
        leaf("IsTruncated", _boolean(page.truncated)),
        f"<NextMarker>{encode(page.last)}</NextMarker>" if page.truncated else "",
        page.contents,
        page.common_prefixes,
    )
    return xml_reply(document(root))


async def list_objects_v2(call: Call) -> Reply:
    """ListObjectsV2: continuation tokens, KeyCount, owners on request."""
    check_query(call)
    bucket, encode = call.the_bucket(), encoder(call)
    limit = call.number("max-keys", 100, 0, 1000)
    prefix, delimiter = call.parameter("prefix"), call.parameter("delimiter")
    start_after = call.parameter("start-after")
    token = call.parameter("continuation-token")
    after = _resume(token) if token else start_after
    owner = call.parameter("fetch-owner").lower() == "true"
    page = _page(call, bucket, Window(prefix, delimiter, after, limit), owner=owner)
    root = tree(
        "ListBucketResult",
        leaf("Name", bucket.name),
        f"<Prefix>{encode(prefix)}</Prefix>",
        f"<StartAfter>{encode(start_after)}</StartAfter>" if start_after else "",
        leaf("ContinuationToken", token) if token else "",
        leaf("MaxKeys", limit),
        f"<Delimiter>{encode(delimiter)}</Delimiter>",
        encoding_element(call),
        leaf("IsTruncated", _boolean(page.truncated)),
        leaf("NextContinuationToken", _token(page.last)) if page.truncated else "",
        page.contents,
        page.common_prefixes,
        leaf("KeyCount", page.count),
    )
    return xml_reply(document(root))


def encoding_element(call: Call) -> str:
    """The echo of ``encoding-type``."""
    return "<EncodingType>url</EncodingType>" if call.parameter("encoding-type") else ""


def _boolean(value: bool) -> str:  # noqa: FBT001 - the value itself
    return "true" if value else "false"


def _token(last: str) -> str:
    # OSS's tokens are base64 of something with the last key in it; nobody may look inside.
    return base64.b64encode(last.encode("utf-8", "surrogateescape")).decode()


def _resume(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        raise invalid_argument(
            "The continuation token provided is incorrect.",
            "continuation-token",
            token,
            ec="0017-00000905",
        ) from None
