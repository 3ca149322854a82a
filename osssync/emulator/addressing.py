"""Which bucket and key a request is about, from its host and its raw target.

Source: help.aliyun.com, "OSS domain names" and "Regions and endpoints" (read 2026-11).
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from osssync.emulator.errors import OssFault
from osssync.emulator.wire import decode_path

_OSS_HOST = re.compile(
    r"(?:(?P<bucket>[^.]+)\.)?"
    r"(?:oss-(?P<region>[a-z0-9-]+?)(?:-internal)?|(?P<dual>[a-z0-9-]+)\.oss|oss)\.aliyuncs\.com"
)
_REGION = re.compile(r"(?:af|ap|cn|eu|me|na|sa|us)-[a-z]+(?:-[0-9])?")
_FIRST_REGION = "cn-hangzhou"  # what oss.aliyuncs.com, older than regions, stands for
_ANY_REGION = frozenset({"accelerate", "accelerate-overseas"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes.

    ``host`` has no port; ``target`` is the origin-form as received. ``region`` is empty where the
    host names none. ``bucket`` and ``key`` are decoded, empty at their level.
    """

    host: str
    target: str
    region: str
    bucket: str
    key: str


def resolve(raw_target: str, host_header: str, domains: tuple[str, ...]) -> Address:
    """Read the address of a request.

    IP addresses, ``localhost`` and unknown names are path-style. ``*.aliyuncs.com``,
    ``*.localhost`` and ``domains`` are virtual-hosted.

    Args:
        raw_target: request target as on the wire, origin-form or absolute-form.
        host_header: the Host header, port allowed.
        domains: further suffixes of virtual-hosted names.

    Raises:
        OssFault: a bucket in the path under OSS's own second-level domain.
    """
    target, host = raw_target, host_header
    if not raw_target.startswith("/"):
        parts = urlsplit(raw_target)
        host = parts.netloc or host_header
        target = raw_target.partition("://")[2]
        target = "/" + target.partition("/")[2] if "/" in target else "/"
    place = _read_host(_without_port(host), domains)
    path = target.partition("?")[0]
    if place.is_virtual or place.is_oss:
        if not place.is_virtual and path.strip("/"):
            raise _second_level(place.host)
        return Address(place.host, target, place.region, place.bucket, decode_path(path[1:]))
    raw_bucket, _, raw_key = path[1:].partition("/")
    return Address(place.host, target, "", decode_path(raw_bucket), decode_path(raw_key))


@dataclass(frozen=True, slots=True)
class _Place:
    """What a host says by itself."""

    host: str
    region: str = ""
    bucket: str = ""
    is_oss: bool = False  # a name of OSS's own domain

    @property
    def is_virtual(self) -> bool:
        return bool(self.bucket)


@lru_cache(maxsize=1024)  # a client has few hosts and many requests
def _read_host(host: str, domains: tuple[str, ...]) -> _Place:
    match = _OSS_HOST.fullmatch(host)
    if match:
        bucket, region = match["bucket"] or "", match["region"] or match["dual"]
        if not region and _REGION.fullmatch(bucket):
            bucket, region = "", bucket  # the service itself, at cn-beijing.oss.aliyuncs.com
        known = "" if region in _ANY_REGION else region or _FIRST_REGION
        return _Place(host, known, bucket, is_oss=True)
    return _Place(host, bucket=_virtual_bucket(host, domains))


def _without_port(host: str) -> str:
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _virtual_bucket(host: str, domains: tuple[str, ...]) -> str:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        for domain in (*domains, "localhost"):
            if host.endswith("." + domain.lower()):
                return host[: -len(domain) - 1]
    return ""


def _second_level(host: str) -> OssFault:
    text = "The bucket you are attempting to access must be addressed using OSS third level domain."
    extra = {"Endpoint": host}
    return OssFault(403, "SecondLevelDomainForbidden", text, ec="0048-00000402", extra=extra)


def wrong_endpoint(bucket: str, location: str) -> OssFault:
    """The answer where a bucket is asked for at another region's endpoint."""
    text = (
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint."
    )
    extra = {"Bucket": bucket, "Endpoint": f"{location}.aliyuncs.com"}
    return OssFault(403, "AccessDenied", text, ec="0003-00001403", extra=extra)
