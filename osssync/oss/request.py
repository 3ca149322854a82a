"""What goes to OSS and what comes back, and the route between: plain data."""

from collections.abc import Mapping

from msgspec import Struct

from osssync.config import OssSettings
from osssync.oss.body import Body
from osssync.oss.endpoint import Endpoint
from osssync.oss.session import PooledSession
from osssync.oss.signature import ClockOffset, CredentialsProvider
from osssync.oss.wire import Headers


class Request(Struct, frozen=True):
    """One request before it is signed. A parameter with the value "" goes out as a bare name."""

    method: str
    key: str = ""
    params: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: Body | None = None


class Reply(Struct, frozen=True):
    """A successful reply, its body read to the end."""

    status: int
    headers: Headers
    body: bytes


class Route(Struct, frozen=True):
    """How requests of one process reach OSS; buckets share it."""

    settings: OssSettings
    endpoint: Endpoint
    provider: CredentialsProvider
    session: PooledSession
    clock_offset: ClockOffset
