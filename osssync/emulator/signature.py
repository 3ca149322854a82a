"""Who sent this request? Every check OSS makes between the first byte and the permission.

    Authorization header or query?  → parse → key known? → token fits? → clock fits? → HMAC equal?

The signatures themselves are in ``signature_v1``, ``_v2`` and ``_v4``, the checks and their answers
in ``signature_checks``, PostObject's forms in ``signature_form``.

Source: OSS "EC error codes" 0002-* and the four "Include a … signature" pages (help.aliyun.com,
read 2026-11).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from osssync.emulator import moments, signature_v1, signature_v2, signature_v4
from osssync.emulator.authority import ANONYMOUS, Authority, CredentialSet, Identity
from osssync.emulator.signature_checks import (
    additional_headers,
    believed_credential,
    check_clock,
    check_day,
    check_expiry,
    check_link_life,
    compare,
    denied,
    invalid_date,
    malformed,
    matches,
    read_credential,
)
from osssync.emulator.signature_form import authenticate_form
from osssync.emulator.signature_v4 import UNSIGNED_PAYLOAD, Scope
from osssync.emulator.wire import Parameter, WireRequest, headers_by_name, parameters

__all__ = ["WireRequest", "authenticate", "authenticate_form", "claimed_access_key_id"]

_V1_QUERY = frozenset({"OSSAccessKeyId", "Signature"})
_V4_QUERY = frozenset({"x-oss-signature-version", "x-oss-credential", "x-oss-signature"})


@dataclass(frozen=True, slots=True)
class _Received:
    """A request with its headers and query read once, and the two facts of the server."""

    request: WireRequest
    headers: Mapping[str, str]
    query: list[Parameter]
    region: str
    now_s: float

    def parameter(self, name: str) -> str | None:
        return next((one.value for one in self.query if one.name == name), None)


def authenticate(
    request: WireRequest, authority: Authority, *, region: str, now_s: float
) -> Identity:
    """Find out who signed a request.

    Args:
        request: as it stood on the wire.
        authority: who may sign.
        region: the server's, such as ``cn-hangzhou``; V4 signatures must name it.
        now_s: the server's clock, epoch seconds.

    Returns:
        The signer; an anonymous identity if there is no signature at all.

    Raises:
        OssFault: a signature that OSS would refuse.
    """
    headers = headers_by_name(request.headers)
    received = _Received(request, headers, parameters(request.target), region, now_s)
    names = {one.name for one in received.query}
    in_query = not names.isdisjoint(_V1_QUERY | _V4_QUERY)
    authorization = headers.get("authorization")
    if authorization is not None:
        if in_query:
            raise malformed(
                "A request may carry its signature in the Authorization header or in the query, "
                "not in both.",
                "0002-00000039",
            )
        return _by_header(received, authority, authorization)
    if not in_query:
        return ANONYMOUS
    if names.isdisjoint(_V4_QUERY):
        return _query_v1(received, authority)
    if received.parameter("x-oss-signature-version") == signature_v2.SCHEME:
        return _query_v2(received, authority)
    return _query_v4(received, authority)


def _by_header(received: _Received, authority: Authority, authorization: str) -> Identity:
    scheme, _, rest = authorization.partition(" ")
    if scheme == "OSS":
        return _header_v1(received, authority, rest)
    if scheme == signature_v2.SCHEME:
        return _header_v2(received, authority, rest)
    if scheme == signature_v4.ALGORITHM:
        return _header_v4(received, authority, rest)
    raise malformed("The authorization type is not supported.", "0002-00000061")


def claimed_access_key_id(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The key id a request says it is signed with, believed or not; empty if it says none.

    Args:
        headers: under lower-case names.
        query: decoded.
    """
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme == "OSS":
        return rest.strip().rpartition(":")[0]
    if scheme == signature_v2.SCHEME:
        return rest.partition("AccessKeyId:")[2].partition(",")[0]
    credential = rest.partition("Credential=")[2].partition(",")[0]
    credential = credential or query.get("x-oss-credential", "")
    return credential.partition("/")[0] or query.get(
        "OSSAccessKeyId", query.get("x-oss-access-key-id", "")
    )


def _header_v1(received: _Received, authority: Authority, rest: str) -> Identity:
    access_key_id, colon, provided = rest.strip().rpartition(":")
    if not colon or not access_key_id or not provided:
        raise malformed("The authorization header is malformed.", "0002-00000065")
    # The Python SDK V2 sends the query's spelling as a header when it signs V1.
    token = received.headers.get("x-oss-security-token") or received.headers.get("security-token")
    credential = believed_credential(authority, access_key_id, token or "", received.now_s)
    time_line = received.headers.get("x-oss-date") or received.headers.get("date", "")
    sent_s = moments.parse_http_date(time_line)
    if sent_s is None and "x-oss-date" in received.headers:
        sent_s = moments.parse_basic(time_line)
    check_clock(sent_s, time_line, received.now_s)
    _compare_v1(received, credential, time_line, provided)
    return authority.identity(credential)


def _query_v1(received: _Received, authority: Authority) -> Identity:
    access_key_id = received.parameter("OSSAccessKeyId")
    provided = received.parameter("Signature")
    expires = received.parameter("Expires")
    if not access_key_id or not provided or expires is None:
        raise denied(
            "Query-string authentication requires the Signature, Expires and OSSAccessKeyId "
            "parameters.",
            "0002-00000067",
        )
    if not expires.isascii() or not expires.isdigit() or len(expires) > 18:
        cause = "0002-00000070" if expires else "0002-00000068"
        raise denied(f"Invalid date (should be seconds since epoch): {expires}", cause)
    check_expiry(int(expires), received.now_s)
    token = received.parameter("security-token") or received.headers.get("x-oss-security-token")
    credential = believed_credential(authority, access_key_id, token or "", received.now_s)
    _compare_v1(received, credential, expires, provided)
    return authority.identity(credential)


def _header_v2(received: _Received, authority: Authority, rest: str) -> Identity:
    fields = dict(piece.strip().partition(":")[::2] for piece in rest.split(","))
    access_key_id, provided = fields.get("AccessKeyId"), fields.get("Signature")
    if not access_key_id or not provided:
        raise malformed("The authorization header is malformed.", "0002-00000065")
    additional = additional_headers(fields.get("AdditionalHeaders"), received.headers)
    token = received.headers.get("x-oss-security-token", "")
    credential = believed_credential(authority, access_key_id, token, received.now_s)
    time_line = received.headers.get("date", "")
    sent = received.headers.get("x-oss-date") or time_line
    check_clock(moments.parse_http_date(sent), sent, received.now_s)
    _compare_v2(received, credential, (time_line, additional), provided)
    return authority.identity(credential)


def _query_v2(received: _Received, authority: Authority) -> Identity:
    access_key_id = received.parameter("x-oss-access-key-id")
    provided = received.parameter("x-oss-signature")
    expires = received.parameter("x-oss-expires") or ""
    if not access_key_id or not provided:
        raise denied("Query-string authentication lacks a parameter.", "0002-00000067")
    if not expires.isascii() or not expires.isdigit() or len(expires) > 18:
        raise denied(f"Invalid date (should be seconds since epoch): {expires}", "0002-00000070")
    check_expiry(int(expires), received.now_s)
    listed = received.parameter("x-oss-additional-headers")
    additional = additional_headers(listed, received.headers)
    token = received.parameter("security-token") or ""
    credential = believed_credential(authority, access_key_id, token, received.now_s)
    _compare_v2(received, credential, (expires, additional), provided)
    return authority.identity(credential)


def _header_v4(received: _Received, authority: Authority, rest: str) -> Identity:
    fields = _authorization_fields(rest)
    access_key_id, scope = read_credential(fields["Credential"], received.region, "0002-00000212")
    additional = additional_headers(fields.get("AdditionalHeaders"), received.headers)
    payload = received.headers.get("x-oss-content-sha256")
    if payload != UNSIGNED_PAYLOAD:
        raise malformed("Invalid x-oss-content-sha256 header.", "0002-00000214")
    token = received.headers.get("x-oss-security-token", "")
    credential = believed_credential(authority, access_key_id, token, received.now_s)
    if "x-oss-date" in received.headers:
        time_line = received.headers["x-oss-date"]
        sent_s = moments.parse_basic(time_line)
    else:
        time_line = received.headers.get("date", "")
        sent_s = moments.parse_http_date(time_line)
    sent_s = check_clock(sent_s, time_line, received.now_s)
    check_day(scope, sent_s)
    _compare_v4(received, credential, scope, (time_line, additional), fields["Signature"])
    return authority.identity(credential)


def _query_v4(received: _Received, authority: Authority) -> Identity:
    version = received.parameter("x-oss-signature-version")
    if version != signature_v4.ALGORITHM:
        raise malformed("Invalid x-oss-signature-version.", "0002-00000066")
    provided = received.parameter("x-oss-signature")
    if not provided:
        raise malformed("Missing x-oss-signature.", "0002-00000219")
    access_key_id, scope = read_credential(
        received.parameter("x-oss-credential") or "", received.region, "0002-00000223"
    )
    listed = received.parameter("x-oss-additional-headers")
    additional = additional_headers(listed, received.headers)
    time_line = received.parameter("x-oss-date") or ""
    sent_s = moments.parse_basic(time_line)
    if sent_s is None:
        raise invalid_date(time_line)
    check_day(scope, sent_s)
    check_link_life(received.parameter("x-oss-expires") or "", sent_s, received.now_s)
    token = received.parameter("x-oss-security-token")
    token = token or received.headers.get("x-oss-security-token")
    credential = believed_credential(authority, access_key_id, token or "", received.now_s)
    _compare_v4(received, credential, scope, (time_line, additional), provided)
    return authority.identity(credential)


def _authorization_fields(rest: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for piece in rest.split(","):
        name, _, value = piece.strip().partition("=")
        fields[name] = value.strip()
    known = {"Credential", "AdditionalHeaders", "Signature"}
    if not fields.get("Credential") or not fields.get("Signature") or set(fields) - known:
        raise malformed("The authorization header is malformed.", "0002-00000202")
    return fields


def _compare_v1(
    received: _Received, credential: CredentialSet, time_line: str, provided: str
) -> None:
    request = received.request
    text = signature_v1.string_to_sign(request, received.headers, received.query, time_line)
    expected = signature_v1.sign(credential.access_key_secret, text)
    if request.target.partition("?")[0] == f"/{request.bucket}":
        # A bucket in the path without its slash: some clients sign the path as they send it.
        bare = text.replace(f"\n/{request.bucket}/", f"\n/{request.bucket}", 1)
        if matches(signature_v1.sign(credential.access_key_secret, bare), provided):
            return
    compare(credential, expected, provided, text, "0002-00000040")


def _compare_v2(
    received: _Received,
    credential: CredentialSet,
    signed: tuple[str, tuple[str, ...]],
    provided: str,
) -> None:
    text = signature_v2.string_to_sign(received.request, received.headers, received.query, signed)
    expected = signature_v2.sign(credential.access_key_secret, text)
    compare(credential, expected, provided, text, "0002-00000040")


def _compare_v4(
    received: _Received,
    credential: CredentialSet,
    scope: Scope,
    signed: tuple[str, tuple[str, ...]],
    provided: str,
) -> None:
    time_line, additional = signed
    canonical = signature_v4.canonical_request(
        received.request, received.headers, received.query, additional
    )
    text = signature_v4.string_to_sign(time_line, scope, canonical)
    expected = signature_v4.sign(credential.access_key_secret, scope, text)
    if not matches(expected, provided) and any(
        one.equals and not one.value for one in received.query
    ):
        # The JavaScript SDK signs "prefix=" as it sends it, and not as "prefix".
        other = signature_v4.canonical_request(
            received.request, received.headers, received.query, additional, keeps_equals=True
        )
        again = signature_v4.string_to_sign(time_line, scope, other)
        if matches(signature_v4.sign(credential.access_key_secret, scope, again), provided):
            return
    compare(credential, expected, provided, text, "0002-00000201", canonical)
