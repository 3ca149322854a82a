"""Request signatures V4 and V1, with one read of the credentials per request.

oss2's own ``ProviderAuthV4`` spends a quarter of a millisecond per request on a Python loop over
the bytes of the key, on five HMACs for a key that changes once a day, and on formatting the string
to sign (with the security token in it) for a debug log. These give the same signatures and do none
of that. They sign with a clock corrected by what the service says its time is. ``signing`` makes
oss2's own classes of them; nothing here loads oss2.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
and .../include-signatures-in-the-authorization-header (V1), read 2026-09; oss2 2.19.1 auth.py.
"""

import hmac
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import quote, unquote

from msgspec import Struct

from osssync.oss.canonical import (
    ALWAYS_SIGNED,
    UNSIGNED_PAYLOAD,
    by_name,
    canonical_query,
    octets,
    query_string,
    signable_lines,
)
from osssync.oss.moment import ALGORITHM, Identity, Moment, moment_of
from osssync.oss.wire import header_lines

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


class Stamp(Protocol):
    """Who signs, and when."""

    @property
    def access_key_id(self) -> str:
        """The AccessKeyId, which errors are blamed on."""

    def sign(
        self, method: str, uri: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> bytes:
        """The lines that sign a request, to be sent with those of ``headers``.

        Args:
            method: of the request.
            uri: /BUCKET/KEY, percent-encoded but for its slashes.
            params: of the query, not encoded.
            headers: all others that are sent, in any case.
        """


class _Signer:
    """What both versions share: who signs, at what time, and who signed last here."""

    def __init__(
        self, provider: CredentialsProvider, clock_offset: ClockOffset, region: str = ""
    ) -> None:
        self._provider = provider
        self._clock_offset = clock_offset
        self._place = (region, "oss")  # V1 signs none
        self._last_read: tuple[Credentials | None, Identity] = (None, Identity("", "", ""))

    @property
    def signed_with(self) -> str:
        """The AccessKeyId of the last request signed on the calling thread or fiber, or ""."""
        return _LAST_SIGNED_WITH.get()

    def _identity(self) -> Identity:
        # The one read per request: three separate reads can straddle a rotation and sign with
        # the id of one set and the token of another.
        try:
            credentials = self._provider.get_credentials()
        except BaseException:
            _LAST_SIGNED_WITH.set("")
            raise
        last, identity = self._last_read
        if credentials is not last:  # a set is immutable
            identity = Identity(
                credentials.get_access_key_id(),
                credentials.get_access_key_secret(),
                credentials.get_security_token() or "",
            )
            self._last_read = (credentials, identity)  # one assignment: threads see old or new
        if _LAST_SIGNED_WITH.get() != identity.access_key_id:
            _LAST_SIGNED_WITH.set(identity.access_key_id)
        return identity


class SignerV4(_Signer):
    """Signature V4. The payload is not signed (``UNSIGNED-PAYLOAD``): CRC-64 guards the body.

    Args:
        provider: asked once per request.
        clock_offset: of the service.
        region: of the requests that a ``stamp`` signs; those of oss2 bring their own.
    """

    def __init__(
        self, provider: CredentialsProvider, clock_offset: ClockOffset, region: str = ""
    ) -> None:
        super().__init__(provider, clock_offset, region)
        self._last: Moment | None = None

    def stamp(self) -> Stamp:
        """Who signs now, for requests that are sent now.

        Raises:
            UsageError: no region, or a credential set that no header can carry.
            CredentialsError: as the provider says.
        """
        return self._moment(self._place)

    def _sign_request(
        self,
        req: SdkRequest,
        bucket_name: str,
        key: str,
        in_additional_headers: Iterable[str] | None = None,
    ) -> None:
        moment = self._moment((req.cloudbox_id or req.region, req.product))
        headers = req.headers
        if moment.identity.token:
            headers["x-oss-security-token"] = moment.identity.token
        headers["x-oss-date"] = moment.timestamp
        headers["x-oss-content-sha256"] = UNSIGNED_PAYLOAD
        additional = _additional_headers(in_additional_headers)
        signature = moment.signature(_canonical_request(req, bucket_name, key, additional))
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
        moment = self._moment((req.cloudbox_id or req.region, req.product))
        identity = moment.identity
        present = {name.lower() for name in req.headers}
        additional = _additional_headers(
            name for name in in_additional_headers or () if name.lower() in present
        )
        if identity.token:
            req.params["x-oss-security-token"] = identity.token
        req.params["x-oss-date"] = moment.timestamp
        req.params["x-oss-expires"] = str(expires)
        req.params["x-oss-signature-version"] = ALGORITHM
        req.params["x-oss-credential"] = f"{identity.access_key_id}/{moment.scope}"
        if additional:
            req.params["x-oss-additional-headers"] = ";".join(additional)
        canonical = _canonical_request(req, bucket_name, key, additional)
        req.params["x-oss-signature"] = moment.signature(canonical)
        return f"{req.url}?{query_string(req.params)}"

    def _moment(self, place: tuple[str | None, str]) -> Moment:
        identity = self._identity()
        second = int(self._clock_offset.now())
        last = self._last
        if (
            last is not None
            and last.second == second
            and last.identity is identity
            and last.place == place
        ):
            return last
        moment = moment_of(second, identity, place, last)
        self._last = moment  # one assignment: threads see the old or the new
        return moment


class SignerV1(_Signer):
    """Signature V1, for buckets that still take it (none made since 2025-09)."""

    def stamp(self) -> Stamp:
        """As ``SignerV4.stamp``."""
        return _StampV1(self._identity(), self._date())

    def _date(self) -> str:
        from email.utils import formatdate  # V4 does without

        return formatdate(self._clock_offset.now(), usegmt=True)

    def _sign_request(self, req: SdkRequest, bucket_name: str, key: str) -> None:
        identity = self._identity()
        if identity.token:
            req.headers["x-oss-security-token"] = identity.token
        req.headers["date"] = self._date()
        signature = _signature_of_sdk(identity, req, bucket_name, key)
        req.headers["authorization"] = f"OSS {identity.access_key_id}:{signature}"

    def _sign_url(self, req: SdkRequest, bucket_name: str, key: str, expires: int) -> str:
        identity = self._identity()
        if identity.token:
            req.params["security-token"] = identity.token
        expires_at = str(int(self._clock_offset.now()) + expires)
        req.headers["date"] = expires_at
        signature = _signature_of_sdk(identity, req, bucket_name, key)
        req.params["OSSAccessKeyId"] = identity.access_key_id
        req.params["Expires"] = expires_at
        req.params["Signature"] = signature
        return f"{req.url}?{query_string(req.params)}"


class _StampV1(Struct, frozen=True):
    _identity: Identity
    _date: str

    @property
    def access_key_id(self) -> str:
        return self._identity.access_key_id

    def sign(
        self, method: str, uri: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> bytes:
        identity = self._identity
        signed = {"date": self._date}
        if identity.token:
            signed["x-oss-security-token"] = identity.token
        signature = _signature_v1(identity, method, unquote(uri), params, {**headers, **signed})
        signed["authorization"] = f"OSS {identity.access_key_id}:{signature}"
        return header_lines(signed)


def _signature_of_sdk(identity: Identity, req: SdkRequest, bucket_name: str, key: str) -> str:
    resource = f"/{bucket_name}/{key}" if bucket_name else "/"
    return _signature_v1(identity, req.method, resource, req.params, req.headers)


def _signature_v1(
    identity: Identity,
    method: str,
    resource: str,
    params: Mapping[str, str],
    headers: Mapping[str, str],
) -> str:
    found = {name.lower(): octets(value) for name, value in headers.items()}
    canonical = sorted(name for name in found if name.startswith("x-oss-"))
    subresources = "&".join(
        f"{name}={value}" if value else name
        for name, value in sorted(params.items())
        if name in SUBRESOURCES
    )
    if subresources:
        resource += f"?{subresources}"
    string_to_sign = b"".join(
        (
            b"%b\n%b\n" % (method.encode(), found.get("content-md5", b"")),
            b"%b\n" % found.get("content-type", b""),
            b"%b\n" % (found.get("x-oss-date") or found.get("date", b"")),
            *(b"%b:%b\n" % (name.encode(), found[name]) for name in canonical),
            resource.encode(),
        )
    )
    return b64encode(hmac.digest(identity.secret.encode(), string_to_sign, "sha1")).decode()


def _additional_headers(names: Iterable[str] | None) -> list[str]:
    if not names:
        return []
    lowered = {name.lower() for name in names}
    return sorted(
        name for name in lowered if not name.startswith("x-oss-") and name not in ALWAYS_SIGNED
    )


def _canonical_request(req: SdkRequest, bucket_name: str, key: str, additional: list[str]) -> bytes:
    uri = quote(f"/{bucket_name}/{key}") if bucket_name else "/"
    lines = signable_lines(req.headers, additional)
    lines.sort(key=by_name)
    payload = req.headers.get("x-oss-content-sha256", UNSIGNED_PAYLOAD)
    return b"".join(
        (
            f"{req.method}\n{uri}\n{canonical_query(req.params)}\n".encode(),
            *lines,
            f"\n{';'.join(additional)}\n{payload}".encode(),
        )
    )
