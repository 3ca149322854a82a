"""HTTP/1.1 as bytes: the head of a request, the head of a reply, chunks. No socket in sight.

Strict, because a reply that is read in two ways ends in the wrong object's bytes: no folded
lines, no lengths that contradict each other or the chunks, nothing without a bound. What breaks a
rule breaks the connection.

Source: RFC 9112 (messages, sections 2.2, 5, 6, 7.1), RFC 9110 (6.4.1, 8.6, 15.2), read 2026-11.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from msgspec import Struct

from osssync.errors import UsageError

MAX_HEAD_BYTES = 1 << 16
"""Of one reply; OSS sends about 500 B, and metadata of 8 KB at most."""

_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\r\n\0]*)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_ILLEGAL_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OK = "HTTP/1.1 200 OK"  # nearly every reply begins so
_KNOWN_STARTS: dict[str, bytes] = {}  # of the lines we send, by name
_MOST_KNOWN = 512


class BrokenReplyError(OSError):
    """The other side does not speak HTTP as it should; nothing more can be read from it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.strerror = f"not a valid HTTP reply: {why}"


class ClosedEarlyError(ConnectionError):
    """The other side closed the connection where more had to come."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.strerror = f"closed by the other side {where}"


class IllegalHeaderError(UsageError):
    """A header or an address that would break out of its line."""


class Headers(dict[str, str]):
    """Of a reply: names in lower case, found in any; what is repeated is joined by ", "."""

    __slots__ = ()

    lowercase = dict.get
    """``get`` for those who ask in lower case: no Python code runs for it."""

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


class Head(Struct, frozen=True):
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


class _Before(NamedTuple):
    """A head that was read; no name in it came twice."""

    lines: list[str]
    starts: list[tuple[str, str]]  # of each line: what is before the value, the name in lower case
    headers: Headers


# A server sends the same names each time, and most lines as well: who it is, type and class of the
# object. The last head of each length is remembered.
_HEADS: dict[int, _Before] = {}
_MOST_LINES = 64  # of a head that is


def request_head(method: str, target: str, host: str, headers: Mapping[str, str | bytes]) -> bytes:
    """The bytes before the body.

    Raises:
        IllegalHeaderError: a name, a value or the address would end its line.
    """
    head = request_line(method, target), host_line(host), header_lines(headers), b"\r\n"
    return b"".join(head)


def request_line(method: str, target: str) -> bytes:
    """The first line, with its end.

    Raises:
        IllegalHeaderError: the address would end it.
    """
    _check_address(target)
    return f"{method} {target} HTTP/1.1\r\n".encode()


def host_line(host: str) -> bytes:
    """The line that follows the first one.

    Raises:
        IllegalHeaderError: the address would end it.
    """
    _check_address(host)
    return f"Host: {host}\r\n".encode()


def header_lines(headers: Mapping[str, str | bytes]) -> bytes:
    """Further lines, one for each header; text goes out as UTF-8.

    Raises:
        IllegalHeaderError: a name or a value would end its line.
    """
    lines = b""
    for name, value in headers.items():
        start = _KNOWN_STARTS.get(name) or _start_of(name)
        octets = value if isinstance(value, bytes) else value.encode()
        if _ILLEGAL_VALUE.search(octets):
            raise IllegalHeaderError(f"header {name}: its value holds a control character")
        lines += start + octets + b"\r\n"
    return lines


def _start_of(name: str) -> bytes:
    """What a header's line begins with."""
    if not _TOKEN.fullmatch(name):
        raise IllegalHeaderError(f"header {name!r}: not a header name")
    start = f"{name}: ".encode()
    if len(_KNOWN_STARTS) < _MOST_KNOWN:
        _KNOWN_STARTS[name] = start
    return start


def _check_address(text: str) -> None:
    if " " in text or not (text.isascii() and text.isprintable()):
        raise IllegalHeaderError("the address holds a character that must be percent-encoded")


def parse_head(octets: bytes, *, is_head_request: bool) -> Head:
    """Read a head, given without the empty line that ends it.

    Raises:
        BrokenReplyError: it is none.
    """
    text = octets.decode("latin-1")
    lines = text.split("\r\n")
    first = lines[0]
    status, version = (200, "1") if first == _OK else _parse_status_line(first)
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise BrokenReplyError("a control character in its head")
    headers = _like_before(lines) or _parse_lines(lines)
    length, chunked = _framing(headers)
    if is_head_request or status < 200 or status in (204, 304):
        length, chunked = 0, False
    keeps_alive = version == "1" and "close" not in headers.lowercase("connection", "").lower()
    return Head(status, headers, length, chunked, keeps_alive)


def _parse_status_line(line: str) -> tuple[int, str]:
    """The status, and the minor version."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BrokenReplyError(f"its first line is {line[:60]!r}")
    return int(match[2]), match[1]


def _like_before(lines: list[str]) -> Headers | None:
    """The headers, if the names are those of an earlier head: only what differs is read."""
    before = _HEADS.get(len(lines))
    if before is None:
        return None
    headers = Headers(before.headers)
    rows = zip(lines, before.lines, before.starts, strict=True)
    for line, old, (start, name) in islice(rows, 1, None):
        if line != old:
            if not line.startswith(start):
                return None
            headers[name] = line[len(start) :].strip(" \t")
    return headers


def _parse_lines(lines: list[str]) -> Headers:
    """The headers of a head; of repeated ones the values are joined in order (RFC 9110 5.3)."""
    headers = Headers()
    starts = [("", "")]
    for line in islice(lines, 1, None):
        start, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(start):
            raise BrokenReplyError(f"a header line that begins with {start[:40]!r}")
        name, value = start.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
        starts.append((f"{start}:", name))
    if len(headers) == len(lines) - 1 <= _MOST_LINES:
        _HEADS[len(lines)] = _Before(lines, starts, Headers(headers))
    return headers


def _framing(headers: Headers) -> tuple[int | None, bool]:
    coding = headers.lowercase("transfer-encoding")
    text = headers.lowercase("content-length")
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
