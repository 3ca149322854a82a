"""Conditional requests: If-Match and its relatives, of GET, HEAD and of copy sources; no others.

Source: RFC 9110 section 13 as narrowed by OSS (GetObject, CopyObject): one ETag per header, dates
that cannot be read are ignored.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from osssync.emulator.errors import OssFault
from osssync.emulator.moments import http_date
from osssync.emulator.records import Version

_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


def check(headers: Mapping[str, str], version: Version, prefix: str = "") -> None:
    """Stop a request whose conditions do not hold.

    Args:
        headers: lower-case names.
        version: what they are about.
        prefix: of the condition headers, ``x-oss-copy-source-`` for a copy.

    Raises:
        OssFault: 412 PreconditionFailed, or 304 NotModified without a body.
    """
    match = headers.get(prefix + "if-match")
    if match is not None and not _is_etag(match, version):
        raise _failed("If-Match")
    since = _epoch(headers.get(prefix + "if-unmodified-since"))
    if since is not None and int(version.modified_s) > since:
        raise _failed("If-Unmodified-Since")
    none_match = headers.get(prefix + "if-none-match")
    if none_match is not None and _is_etag(none_match, version):
        raise _unchanged(version)
    since = _epoch(headers.get(prefix + "if-modified-since"))
    if none_match is None and since is not None and int(version.modified_s) <= since:
        raise _unchanged(version)


def refuse(headers: Mapping[str, str]) -> None:
    """Stop a PutObject that has conditions: OSS has none for what is there already.

    A multipart upload may carry them, and they mean nothing there.

    Raises:
        OssFault: NotImplemented.
    """
    given = next((name for name in _CONDITIONS if name in headers), "")
    if given:
        text = "A header you provided implies functionality that is not implemented."
        extra = {"Header": given.title()}
        raise OssFault(501, "NotImplemented", text, ec="0016-00000901", extra=extra)


def _is_etag(text: str, version: Version) -> bool:
    return text.strip() == "*" or text.strip().strip('"') == version.etag


def _epoch(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _failed(condition: str) -> OssFault:
    text = "At least one of the pre-conditions you specified did not hold"
    extra = {"Condition": condition}
    return OssFault(412, "PreconditionFailed", text, ec="0026-00000051", extra=extra)


def _unchanged(version: Version) -> OssFault:
    headers = {"ETag": f'"{version.etag}"', "Last-Modified": http_date(version.modified_s)}
    return OssFault(304, "NotModified", "Not Modified", headers=headers)
