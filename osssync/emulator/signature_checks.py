"""The checks that all ways of signing share, each with the answer OSS documents for it.

Where OSS documents no cause (EC) for an answer, it is empty.

Source: OSS "EC error codes" 0002-* (help.aliyun.com, read 2026-11).
"""

import hmac
from collections.abc import Mapping

from osssync.emulator import moments
from osssync.emulator.authority import Authority, CredentialSet
from osssync.emulator.errors import OssFault
from osssync.emulator.signature_v4 import PRODUCT, REQUEST_TYPE, Scope

MAX_SKEW_S = 900
MAX_LINK_LIFE_S = 604_800  # V4 links live seven days at most


def read_credential(text: str, region: str, day_cause: str) -> tuple[str, Scope]:
    """Take ``<AccessKeyId>/<SignDate>/<Region>/oss/aliyun_v4_request`` apart, and check it."""
    pieces = text.rsplit("/", 4)
    if len(pieces) != 5 or not pieces[0]:
        raise malformed("Invalid signing credential.", "0002-00000224")
    scope = Scope(*pieces[1:])
    if moments.parse_basic(f"{scope.day}T000000Z") is None:
        raise malformed("Invalid signing date in Authorization header.", day_cause)
    if scope.region != region:
        text = "Invalid signing region in Authorization header."
        if not scope.region:
            text = "The signing region in credential is invalid."
        raise malformed(text, "0002-00000226")
    if scope.product != PRODUCT:
        raise malformed("Invalid signing product in Authorization header.", "0002-00000227")
    if scope.request_type != REQUEST_TYPE:
        raise malformed("Invalid signing request type in Authorization header.", "0002-00000224")
    return pieces[0], scope


def additional_headers(listed: str | None, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the additionally signed headers; each must be there, in lower case."""
    if listed is None:
        return ()
    if not listed:
        raise malformed("AdditionalHeaders is empty.", "0002-00000209")
    names = tuple(listed.split(";"))
    if not all(names):
        raise malformed("AdditionalHeaders contains an empty name.", "0002-00000210")
    for name in names:
        if name not in headers:
            raise malformed(f"AdditionalHeaders contains {name}, which is not a header.", "")
    return names


def believed_credential(
    authority: Authority, access_key_id: str, token: str, now_s: float
) -> CredentialSet:
    """Find the credential of a key id, and see that the token belongs to it and still lives."""
    credential = authority.find(access_key_id)
    if credential is None:
        raise unknown_key(access_key_id, "0002-00000902")
    if not token and credential.security_token:
        raise unknown_key(access_key_id, "0002-00000003")
    if not matches(credential.security_token, token):
        if authority.knows_token(token) and credential.security_token:
            raise OssFault(
                403,
                "AccessKeyIdAndSecurityTokenNotMatch",
                "The access key id and the security token do not belong together.",
                "0002-00000004",
                {"OSSAccessKeyId": access_key_id},
            )
        raise OssFault(
            403,
            "InvalidSecurityToken",
            "The security token you provided is invalid.",
            "0002-00000006",
        )
    if credential.expires_s <= now_s:
        raise OssFault(
            403,
            "SecurityTokenExpired",
            "The security token you provided has expired.",
            "0002-00000007",
            {"SecurityToken": token},
        )
    return credential


def check_clock(sent_s: float | None, time_line: str, now_s: float) -> float:
    """See that a signed date is there, well-formed, and within 15 minutes of the server's."""
    if sent_s is None:
        raise invalid_date(time_line)
    if abs(sent_s - now_s) > MAX_SKEW_S:
        raise OssFault(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "0002-00000504",
            {
                "MaxAllowedSkewMilliseconds": str(MAX_SKEW_S * 1000),
                "RequestTime": moments.extended(sent_s),
                "ServerTime": moments.extended(now_s),
            },
        )
    return sent_s


def check_day(scope: Scope, sent_s: float) -> None:
    """See that the scope's day is the day of the signed time."""
    if not moments.basic(sent_s).startswith(scope.day):
        raise malformed("The signing date is not the date of the request.", "0002-00000212")


def check_link_life(expires: str, signed_s: float, now_s: float) -> None:
    """See that a V4 link lives 1 s to 7 d and that now is within its life."""
    if not expires.isascii() or not expires.isdigit() or len(expires) > 9:
        raise malformed("Invalid x-oss-expires.", "0002-00000232")
    if not 1 <= int(expires) <= MAX_LINK_LIFE_S:
        raise malformed("Invalid x-oss-expires.", "0002-00000232")
    if signed_s - now_s > MAX_SKEW_S:
        raise denied("Request is not valid yet.", "")
    check_expiry(signed_s + int(expires), now_s)


def check_expiry(expires_s: float, now_s: float) -> None:
    """See that a link has not ended; its last second still counts."""
    if now_s > expires_s:
        raise OssFault(
            403,
            "AccessDenied",
            "Request has expired.",
            "0002-00000069",
            {"Expires": moments.extended(expires_s), "ServerTime": moments.extended(now_s)},
        )


def matches(expected: str, provided: str) -> bool:
    """Whether two signatures or tokens are equal, in constant time."""
    return hmac.compare_digest(_bytes(expected), _bytes(provided))


def compare(
    credential: CredentialSet,
    expected: str,
    provided: str,
    text: str,
    cause: str,
    canonical: str = "",
) -> None:
    """See that signatures match; a mismatch tells the client what the server signed."""
    if matches(expected, provided):
        return
    extra = {
        "OSSAccessKeyId": credential.access_key_id,
        "SignatureProvided": provided,
        "StringToSign": text,
        "StringToSignBytes": _bytes(text).hex(" ").upper(),
    }
    if canonical:
        extra["CanonicalRequest"] = canonical
    raise OssFault(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        cause,
        extra,
    )


def unknown_key(access_key_id: str, cause: str) -> OssFault:
    """The answer to a key id OSS has no (whole) credential for."""
    return OssFault(
        403,
        "InvalidAccessKeyId",
        "The OSS Access Key Id you provided does not exist in our records.",
        cause,
        {"OSSAccessKeyId": access_key_id},
    )


def invalid_date(text: str) -> OssFault:
    """The answer to a date that is missing (an empty text) or in a wrong form."""
    cause = "0002-00000502" if text else "0002-00000503"
    return denied("OSS authentication requires a valid Date.", cause)


def denied(message: str, cause: str) -> OssFault:
    """The answer to a link or date that is incomplete or past."""
    return OssFault(403, "AccessDenied", message, cause)


def malformed(message: str, cause: str) -> OssFault:
    """The answer to authentication data that cannot be read."""
    return OssFault(400, "InvalidArgument", message, cause)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
