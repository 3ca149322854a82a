"""Which address and which region: from flags, the job, or the metadata service. No request is made.

Source: https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints, read 2026-09.
"""

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct

from osssync.config import OssSettings, SignatureVersion
from osssync.errors import OsssyncError, UsageError

_REGION = r"[a-z0-9]+(-[a-z0-9]+)*"
_HOST_NAME = r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*"
_REGIONAL_HOST = r"oss-(?!accelerate)([a-z0-9-]+?)(-internal)?\.aliyuncs\.com"
_ACCELERATE_HOSTS = ("oss-accelerate.aliyuncs.com", "oss-accelerate-overseas.aliyuncs.com")
_BUCKET_HOST = r"([a-z0-9][a-z0-9-]+)\.(oss-[a-z0-9-]+\.aliyuncs\.com)"


class Endpoint(Struct, frozen=True):
    """Where to send requests and for which region to sign them.

    ``url`` is scheme, host and, if not the scheme's own, port; no slash at the end. ``region`` is
    as V4 wants it, without "oss-", and may be empty for V1. ``path_style`` puts the bucket into
    the path instead of the host name.
    """

    url: str
    region: str
    path_style: bool = False

    @property
    def host(self) -> str:
        """Host name or IPv4 address, without the port."""
        return urlsplit(self.url).hostname or ""


def resolve(settings: OssSettings, region_from_metadata: Callable[[], str]) -> Endpoint:
    """Find address and region; a scheme that is not written is https.

    The region is the one given, else the one in the endpoint's name, else the instance's own,
    and ``region_from_metadata`` is asked only then. Without an endpoint the region names it:
    internal if asked for, or if the region is the instance's own.

    Raises:
        UsageError: an endpoint or region that cannot be, contradicts another setting, or is
            missing and cannot be found out.
    """
    given = normalized_region(settings.region) if settings.region else ""
    if settings.endpoint:
        return _from_endpoint(settings, given, region_from_metadata)
    region = given or _instance_region(region_from_metadata)
    if settings.accelerate:
        if settings.internal:
            raise UsageError("--internal and --accelerate exclude each other: choose one")
        return Endpoint(f"https://{_ACCELERATE_HOSTS[0]}", region, settings.path_style)
    internal = not given if settings.internal is None else settings.internal
    suffix = "-internal" if internal else ""
    return Endpoint(f"https://oss-{region}{suffix}.aliyuncs.com", region, settings.path_style)


def normalized_region(text: str) -> str:
    """A region as V4 signs it: ``cn-beijing`` also for ``oss-cn-beijing`` and its host name.

    Raises:
        UsageError: not a region.
    """
    name = text.strip().lower()
    host = re.fullmatch(_REGIONAL_HOST, name)
    region = host[1] if host else name.removeprefix("oss-").removesuffix("-internal")
    if not re.fullmatch(_REGION, region):
        raise UsageError(f"--region {text!r}: give a region id such as cn-hangzhou")
    return region


def region_of_host(host: str) -> str:
    """The region in the name of a regional endpoint, or "" (custom, accelerated, an address)."""
    match = re.fullmatch(_REGIONAL_HOST, host)
    return match[1] if match else ""


def _from_endpoint(
    settings: OssSettings, given: str, region_from_metadata: Callable[[], str]
) -> Endpoint:  # fmt: skip
    url = _normalized_url(settings.endpoint)
    host = urlsplit(url).hostname or ""
    named = region_of_host(host)
    _refuse_contradictions(settings, host, named, given)
    region = given or named
    if not region and settings.signature is SignatureVersion.V4:
        region = _instance_region(region_from_metadata)
    # An address cannot be prefixed with the bucket; oss2 draws the same line.
    path_style = settings.path_style or host == "localhost" or _is_ipv4(host)
    return Endpoint(url, region, path_style)


def _normalized_url(endpoint: str) -> str:
    text = endpoint.strip().lower()
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "https", text
    wrong = f"--endpoint {endpoint!r}:"
    if scheme not in ("https", "http"):
        raise UsageError(f"{wrong} the scheme must be https or http")
    netloc, _, path = rest.partition("/")
    if netloc.startswith("[") or netloc.count(":") > 1:
        raise UsageError(f"{wrong} IPv6 addresses are not supported; give a host name or IPv4")
    if path or not netloc or any(mark in netloc for mark in "@?#"):
        raise UsageError(f"{wrong} give [https://]HOST[:PORT] and nothing else")
    host, colon, port = netloc.partition(":")
    if not re.fullmatch(_HOST_NAME, host):
        raise UsageError(f"{wrong} {host!r} is not a host name")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise UsageError(f"{wrong} the port must be 1 to 65535")
    return f"{scheme}://{netloc}"


def _refuse_contradictions(settings: OssSettings, host: str, named: str, given: str) -> None:
    wrong = f"--endpoint {settings.endpoint!r}"
    bucket_host = re.fullmatch(_BUCKET_HOST, host)
    if bucket_host:
        raise UsageError(
            f"{wrong} is the address of bucket {bucket_host[1]}: give {bucket_host[2]}, "
            f"and the bucket as oss://{bucket_host[1]}/"
        )
    if named and given and named != given:
        raise UsageError(f"{wrong} is in {named}, but --region says {given}: give one of them")
    if settings.accelerate and host not in _ACCELERATE_HOSTS:
        raise UsageError(f"{wrong} is not an accelerated one: drop it, or drop --accelerate")
    is_internal = host.endswith("-internal.aliyuncs.com")
    if settings.internal is not None and named and settings.internal != is_internal:
        kind = "internal" if is_internal else "public"
        raise UsageError(f"{wrong} is {kind}, the flag asks for the other one: drop one of them")


def _instance_region(region_from_metadata: Callable[[], str]) -> str:
    missing = "the region of the bucket is not known: give --region (such as cn-hangzhou)"
    try:
        region = region_from_metadata()
    except OsssyncError as error:
        raise UsageError(f"{missing}; the metadata service did not tell: {error}") from error
    if not region:
        raise UsageError(missing)
    return normalized_region(region)


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
