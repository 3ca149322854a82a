"""XML as OSS speaks it: tolerant of what real clients send, strict in what it writes.

Replies never carry a namespace. Source: OSS API reference, "Common response headers" and the
request bodies of each operation; control characters, illegal in XML 1.0, are what SDKs send in
DeleteMultipleObjects, by reference (Go, ``&#x0B;``) or raw (Python), and OSS accepts both.
"""

import re
from xml.etree import ElementTree as ET

from osssync.emulator.errors import OssFault

# Where a body cannot be XML 1.0 the characters U+0000..U+001F travel through the parser as the
# noncharacters U+FDD0..U+FDEF: 32 code points no interchange text may hold, so nothing collides.
_NONCHARACTERS = 0xFDD0
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SPECIAL = re.compile("[\x00-\x1f&<>\x7f\ufdd0-\ufdef]")
_RESTORE = {_NONCHARACTERS + code: code for code in range(0x20)}


def malformed(message: str = "") -> OssFault:
    """The answer to a body that is not the XML the operation asks for."""
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    return OssFault(400, "MalformedXML", message or text, ec="0030-00000001")


def escape(text: str) -> str:
    """Text as element content; control characters as numeric references, as OSS writes them."""
    if not _SPECIAL.search(text):
        return text
    return _SPECIAL.sub(_escape_one, text)


def _escape_one(match: re.Match[str]) -> str:
    character = match[0]
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return named.get(character) or f"&#x{ord(character):02X};"


def leaf(name: str, value: object) -> str:
    """One element with text: ``<name>value</name>``."""
    return f"<{name}>{escape(str(value))}</{name}>"


def tree(name: str, *children: str) -> str:
    """One element around elements that are already text."""
    return f"<{name}>{''.join(children)}</{name}>"


def document(root: str) -> bytes:
    """A whole reply body."""
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + root.encode("utf-8", "replace")


def _reference(match: re.Match[bytes]) -> bytes:
    raw = match[0][0]
    code = raw if raw < 0x20 else int(match[1], 16) if match[1] else int(match[2])
    if code < 0x20 and code not in {0x9, 0xA, 0xD}:
        return chr(_NONCHARACTERS + code).encode()
    return match[0]


def parse(body: bytes, root: str = "") -> ET.Element:
    """Parse a request body; namespaces are dropped and control characters restored.

    Args:
        body: as received.
        root: the name the root element must have; empty accepts any.

    Raises:
        OssFault: MalformedXML.
    """
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise malformed()
    try:
        element = ET.fromstring(_REFERENCE.sub(_reference, body))  # noqa: S314 - no DTD gets here
    except (ET.ParseError, ValueError) as error:
        raise malformed() from error
    for node in element.iter():
        node.tag = node.tag.rpartition("}")[2]
        if node.text:
            node.text = node.text.translate(_RESTORE)
    if root and element.tag != root:
        raise malformed()
    return element


def text_of(element: ET.Element, path: str, default: str = "") -> str:
    """The text of a descendant, ``default`` where there is none."""
    found = element.find(path)
    return default if found is None else (found.text or "")


def render(element: ET.Element) -> str:
    """An element as text again, without namespaces, attributes or white space between elements."""
    children = list(element)
    if not children:
        return leaf(element.tag, element.text or "")
    return tree(element.tag, *(render(child) for child in children))
