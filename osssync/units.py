"""Sizes, durations and rates as people write and read them. Pure; knows no flag and no clock."""

import re
from decimal import Context, Decimal, localcontext
from typing import Final

from osssync.errors import UsageError

_SIZE = r"(?ai)\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:([kmgtp]?)(?:i?b)?)\s*"
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_MAX_SIZE = (1 << 63) - 1  # what an off_t holds

_DURATION_TERM = r"(?a)(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|d|w)"
_PLAIN_SECONDS = r"(?a)\d+(?:\.\d*)?|\.\d+"
_SECONDS: Final = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "w": Decimal(604_800),
}
_MAX_DURATION_S = 100 * 366 * 86_400  # so that "now minus age" always fits 64 bits of nanoseconds
_MAX_TEXT = 64  # characters; nobody writes more, and int() of a very long text is slow
_EXACTLY = Context(prec=2 * _MAX_TEXT)  # digits, of the product of such a text and a unit


def parse_size(text: str) -> int:
    """Bytes of ``8M``, ``1.5GiB``, ``100 KB`` or ``4096``.

    All units are 1024-based, however they are written, as in rclone and ossutil; case does not
    matter. A fraction of a byte is rounded to the nearest whole one.

    Raises:
        UsageError: not a size, or more than a file can hold.
    """
    match = re.fullmatch(_SIZE, text) if len(text) <= _MAX_TEXT else None
    if match is None or ("." in match[1] and not match[2]):
        raise UsageError(f"{text!r} is not a size: give bytes, or a number with K, M, G, T or P")
    size = round(_EXACTLY.multiply(Decimal(match[1]), 1 << 10 * _POWERS[match[2].lower()]))
    if size > _MAX_SIZE:
        raise UsageError(f"{text!r} is too large a size: at most {_MAX_SIZE} bytes")
    return size


def parse_duration(text: str) -> float:
    """Seconds of ``500ms``, ``20s``, ``1.5h``, ``1h30m``, ``1d`` or ``2w``.

    A plain number is seconds. Units are lower case, since ``M`` means months to others.

    Raises:
        UsageError: not a duration, or more than a hundred years.
    """
    stripped = text.strip()
    terms = re.findall(_DURATION_TERM, stripped)
    if len(stripped) <= _MAX_TEXT and "".join(map("".join, terms)) == stripped and terms:
        with localcontext(_EXACTLY):
            seconds = sum(Decimal(number) * _SECONDS[unit] for number, unit in terms)
    elif len(stripped) <= _MAX_TEXT and re.fullmatch(_PLAIN_SECONDS, stripped):
        seconds = Decimal(stripped)
    else:
        raise UsageError(f"{text!r} is not a duration: give a number with ms, s, m, h, d or w")
    if seconds > _MAX_DURATION_S:
        raise UsageError(f"{text!r} is too long: at most 100 years")
    return float(seconds)


def format_size(size: float) -> str:
    """``1023 B``, ``8.0 MiB``: one decimal from a KiB on; ``parse_size`` reads it back.

    Args:
        size: bytes, not negative.
    """
    if size < 1023.5:  # rounds to less than a KiB
        return f"{size:.0f} B"
    value = size / 1024
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1023.95:  # so that "1024.0 KiB" never appears
            return f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} PiB"


def format_duration(seconds: float) -> str:
    """``250ms``, ``12.3s``, ``4m05s``, ``2h03m``, ``5d02h``; ``parse_duration`` reads it back.

    Args:
        seconds: not negative.
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def format_rate(bytes_per_s: float) -> str:
    """``12.0 MiB/s``, of bytes per second."""
    return f"{format_size(bytes_per_s)}/s"
