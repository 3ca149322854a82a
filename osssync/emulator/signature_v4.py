"""OSS signature version 4: what is signed, and the HMAC-SHA256 over it. Decides nothing.

Source: OSS API reference, "Include a V4 signature in the Authorization header", "Include a V4
signature in a URL" and "POST V4 signature" (help.aliyun.com, read 2026-11).
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from osssync.emulator.wire import Parameter, WireRequest, encode

ALGORITHM = "OSS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
PRODUCT = "oss"
REQUEST_TYPE = "aliyun_v4_request"
SIGNATURE_PARAMETER = "x-oss-signature"


@dataclass(frozen=True, slots=True)
class Scope:
    """The last four fields of a credential: day (YYYYMMDD), region, product, request type."""

    day: str
    region: str
    product: str
    request_type: str

    def __str__(self) -> str:
        return f"{self.day}/{self.region}/{self.product}/{self.request_type}"


def canonical_request(
    request: WireRequest,
    headers: Mapping[str, str],
    query: Iterable[Parameter],
    additional: tuple[str, ...],
    *,
    keeps_equals: bool = False,
) -> str:
    """Everything the signature covers, in one text.

    Signed headers are content-type, content-md5, all x-oss-*, and those named in ``additional``
    (lower case). The query is signed in its encoded form, without its own signature;
    a parameter without a value stands there without ``=``, unless ``keeps_equals``.
    """
    path = f"/{request.bucket}/{request.key}" if request.bucket else "/"
    signed_query = sorted(
        (one.encoded_name, one.encoded_value, one.equals if keeps_equals else "")
        for one in query
        if one.name != SIGNATURE_PARAMETER
    )
    joined = "&".join(
        f"{name}={value}" if value else name + equals for name, value, equals in signed_query
    )
    signed = "".join(
        f"{name}:{headers[name]}\n" for name in sorted(headers) if _is_signed(name, additional)
    )
    payload = headers.get("x-oss-content-sha256", UNSIGNED_PAYLOAD)
    return (
        f"{request.method}\n{encode(path, '/')}\n{joined}\n{signed}\n"
        f"{';'.join(sorted(additional))}\n{payload}"
    )


def _is_signed(name: str, additional: tuple[str, ...]) -> bool:
    return (
        name.startswith("x-oss-") or name in {"content-type", "content-md5"} or name in additional
    )


def string_to_sign(time_line: str, scope: Scope, canonical: str) -> str:
    """The text whose HMAC is the signature; ``time_line`` stands as the client wrote it."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{time_line}\n{scope}\n{digest}"


def sign(secret: str, scope: Scope, text: str) -> str:
    """Lower-case hex of HMAC-SHA256 under the key derived for the scope."""
    key = _signing_key(secret, scope)
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256").hex()


@lru_cache(maxsize=256)  # one key serves a credential for a whole day
def _signing_key(secret: str, scope: Scope) -> bytes:
    key = f"aliyun_v4{secret}".encode()
    for field in (scope.day, scope.region, scope.product, scope.request_type):
        key = hmac.digest(key, field.encode(), "sha256")
    return key
