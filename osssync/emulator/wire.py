"""A request as it stood on the wire, and the few ways of reading it that signatures need."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

_PLAIN = re.compile(r"[A-Za-z0-9\-_.~]*")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request, before anything was decoded that signatures cover.

    ``target`` is the origin-form as received, undecoded. ``headers`` are in order of arrival,
    values decoded from the wire as UTF-8 with surrogateescape. ``bucket`` and ``key`` are decoded
    the same way from the host or the path; ``bucket`` is empty at service level, ``key`` at bucket
    level.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter: decoded, and as RFC 3986 would encode it (``%2F`` for a slash).

    ``equals`` is empty where the parameter arrived as a bare name.
    """

    name: str
    value: str
    encoded_name: str
    encoded_value: str
    equals: str


def encode(text: str, safe: str = "") -> str:
    """Percent-encode UTF-8 bytes, all but ``A-Z a-z 0-9 - _ . ~`` and ``safe``."""
    if _PLAIN.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "surrogateescape"), safe=safe + "-_.~")


def decode(text: str) -> str:
    """Undo percent-encoding; a plus stays a plus."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape") if "%" in text else text


def decode_path(text: str) -> str:
    """Undo percent-encoding in a path, where OSS takes a raw plus for a space.

    Its Go SDK sends keys that way, in paths and in headers that name an object; all others send
    ``%20``, and ``%2B`` for a plus.
    """
    return decode(text.replace("+", " "))


def parameters(target: str) -> list[Parameter]:
    """The query of a target in order of arrival. ``k`` and ``k=`` are the same.

    A raw plus is a space, as in every query that a form could have produced; OSS clients send
    ``%20`` and ``%2B``.
    """
    return [
        _parameter(name, equals, value)
        for name, equals, value in (
            piece.partition("=") for piece in target.partition("?")[2].split("&") if piece
        )
    ]


def _parameter(raw_name: str, equals: str, raw_value: str) -> Parameter:
    name = decode(raw_name.replace("+", " "))
    value = decode(raw_value.replace("+", " "))
    return Parameter(name, value, encode(name), encode(value), equals)


def headers_by_name(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Headers under lower-case names, values trimmed, repeated ones joined with a comma."""
    merged: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        trimmed = value.strip()
        merged[lower] = f"{merged[lower]},{trimmed}" if lower in merged else trimmed
    return merged
