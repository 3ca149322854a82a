"""The time formats of OSS: reading them strictly, writing them.

Source: RFC 9110 section 5.6.7 (IMF-fixdate), ISO 8601 basic format; OSS error causes 0002-00000502
and 0002-00000503 (help.aliyun.com, read 2026-11).
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z][a-z]) (\d{4}) (\d\d):(\d\d):(\d\d) GMT"
)
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")


@lru_cache(maxsize=64)  # requests of one second carry one date
def parse_http_date(text: str) -> float | None:
    """Epoch seconds of ``Tue, 20 Dec 2022 08:48:18 GMT``; None for any other form."""
    match = _HTTP_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    month = _MONTHS.index(match[2]) + 1
    return _epoch(match[3], month, match[1], match[4], match[5], match[6])


@lru_cache(maxsize=64)
def parse_basic(text: str) -> float | None:
    """Epoch seconds of ``20221220T084818Z``; None for any other form."""
    match = _BASIC.fullmatch(text)
    if match is None:
        return None
    return _epoch(match[1], int(match[2]), match[3], match[4], match[5], match[6])


def _epoch(year: str, month: int, day: str, hour: str, minute: str, second: str) -> float | None:
    try:
        moment = datetime(
            int(year), month, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError:
        return None
    return moment.timestamp()


def http_date(now_s: float) -> str:
    """Write ``Tue, 20 Dec 2022 08:48:18 GMT``; by hand, since strftime speaks the locale."""
    moment = datetime.fromtimestamp(now_s, tz=UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment:%d} {month} {moment:%Y %H:%M:%S} GMT"


def basic(now_s: float) -> str:
    """Write ``20221220T084818Z``."""
    return datetime.fromtimestamp(now_s, tz=UTC).strftime("%Y%m%dT%H%M%SZ")


def extended(now_s: float) -> str:
    """Write ``2022-12-20T08:48:18.000Z``, the form of OSS's replies."""
    return datetime.fromtimestamp(now_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
