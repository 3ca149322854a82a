"""What goes with an object's bytes: its key's rules, headers, metadata, class, ACL and tags.

Source: help.aliyun.com, PutObject (request headers), "Object naming conventions", PutObjectTagging
(read 2026-11).
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from osssync.emulator.call import Call, invalid_argument
from osssync.emulator.errors import OssFault
from osssync.emulator.objects import NULL_VERSION, Bucket
from osssync.emulator.records import STORAGE_CLASSES, Pairs, Version
from osssync.emulator.xml import parse

MAX_KEY_BYTES = 1023
MAX_METADATA_BYTES = 8 << 10
META = "x-oss-meta-"
OBJECT_ACLS = frozenset({"default", "private", "public-read", "public-read-write"})
KEPT_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
SSE_HEADERS = (
    "x-oss-server-side-encryption",
    "x-oss-server-side-data-encryption",
    "x-oss-server-side-encryption-key-id",
)
DEFAULT_KMS_KEY = "9468da86-3509-4f8d-a61e-6eab1eac7a01"  # of the account, managed by KMS
_SSE_ALGORITHMS = frozenset({"AES256", "KMS", "SM4"})
TAG_TEXT = re.compile(r"[\w\s+\-=.:/]*")
_MAX_TAGS = 10


def check_key(key: str) -> None:
    """Refuse a key that OSS cannot store.

    Raises:
        OssFault: InvalidObjectName.
    """
    encoded = key.encode("utf-8", "surrogateescape")
    if len(encoded) > MAX_KEY_BYTES:
        text = "The length of object name must be less than 1024"
        raise OssFault(400, "InvalidObjectName", text, ec="0016-00000004")
    if not key or key[0] in "/\\" or not _is_utf8(encoded):
        text = "The specified object is not valid."
        raise OssFault(
            400, "InvalidObjectName", text, ec="0016-00000005", extra={"ObjectName": key}
        )


def _is_utf8(encoded: bytes) -> bool:
    try:
        encoded.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def new_version(call: Call, bucket: Bucket) -> Version:
    """The object that a request's headers describe, without its bytes.

    Raises:
        OssFault: a key, class, ACL, algorithm, tag or metadata that OSS refuses.
    """
    check_key(call.key)
    return Version(
        key=call.key,
        version_id=NULL_VERSION,
        modified_s=call.now_s,
        headers=kept_headers(call.headers) + encryption(call.headers, bucket),
        metadata=metadata(call.headers),
        storage_class=storage_class(call.headers, bucket.storage_class),
        acl=object_acl(call.headers),
        tags=tags_of_header(call.header("x-oss-tagging")),
    )


def kept_headers(headers: Mapping[str, str]) -> Pairs:
    """The standard headers that are stored, with the default content type."""
    kept = [(name, _clean(headers[name])) for name in KEPT_HEADERS if headers.get(name)]
    if not headers.get("content-type"):
        kept.append(("content-type", "application/octet-stream"))
    return tuple(kept)


def _clean(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def metadata(headers: Mapping[str, str]) -> Pairs:
    """The user metadata, names in lower case with their prefix.

    Raises:
        OssFault: more than 8 KiB.
    """
    pairs = [(name, _clean(value)) for name, value in headers.items() if name.startswith(META)]
    if sum(len(name) + len(value.encode()) for name, value in pairs) > MAX_METADATA_BYTES:
        text = "The size of user meta data exceeds the limit of 8KB."
        raise OssFault(400, "InvalidArgument", text, ec="0011-00000002")
    return tuple(pairs)


def storage_class(headers: Mapping[str, str], default: str) -> str:
    """The class asked for, else the bucket's.

    Raises:
        OssFault: InvalidArgument.
    """
    wanted = headers.get("x-oss-storage-class", "") or default
    if wanted not in STORAGE_CLASSES:
        text = "The storage class you specified is not valid."
        raise invalid_argument(text, "x-oss-storage-class", wanted, ec="0016-00000418")
    return wanted


def object_acl(headers: Mapping[str, str], name: str = "x-oss-object-acl") -> str:
    """The object's ACL, ``default`` where none is given.

    Raises:
        OssFault: InvalidArgument.
    """
    acl = headers.get(name, "") or "default"
    if acl not in OBJECT_ACLS:
        raise invalid_argument("no such acl type", name, acl, ec="0016-00000222")
    return acl


def encryption(headers: Mapping[str, str], bucket: Bucket) -> Pairs:
    """The server-side encryption of a new object: asked for, or the bucket's rule.

    The emulator stores plain bytes; what clients see is what matters here.

    Raises:
        OssFault: InvalidEncryptionAlgorithmError.
    """
    asked = tuple((name, headers[name]) for name in SSE_HEADERS if headers.get(name))
    algorithm = dict(asked).get(SSE_HEADERS[0])
    if algorithm and algorithm not in _SSE_ALGORITHMS:
        text = "The Encryption Method you specified is not valid."
        raise OssFault(400, "InvalidEncryptionAlgorithmError", text, ec="0016-00000103")
    rule = bucket.configurations.get("encryption")
    pairs = asked if asked or not rule else _rule(rule)
    if dict(pairs).get(SSE_HEADERS[0]) != "KMS":
        return tuple(pair for pair in pairs if pair[0] == SSE_HEADERS[0])
    if SSE_HEADERS[2] not in dict(pairs):
        pairs += ((SSE_HEADERS[2], DEFAULT_KMS_KEY),)
    return pairs


def _rule(document: str) -> Pairs:
    default = parse(document.encode()).find("ApplyServerSideEncryptionByDefault")
    pairs: list[tuple[str, str]] = []
    names = ("SSEAlgorithm", "KMSDataEncryption", "KMSMasterKeyID")
    for header, name in zip(SSE_HEADERS, names, strict=True):
        text = default.findtext(name) if default is not None else None
        if text:
            pairs.append((header, text))
    return tuple(pairs)


def tags_of_header(text: str) -> Pairs:
    """Tags of ``x-oss-tagging``: ``name=value&other=value``, URL-encoded.

    Raises:
        OssFault: InvalidArgument, InvalidTag.
    """
    if not text:
        return ()
    pairs = (piece.partition("=") for piece in text.split("&"))
    return check_tags(tuple((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs))


def check_tags(tags: Pairs) -> Pairs:
    """Return the tags if OSS would store them.

    Raises:
        OssFault: InvalidTag.
    """
    names = [name for name, _ in tags]
    if len(tags) > _MAX_TAGS:
        text = "Object tags cannot be greater than 10"
        raise OssFault(400, "InvalidTag", text, ec="0024-00000003")
    if len(set(names)) != len(names):
        text = "Cannot provide multiple Tags with the same key"
        raise OssFault(400, "InvalidTag", text, ec="0024-00000004")
    for name, value in tags:
        if not 1 <= len(name) <= 128 or not TAG_TEXT.fullmatch(name):
            text = "The TagKey you have provided is invalid"
            raise OssFault(400, "InvalidTag", text, ec="0024-00000001", extra={"TagKey": name})
        if len(value) > 256 or not TAG_TEXT.fullmatch(value):
            text = "The TagValue you have provided is invalid"
            raise OssFault(400, "InvalidTag", text, ec="0024-00000002", extra={"TagValue": value})
    return tags


def version_headers(version: Version, bucket: Bucket) -> dict[str, str]:
    """``x-oss-version-id`` where the bucket has ever been versioned."""
    return {"x-oss-version-id": version.version_id} if bucket.versioning else {}


def encryption_headers(version: Version) -> dict[str, str]:
    """The encryption headers of an object."""
    return {name: value for name, value in version.headers if name in SSE_HEADERS}
