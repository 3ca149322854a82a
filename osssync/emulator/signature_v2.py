"""OSS signature version 2: what is signed, and the HMAC-SHA256 over it. Decides nothing.

Superseded by version 4, and still what oss2's ``AuthV2`` and the Go SDK's ``AuthV2`` send. All of
the query is signed, and everything is signed in its encoded form, slashes included.
Source: aliyun-oss-python-sdk 2.19.1, ``oss2/auth.py`` (read 2026-11); the vendor's page is gone.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping

from osssync.emulator.wire import Parameter, WireRequest, encode

SCHEME = "OSS2"
SIGNATURE_PARAMETER = "x-oss-signature"


def string_to_sign(
    request: WireRequest,
    headers: Mapping[str, str],
    query: Iterable[Parameter],
    signed: tuple[str, tuple[str, ...]],
) -> str:
    """The text whose HMAC is the signature.

    Args:
        request: as it stood on the wire.
        headers: under lower-case names.
        query: all of it; its own signature is left out.
        signed: the Date of a header or the expiry of a link, and the names of the additionally
            signed headers, in lower case.
    """
    time_line, additional = signed
    canonical = "".join(
        f"{name}:{headers[name]}\n"
        for name in sorted(headers)
        if name.startswith("x-oss-") or name in additional
    )
    return (
        f"{request.method}\n{headers.get('content-md5', '')}\n{headers.get('content-type', '')}\n"
        f"{time_line}\n{canonical}{';'.join(sorted(additional))}\n"
        f"{_resource(request.bucket, request.key, query)}"
    )


def _resource(bucket: str, key: str, query: Iterable[Parameter]) -> str:
    path = encode(f"/{bucket}/{key}" if bucket else "/")
    pairs = sorted(
        (one.encoded_name, one.encoded_value) for one in query if one.name != SIGNATURE_PARAMETER
    )
    joined = "&".join(f"{name}={value}" if value else name for name, value in pairs)
    return f"{path}?{joined}" if joined else path


def sign(secret: str, text: str) -> str:
    """Base64 of HMAC-SHA256."""
    digest = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha256")
    return base64.b64encode(digest).decode()
