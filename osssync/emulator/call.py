"""One request on its way through the emulator, and its reply: what operations take and give."""

import re
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from osssync.emulator.authority import Authority, Identity
from osssync.emulator.blobs import Content
from osssync.emulator.body import BodyReader
from osssync.emulator.errors import OssFault
from osssync.emulator.objects import Bucket, Objects
from osssync.emulator.settings import Settings

_DECIMAL = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class World:
    """What all requests of one emulator share."""

    objects: Objects
    settings: Settings
    authority: Authority
    executor: Executor  # for hashing and writing large bodies


@dataclass(slots=True)
class Call:
    """One authenticated request.

    ``headers`` have lower-case names. ``query`` is decoded; of a repeated name the last counts.
    """

    method: str
    host: str  # without port
    region: str  # of the endpoint that was used, such as cn-hangzhou
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: BodyReader
    identity: Identity
    context: Mapping[str, str]  # condition keys of policies: oss:Prefix, acs:SourceIp, …
    now_s: float  # epoch
    world: World

    @property
    def objects(self) -> Objects:
        """The store."""
        return self.world.objects

    def the_bucket(self) -> Bucket:
        """The bucket the request is about; at service level what holds the account's settings.

        Raises:
            OssFault: NoSuchBucket.
        """
        return self.objects.bucket(self.bucket) if self.bucket else self.objects.account

    def header(self, name: str, default: str = "") -> str:
        """A request header by its lower-case name."""
        return self.headers.get(name, default)

    def parameter(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.query.get(name, default)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A query parameter that is a number from ``low`` to ``high``.

        Raises:
            OssFault: InvalidArgument.
        """
        text = self.query.get(name, "")
        if not text:
            return default
        if not _DECIMAL.fullmatch(text) or not low <= int(text) <= high:
            raise invalid_argument(
                f"Argument {name} must be an integer between {low} and {high}.", name, text
            )
        return int(text)


class Pacer(Protocol):
    """Keeps a body from going too fast."""

    @property
    def step(self) -> int:
        """Bytes to send at once."""
        ...

    async def spend(self, size: int) -> None:
        """Wait until ``size`` more bytes are due."""
        ...


@dataclass(slots=True)
class Reply:
    """The answer to a request. ``content`` is sent after the headers instead of ``body``.

    ``pace`` holds for ``content`` only.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    content: Content | None = None
    chunked: bool = False  # the body goes without Content-Length
    pace: Pacer | None = None


def xml_reply(body: bytes, headers: dict[str, str] | None = None) -> Reply:
    """A reply whose body is an XML document."""
    return Reply(headers={"Content-Type": "application/xml", **(headers or {})}, body=body)


def invalid_argument(message: str, name: str = "", value: str = "", ec: str = "") -> OssFault:
    """The answer to an argument OSS cannot use: query parameter, header or element."""
    extra = {"ArgumentName": name, "ArgumentValue": value} if name else {}
    return OssFault(400, "InvalidArgument", message, ec=ec or "0017-00000901", extra=extra)


def not_implemented(message: str) -> OssFault:
    """The honest answer to what OSS can do and the emulator cannot."""
    return OssFault(501, "NotImplemented", message, ec="0016-00000901")
