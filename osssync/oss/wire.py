"""HTTP/1.1 as bytes: the head of a request, the head of a reply, chunks. No socket in sight.

Strict, because a reply that is read in two ways ends in the wrong object's bytes: no folded
lines, no lengths that contradict each other or the chunks, nothing without a bound. What breaks a
rule breaks the connection.

Source: RFC 9112 (messages, sections 2.2, 5, 6, 7.1), RFC 9110 (6.4.1, 8.6, 15.2), read 2026-11.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_HEAD_BYTES = 1 << 16
"""Of one reply; OSS sends about 500 B, and metadata of 8 KB at most."""

_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\r\n\0]*)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_ILLEGAL_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ILLEGAL_TARGET = re.compile(rb"[^\x21-\x7e]")
_KNOWN_NAMES: dict[str, str] = {}  # as sent → lower case; a server sends the same ones each time
_MOST_KNOWN_NAMES = 512


class BrokenReplyError(OSError):
    """The other side does not speak HTTP as it should; nothing more can be read from it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.strerror = f"not a valid HTTP reply: {why}"


class IllegalHeaderError(ValueError):
    """A header that would break out of its line."""


class Headers(dict[str, str]):
    """Of a reply: names in lower case, found in any; what is repeated is joined by ", "."""

    __slots__ = ()

    def __missing__(self, name: str) -> str:
        lowered = name.lower()
        if lowered == name:
            raise KeyError(name)
        return self[lowered]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict has it
        """The value, under whatever case the name is asked for."""
        return super().get(name.lower(), default)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a reply, and how its body is framed.

    ``length`` is None for a body that is ``chunked`` or lasts until the connection ends.
    """

    status: int
    headers: Headers
    length: int | None  # bytes
    chunked: bool
    keeps_alive: bool

    @property
    def lasts_until_close(self) -> bool:
        """Whether only the end of the connection ends the body."""
        return self.length is None and not self.chunked


def request_head(method: str, target: str, host: str, headers: Mapping[str, str | bytes]) -> bytes:
    """The bytes before the body.

    Raises:
        IllegalHeaderError: a name, a value or the address would end its line.
    """
    start, at = f"{method} {target}".encode(), host.encode()
    if _ILLEGAL_TARGET.search(start, len(method) + 1) or _ILLEGAL_TARGET.search(at):
        raise IllegalHeaderError("the address")
    lines = [start + b" HTTP/1.1\r\nHost: " + at]
    for name, value in headers.items():
        octets = value if isinstance(value, bytes) else value.encode()
        if _ILLEGAL_VALUE.search(octets) or not _TOKEN.fullmatch(name):
            raise IllegalHeaderError(name)
        lines.append(name.encode() + b": " + octets)
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def parse_head(octets: bytes, *, is_head_request: bool) -> Head:
    """Read a head, given without the empty line that ends it.

    Raises:
        BrokenReplyError: it is none.
    """
    text = octets.decode("latin-1")
    first, *lines = text.split("\r\n")
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None:
        raise BrokenReplyError(f"its first line is {first[:60]!r}")
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise BrokenReplyError("a control character in its head")
    headers = _parse_lines(lines)
    status = int(status_line[2])
    length, chunked = _framing(headers)
    if is_head_request or status < 200 or status in (204, 304):
        length, chunked = 0, False
    keeps_alive = "close" not in headers.get("connection", "").lower() and status_line[1] == "1"
    return Head(status, headers, length, chunked, keeps_alive)


def _parse_lines(lines: list[str]) -> Headers:
    headers = Headers()
    known = _KNOWN_NAMES
    for line in lines:
        name, colon, value = line.partition(":")
        lowered = known.get(name)
        if lowered is None or not colon:
            lowered = _learn_name(name, colon)
        value = value.strip(" \t")
        if dict.__contains__(headers, lowered):
            value = f"{headers[lowered]}, {value}"
        headers[lowered] = value
    return headers


def _learn_name(name: str, colon: str) -> str:
    if not colon or not _TOKEN.fullmatch(name):
        raise BrokenReplyError(f"a header line that begins with {name[:40]!r}")
    lowered = name.lower()
    if len(_KNOWN_NAMES) < _MOST_KNOWN_NAMES:
        _KNOWN_NAMES[name] = lowered
    return lowered


def _framing(headers: Headers) -> tuple[int | None, bool]:
    coding, text = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked" or text is not None:
            raise BrokenReplyError("the framing of its body is ambiguous")
        return None, True
    if text is None:
        return None, False
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        values = {value.strip() for value in text.split(",")}
        only = values.pop()
        if values or not (only.isascii() and only.isdigit() and len(only) <= 19):
            raise BrokenReplyError(f"its Content-Length is {text[:40]!r}")
        headers["content-length"] = text = only
    return int(text), False


def parse_chunk_size(line: bytes) -> int:
    """The size in a chunk's first line, in bytes; 0 ends the body.

    Raises:
        BrokenReplyError: there is none.
    """
    match = _CHUNK_SIZE.fullmatch(line)
    if match is None:
        raise BrokenReplyError(f"a chunk that begins with {line[:40]!r}")
    return int(match[1], 16)
