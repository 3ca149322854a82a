"""oss2's plumbing, loaded when a verb first needs it: it takes 0.2 s of CPU to import."""

import logging
from typing import cast

import oss2

from osssync.config import SignatureVersion
from osssync.oss.request import Request, Route
from osssync.oss.session import PooledResponse
from osssync.oss.signing import SdkSignerV1, SdkSignerV4
from osssync.oss.translate import translated


class SdkBucket(oss2.Bucket):  # type: ignore[misc] # oss2 has no types
    """A bucket whose requests are ours and whose verbs are not used."""

    def send(self, request: Request) -> PooledResponse:
        """Have oss2 address, sign and send it."""
        reply = self._do(
            request.method,
            self.bucket_name,
            request.key,
            params=dict(request.params),
            headers=dict(request.headers),
            data=request.body,
        )
        return cast("PooledResponse", reply)


class SdkService(oss2.Service):  # type: ignore[misc] # oss2 has no types
    """The same above buckets."""

    def send(self, request: Request) -> PooledResponse:
        """Have oss2 address, sign and send it."""
        params, headers = dict(request.params), dict(request.headers)
        reply = self._do(request.method, "", "", params=params, headers=headers)
        return cast("PooledResponse", reply)


def open_sdk(route: Route, bucket: str) -> SdkBucket | SdkService:
    """The bucket, or the service for "".

    Raises:
        UsageError: what oss2 does not take.
    """
    # oss2 formats whole requests, security token included, at DEBUG and whole error bodies,
    # in which OSS repeats the token, at INFO. There is no level at which that may be seen.
    logging.getLogger("oss2").setLevel(logging.CRITICAL)
    settings, endpoint = route.settings, route.endpoint
    kind = SdkSignerV1 if settings.signature is SignatureVersion.V1 else SdkSignerV4
    signer = kind(route.provider, route.clock_offset)
    options = {
        "session": route.session,
        "connect_timeout": (settings.connect_timeout_s, settings.read_timeout_s),
        "region": endpoint.region or None,
        "is_path_style": endpoint.path_style,
    }
    with translated("open", bucket):
        if not bucket:
            return SdkService(signer, endpoint.url, **options)
        return SdkBucket(signer, endpoint.url, bucket, enable_crc=False, **options)
