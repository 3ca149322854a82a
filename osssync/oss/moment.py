"""What V4 signatures of one second, by one credential set, have in common: all but a few bytes.

Thousands of requests are signed in a second, and what differs between them is the method, the
address and a header or two. Everything else, the lines to be sent among it, is made once.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
read 2026-09; RFC 2104 section 4 (intermediate results of an HMAC), read 2026-11.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from osssync.errors import UsageError
from osssync.oss.canonical import (
    UNSIGNED_PAYLOAD,
    by_name,
    canonical_query,
    signable_lines,
)
from osssync.oss.wire import header_lines
from osssync.veiled import Veiled

ALGORITHM = "OSS4-HMAC-SHA256"
_REQUEST_TYPE = "aliyun_v4_request"
_BLOCK_BYTES = 64  # of SHA-256's input
_CLOSING = f"\n\n{UNSIGNED_PAYLOAD}".encode()  # of a canonical request without additional headers


class Identity(Veiled, frozen=True):
    """The three strings of one credential set, read together; never shown."""

    access_key_id: str
    secret: str
    token: str


class Moment(Veiled, frozen=True):
    """One second of one credential set, for one scope."""

    second: int
    identity: Identity
    place: tuple[str | None, str]  # region and product
    timestamp: str
    scope: str
    authorization: str  # before the signature
    _lines: tuple[bytes, ...]  # its own headers as they are signed, in order
    _sent: bytes  # the same headers as they are sent, authorization begun
    _signing_key: bytes
    _inner: "hashlib._Hash"
    _outer: "hashlib._Hash"
    _to_sign: bytes  # before the digest of the canonical request

    @property
    def access_key_id(self) -> str:
        """Who signs."""
        return self.identity.access_key_id

    def sign(
        self, method: str, uri: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> bytes:
        """As ``Stamp.sign``."""
        lines: Sequence[bytes] = self._lines
        own = signable_lines(headers)
        if own:
            lines = sorted((*lines, *own), key=by_name)
        query = canonical_query(params) if params else ""
        start = f"{method}\n{uri}\n{query}\n".encode()
        canonical = b"".join((start, *lines, _CLOSING))
        return b"%b%b\r\n" % (self._sent, self.signature(canonical).encode())

    def signature(self, canonical_request: bytes) -> str:
        """The signature of a request, in hexadecimal digits."""
        # An HMAC by its definition: copies of hashes that hold the key already take a third of
        # the time of a new one.
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(self._to_sign)
        inner.update(hashlib.sha256(canonical_request).hexdigest().encode())
        outer.update(inner.digest())
        return outer.hexdigest()

    def key_for(self, identity: Identity, scope: str) -> bytes | None:
        """The signing key, if it is that of this set and scope."""
        return self._signing_key if (self.identity, self.scope) == (identity, scope) else None


def moment_of(
    second: int, identity: Identity, place: tuple[str | None, str], last: Moment | None
) -> Moment:
    """Make what is the same for all requests of one second.

    Args:
        second: epoch, UTC, by the service's clock.
        identity: who signs.
        place: region and product.
        last: the one before, whose key serves for a day.

    Raises:
        UsageError: no region, or a credential set that no header can carry.
    """
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
    region, product = place
    if not region:
        raise UsageError("signature V4 needs the region of the bucket: give --region")
    scope = f"{timestamp[:8]}/{region}/{product}/{_REQUEST_TYPE}"
    key = last and last.key_for(identity, scope)
    key = key or _signing_key(identity.secret, scope)
    authorization = f"{ALGORITHM} Credential={identity.access_key_id}/{scope}, Signature="
    headers = {"x-oss-content-sha256": UNSIGNED_PAYLOAD, "x-oss-date": timestamp}
    if identity.token:
        headers["x-oss-security-token"] = identity.token
    return Moment(
        second,
        identity,
        place,
        timestamp,
        scope,
        authorization,
        tuple(f"{name}:{value}\n".encode() for name, value in headers.items()),
        header_lines({**headers, "authorization": authorization}).removesuffix(b"\r\n"),
        key,
        hashlib.sha256(_padded(key, 0x36)),
        hashlib.sha256(_padded(key, 0x5C)),
        f"{ALGORITHM}\n{timestamp}\n{scope}\n".encode(),
    )


def _signing_key(secret: str, scope: str) -> bytes:
    signing_key = b"aliyun_v4" + secret.encode()
    for step in scope.split("/"):
        signing_key = hmac.digest(signing_key, step.encode(), "sha256")
    return signing_key


def _padded(key: bytes, pad: int) -> bytes:
    """The block that an HMAC's inner (0x36) or outer (0x5C) hash begins with."""
    return bytes(octet ^ pad for octet in key.ljust(_BLOCK_BYTES, b"\0"))
