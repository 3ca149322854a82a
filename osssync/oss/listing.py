"""One page of ListObjectsV2 as entries: the parser that a million keys go through.

OSS writes the elements of an object in one fixed order and asks nobody to escape them, keys being
percent-encoded. So a strict regular expression splits a page at its objects, and what is done for
each of them in Python is as good as nothing. Anything that is not expected, anywhere in the page,
sends the whole page to the XML parser, which is the one that decides; both are compared in the
tests.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/listobjectsv2, read 2026-09.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

from msgspec import Struct
from msgspec.structs import replace

from osssync.columns import Columns
from osssync.keys import is_utf8
from osssync.model import Entry, EntryKind
from osssync.oss import documents

# What is kept of an object, in this order: key, time, ETag, type, size, class. Possessive, and
# classes of one character: it fails at once or not at all, and takes half the time. Entities are
# looked for afterwards, in what is kept.
_OBJECT = re.compile(
    r"<Contents>\s*+"
    r"<Key>([!-%'-;=-~]++)</Key>\s*+"  # percent-encoded: printable ASCII
    r"(?:<TransitionTime>[^<&]*+</TransitionTime>\s*+)?"
    r"<LastModified>([^<]*+)</LastModified>\s*+"
    r"<ETag>([^<]*+)</ETag>\s*+"
    r"<Type>([^<]*+)</Type>\s*+"
    r"<Size>([0-9]++)</Size>\s*+"
    r"<StorageClass>([^<]*+)</StorageClass>\s*+"
    r"(?:<RestoreInfo>[^<&]*+</RestoreInfo>\s*+)?"
    r"(?:<Owner>\s*+<ID>[^<&]*+</ID>\s*+<DisplayName>[^<&]*+</DisplayName>\s*+</Owner>\s*+)?"
    r"</Contents>\s*+",
    re.ASCII,
)
_KEPT = _OBJECT.groups
_FIRST = "<Contents>"
_LAST = "</Contents>"
_SYMLINK_TYPE = "Symlink"
NOT_UTF8 = "its key is not UTF-8"
SYMLINK = "symlink"
"""The note of a symlink entry: its size and time are the link's own, not the target's."""


class Page(Struct, frozen=True):
    """Up to 1,000 objects and common prefixes, each in the order of UTF-8 bytes.

    Keys and prefixes are whole, not relative to the prefix that was listed. An entry whose key is
    not UTF-8 is UNUSABLE, and its key holds the stray bytes as surrogates. ``next_token`` is
    "" on the last page.
    """

    entries: Columns
    prefixes: tuple[str, ...]
    next_token: str


def parse_page(body: bytes) -> Page:
    """Read a page.

    Raises:
        ET.ParseError: not a listing, cut short, or one that contradicts itself.
    """
    return _parse_fast(body) or parse_slowly(body)


def parse_slowly(body: bytes) -> Page:
    """Read a page with the XML parser, whatever the order of its elements.

    Raises:
        ET.ParseError: as ``parse_page``.
    """
    root = documents.parse(body, "ListBucketResult")
    entries = Columns.of(_entry_of(root, element) for element in root.findall("Contents"))
    return _page(root, entries)


def _parse_fast(body: bytes) -> Page | None:
    try:
        text = body.decode("ascii")
        first = text.index(_FIRST)
        # Between the objects there must be nothing; what is around them is small, and goes through
        # the parser.
        before, *pieces = _OBJECT.split(text[first:])
        if before or any(pieces[_KEPT : -1 : _KEPT + 1]):
            return None
        after = text[text.rindex(_LAST) + len(_LAST) :]
        root = documents.parse((text[:first] + after).encode(), "ListBucketResult")
        if documents.text(root, "EncodingType") != "url" or root.find("Contents") is not None:
            return None
        if pieces[-1] != after.lstrip():
            return None
        return _page(root, _entries(*(pieces[at :: _KEPT + 1] for at in range(_KEPT))))
    except (ET.ParseError, ValueError):  # not ASCII, no objects, entities
        return None


def _entries(
    raw_keys: list[str],
    modified: list[str],
    etags: list[str],
    types: list[str],
    sizes: list[str],
    classes: list[str],
) -> Columns:
    """The objects of a page from the texts of their elements, which are all of one length."""
    keys = _decoded(raw_keys)
    times_ns = {text: documents.time_ns(text) for text in set(modified)}  # many are of one second
    plain_etags = "<".join(etags).replace("&quot;", '"')
    if "&" in plain_etags or "&" in "".join({*types, *classes}):
        raise ValueError("entities")
    entries = Columns(
        keys,
        list(map(int, sizes)),
        list(map(times_ns.__getitem__, modified)),
        etags=plain_etags.split("<"),
        storage_classes=classes,
    )
    odd = {index: _judged(entries[index], types[index]) for index in _odd(keys, types)}
    return entries.but(odd) if odd else entries


def _decoded(raw_keys: list[str]) -> list[str]:
    """The keys that percent-encoded ASCII stands for; what is not UTF-8 becomes surrogates."""
    keys = "<".join(raw_keys).replace("%2F", "/").split("<")  # mostly that is all
    return [
        unquote_to_bytes(key).decode("utf-8", "surrogateescape") if "%" in key else key
        for key in keys
    ]


def _odd(keys: list[str], types: list[str]) -> Iterable[int]:
    """Which of them may be more than a plain file."""
    if _SYMLINK_TYPE in types:
        return range(len(keys))
    return [
        index
        for index, key in enumerate(keys)
        if key[-1] == "/" or not (key.isascii() or is_utf8(key))
    ]


def _judged(entry: Entry, object_type: str) -> Entry:
    """The entry of an object as what it is: a file, a directory, a symlink, or of no use."""
    if not is_utf8(entry.key):
        return replace(entry, kind=EntryKind.UNUSABLE, note=NOT_UTF8)
    if object_type == _SYMLINK_TYPE:
        return replace(entry, note=SYMLINK)
    if entry.key.endswith("/") and not entry.size:
        return replace(entry, kind=EntryKind.DIRECTORY)
    return entry


def _entry_of(root: ET.Element, element: ET.Element) -> Entry:
    entry = Entry(
        documents.key_of(root, documents.text(element, "Key")),
        documents.number(element, "Size"),
        documents.time_ns(documents.text(element, "LastModified")),
        etag=documents.text(element, "ETag"),
        storage_class=documents.text(element, "StorageClass"),
    )
    return _judged(entry, documents.text(element, "Type"))


def _page(root: ET.Element, entries: Columns) -> Page:
    prefixes = tuple(
        documents.key_of(root, documents.text(element, "Prefix"))
        for element in root.findall("CommonPrefixes")
    )
    found = len(entries) + len(prefixes)
    if root.find("KeyCount") is not None and documents.number(root, "KeyCount") != found:
        raise ET.ParseError(f"<KeyCount> is not {found}, the number of keys and prefixes")
    if documents.text(root, "IsTruncated") != "true":
        return Page(entries, prefixes, "")
    # Going on from the start, or stopping here, would both be a wrong listing without an error.
    token = documents.text(root, "NextContinuationToken")
    if not token:
        raise ET.ParseError("truncated, but no <NextContinuationToken>")
    return Page(entries, prefixes, token)
