"""Request signatures V4 and V1, with one read of the credentials per request.

oss2's own ``ProviderAuthV4`` spends a quarter of a millisecond per request on a Python loop over
the bytes of the key, on five HMACs for a key that changes once a day, and on formatting the string
to sign (with the security token in it) for a debug log. These give the same signatures and do none
of that. They sign with a clock corrected by what the service says its time is. ``signing`` makes
oss2's own classes of them; nothing here loads oss2.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
and .../include-signatures-in-the-authorization-header (V1), read 2026-09; oss2 2.19.1 auth.py.
"""

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import quote

from osssync.errors import UsageError

_ALGORITHM = "OSS4-HMAC-SHA256"
_REQUEST_TYPE = "aliyun_v4_request"
_ALWAYS_SIGNED = frozenset(("content-type", "content-md5"))
SUBRESOURCES = frozenset(
    """
    accessPoint accessPointPolicy acl append asyncFetch bucketArchiveDirectRead bucketInfo
    callback callback-var cname comp continuation-token cors delete encryption endTime group
    httpsConfig inventory inventoryId lifecycle link live location logging metaQuery objectInfo
    objectMeta partNumber policy position publicAccessBlock qos qosInfo qosRequester
    redundancyTransition referer regionList replication replicationLocation replicationProgress
    requestPayment requesterQosInfo resourceGroup resourcePool resourcePoolBuckets
    resourcePoolInfo response-cache-control response-content-disposition response-content-encoding
    response-content-language response-content-type response-expires restore security-token
    sequential startTime stat status style styleName symlink tagging transferAcceleration uploadId
    uploads versionId versioning versions vod website worm wormExtend wormId
    x-oss-ac-forward-allow x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id
    x-oss-access-point-name x-oss-async-process x-oss-process x-oss-redundancy-transition-taskid
    x-oss-request-payer x-oss-target-redundancy-type x-oss-traffic-limit
    x-oss-write-get-object-response
    """.split()  # noqa: SIM905 - a page of lines otherwise
)
"""The parameters that V1 signs; the same as oss2's, which the tests compare."""

_LAST_SIGNED_WITH: ContextVar[str] = ContextVar("osssync_signed_with", default="")


class Credentials(Protocol):
    """One immutable set: what oss2 and its documented wrapper agree on."""

    def get_access_key_id(self) -> str:
        """The AccessKeyId; not a secret, but masked in output."""

    def get_access_key_secret(self) -> str:
        """The AccessKeySecret."""

    def get_security_token(self) -> str | None:
        """The STS token; empty or None for a long-lived key."""


class CredentialsProvider(Protocol):
    """Where credentials come from. Called once per request, from many threads."""

    def get_credentials(self) -> Credentials:
        """The credentials to sign with now."""


class ClockOffset:
    """How far the service's clock is ahead of ours; zero until the service says otherwise.

    OSS refuses a request whose time is more than 15 minutes off. Threads may share one: it is a
    single float, replaced whole.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.seconds = 0.0

    def now(self) -> float:
        """The service's time as far as we know, in epoch seconds."""
        return self._clock() + self.seconds

    def learn(self, server_time_s: float) -> float:
        """Take the service's word for what time it is now; returns the new offset in seconds."""
        self.seconds = server_time_s - self._clock()
        return self.seconds


class SdkRequest(Protocol):
    """The part of ``oss2.http.Request`` that is signed and sent."""

    method: str
    url: str
    data: Any  # the body, or None
    params: dict[str, str]
    headers: MutableMapping[str, str]  # finds names in any case; a value None is not sent
    region: str | None
    product: str
    cloudbox_id: str | None


@dataclass(frozen=True, slots=True)
class _Identity:
    """The three strings of one credential set, read together; never shown."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Moment:
    """All that signatures of one second, by one credential set, for one scope have in common."""

    second: int
    identity: _Identity
    place: tuple[str | None, str]  # region and product
    timestamp: str
    scope: str
    signing_key: bytes = field(repr=False)
    to_sign: bytes  # before the digest of the canonical request
    authorization: str  # before the signature


class _Signer:
    """What both versions share: who signs, at what time, and who signed last here."""

    def __init__(self, provider: CredentialsProvider, clock_offset: ClockOffset) -> None:
        self._provider = provider
        self._clock_offset = clock_offset
        self._last_read: tuple[Credentials | None, _Identity] = (None, _Identity("", "", ""))

    @property
    def signed_with(self) -> str:
        """The AccessKeyId of the last request signed on the calling thread or fiber, or ""."""
        return _LAST_SIGNED_WITH.get()

    def _identity(self) -> _Identity:
        # The one read per request: three separate reads can straddle a rotation and sign with
        # the id of one set and the token of another.
        _LAST_SIGNED_WITH.set("")
        credentials = self._provider.get_credentials()
        last, identity = self._last_read
        if credentials is last:  # a set is immutable
            _LAST_SIGNED_WITH.set(identity.access_key_id)
            return identity
        identity = _Identity(
            credentials.get_access_key_id(),
            credentials.get_access_key_secret(),
            credentials.get_security_token() or "",
        )
        self._last_read = (credentials, identity)  # one assignment: threads see the old or the new
        _LAST_SIGNED_WITH.set(identity.access_key_id)
        return identity


class SignerV4(_Signer):
    """Signature V4. The payload is not signed (``UNSIGNED-PAYLOAD``): CRC-64 guards the body."""

    def __init__(self, provider: CredentialsProvider, clock_offset: ClockOffset) -> None:
        super().__init__(provider, clock_offset)
        self._last: _Moment | None = None

    def _sign_request(
        self,
        req: SdkRequest,
        bucket_name: str,
        key: str,
        in_additional_headers: Iterable[str] | None = None,
    ) -> None:
        moment = self._moment(req)
        headers = req.headers
        if moment.identity.token:
            headers["x-oss-security-token"] = moment.identity.token
        headers["x-oss-date"] = moment.timestamp
        headers["x-oss-content-sha256"] = "UNSIGNED-PAYLOAD"
        additional = _additional_headers(in_additional_headers)
        signature = _signature(moment, _canonical_request(req, bucket_name, key, additional))
        authorization = moment.authorization + signature
        if additional:
            authorization += f", AdditionalHeaders={';'.join(additional)}"
        headers["authorization"] = authorization

    def _sign_url(
        self,
        req: SdkRequest,
        bucket_name: str,
        key: str,
        expires: int,
        in_additional_headers: Iterable[str] | None = None,
    ) -> str:
        moment = self._moment(req)
        identity = moment.identity
        present = {name.lower() for name in req.headers}
        additional = _additional_headers(
            name for name in in_additional_headers or () if name.lower() in present
        )
        if identity.token:
            req.params["x-oss-security-token"] = identity.token
        req.params["x-oss-date"] = moment.timestamp
        req.params["x-oss-expires"] = str(expires)
        req.params["x-oss-signature-version"] = _ALGORITHM
        req.params["x-oss-credential"] = f"{identity.access_key_id}/{moment.scope}"
        if additional:
            req.params["x-oss-additional-headers"] = ";".join(additional)
        canonical = _canonical_request(req, bucket_name, key, additional)
        req.params["x-oss-signature"] = _signature(moment, canonical)
        return f"{req.url}?{query_string(req.params)}"

    def _moment(self, req: SdkRequest) -> _Moment:
        identity = self._identity()
        second = int(self._clock_offset.now())
        place = (req.cloudbox_id or req.region, req.product)
        last = self._last
        if (
            last is not None
            and last.identity is identity
            and last.second == second
            and last.place == place
        ):
            return last
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        region, product = place
        if not region:
            raise UsageError("signature V4 needs the region of the bucket: give --region")
        scope = f"{timestamp[:8]}/{region}/{product}/{_REQUEST_TYPE}"
        if last is not None and last.identity is identity and last.scope == scope:
            signing_key = last.signing_key
        else:
            signing_key = _signing_key(identity.secret, scope)
        moment = _Moment(
            second,
            identity,
            place,
            timestamp,
            scope,
            signing_key,
            f"{_ALGORITHM}\n{timestamp}\n{scope}\n".encode(),
            f"{_ALGORITHM} Credential={identity.access_key_id}/{scope}, Signature=",
        )
        self._last = moment  # one assignment: threads see the old or the new
        return moment


def _signing_key(secret: str, scope: str) -> bytes:
    signing_key = b"aliyun_v4" + secret.encode()
    for step in scope.split("/"):
        signing_key = hmac.digest(signing_key, step.encode(), "sha256")
    return signing_key


def _signature(moment: _Moment, canonical: bytes) -> str:
    digest = hashlib.sha256(canonical).hexdigest()
    to_sign = moment.to_sign + digest.encode()
    return hmac.digest(moment.signing_key, to_sign, "sha256").hex()


class SignerV1(_Signer):
    """Signature V1, for buckets that still take it (none made since 2025-09)."""

    def _sign_request(self, req: SdkRequest, bucket_name: str, key: str) -> None:
        identity = self._identity()
        if identity.token:
            req.headers["x-oss-security-token"] = identity.token
        req.headers["date"] = formatdate(self._clock_offset.now(), usegmt=True)
        signature = self._signature(identity, req, bucket_name, key)
        req.headers["authorization"] = f"OSS {identity.access_key_id}:{signature}"

    def _sign_url(self, req: SdkRequest, bucket_name: str, key: str, expires: int) -> str:
        identity = self._identity()
        if identity.token:
            req.params["security-token"] = identity.token
        expires_at = str(int(self._clock_offset.now()) + expires)
        req.headers["date"] = expires_at
        signature = self._signature(identity, req, bucket_name, key)
        req.params["OSSAccessKeyId"] = identity.access_key_id
        req.params["Expires"] = expires_at
        req.params["Signature"] = signature
        return f"{req.url}?{query_string(req.params)}"

    def _signature(self, identity: _Identity, req: SdkRequest, bucket_name: str, key: str) -> str:
        headers = req.headers
        canonical = {
            name.lower(): _octets(value)
            for name, value in headers.items()
            if name.lower().startswith("x-oss-")
        }
        subresources = "&".join(
            f"{name}={value}" if value else name
            for name, value in sorted(req.params.items())
            if name in SUBRESOURCES
        )
        resource = f"/{bucket_name}/{key}" if bucket_name else "/"
        if subresources:
            resource += f"?{subresources}"
        string_to_sign = b"".join(
            (
                f"{req.method}\n{headers.get('content-md5', '')}\n".encode(),
                f"{headers.get('content-type', '')}\n".encode(),
                f"{headers.get('x-oss-date', '') or headers.get('date', '')}\n".encode(),
                *(b"%b:%b\n" % (name.encode(), canonical[name]) for name in sorted(canonical)),
                resource.encode(),
            )
        )
        return b64encode(hmac.digest(identity.secret.encode(), string_to_sign, "sha1")).decode()


def query_string(params: Mapping[str, str]) -> str:
    """A query with every name and value percent-encoded ("+" too), and no "=" after a bare name.

    A server that decodes it and encodes it again gets the string V4 signs, whatever the order.
    """
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" if value else quote(name, safe="")
        for name, value in params.items()
    )


def _additional_headers(names: Iterable[str] | None) -> list[str]:
    if not names:
        return []
    lowered = {name.lower() for name in names}
    return sorted(
        name for name in lowered if not name.startswith("x-oss-") and name not in _ALWAYS_SIGNED
    )


def _canonical_request(req: SdkRequest, bucket_name: str, key: str, additional: list[str]) -> bytes:
    uri = quote(f"/{bucket_name}/{key}") if bucket_name else "/"
    query = ""
    if req.params:
        params = {quote(name, safe=""): quote(value, safe="") for name, value in req.params.items()}
        query = "&".join(
            f"{name}={params[name]}" if params[name] else name for name in sorted(params)
        )
    lines = []
    for raw, value in req.headers.items():
        name = raw.lower()
        if name.startswith("x-oss-") or name in _ALWAYS_SIGNED or name in additional:
            lines.append(b"%b:%b\n" % (name.encode(), _octets(value)))
    lines.sort(key=_before_colon)
    payload = req.headers.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
    return b"".join(
        (
            f"{req.method}\n{uri}\n{query}\n".encode(),
            *lines,
            f"\n{';'.join(additional)}\n{payload}".encode(),
        )
    )


def _before_colon(line: bytes) -> bytes:
    return line[: line.index(b":")]


def _octets(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
