"""``ls``, ``stat`` and ``cat``: looking without touching."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Struct

from osssync.cli.declared import Word, flag, takes
from osssync.cli.flags import ConnectionFlags
from osssync.cli.lines import complain, say, say_json
from osssync.cli.streams import write_output
from osssync.config import OssAddress, parse_address
from osssync.errors import UsageError
from osssync.keys import display
from osssync.units import format_size

if TYPE_CHECKING:
    from osssync.oss.connection import Connection


class JsonFlag(Struct, frozen=True):
    """How a command that looks prints."""

    json: Annotated[bool, flag("--json", help="One JSON object a line.")] = False


class Target(Struct, frozen=True):
    """Which object."""

    url: Annotated[str, Word("URL", "oss://bucket/key")]


class ListFlags(Struct, frozen=True):
    """What to list, and how to show it."""

    url: Annotated[str, Word("[URL]", "oss://bucket/prefix; none: buckets")] = ""
    recursive: Annotated[
        bool, flag("--recursive", "-r", help="Everything below, not folded at '/'.")
    ] = False
    human: Annotated[bool, flag("--human", "-H", help="Sizes as 1.5 MiB.")] = False


@takes(ListFlags, JsonFlag, ConnectionFlags)
def ls(look: ListFlags, output: JsonFlag, connection: ConnectionFlags) -> None:
    """List buckets, or what begins with a prefix."""
    from osssync.browse import list_buckets, list_objects

    with open_connection(connection) as open_one:
        if not look.url:
            for bucket in list_buckets(open_one):
                if output.json:
                    say_json(
                        bucket=bucket.name, region=bucket.region, created=iso(bucket.created_ns)
                    )
                else:
                    say(f"{iso(bucket.created_ns)}  {bucket.region}  oss://{bucket.name}")
            return
        address = object_address(look.url)
        for line in list_objects(open_one, address, recursive=look.recursive):
            name = f"oss://{address.bucket}/{line.key}"
            if output.json:
                entry = line.entry
                if entry is None:
                    say_json(prefix=line.key)
                else:
                    say_json(
                        key=line.key, size=entry.size, last_modified=iso(entry.mtime_ns),
                        etag=entry.etag.strip('"'), storage_class=entry.storage_class,
                    )  # fmt: skip
            elif line.entry is None:
                say(f"{'':20}  {'PRE':>14}  {display(name)}")
            else:
                size = format_size(line.entry.size) if look.human else str(line.entry.size)
                say(f"{iso(line.entry.mtime_ns)}  {size:>14}  {display(name)}")


@takes(Target, JsonFlag, ConnectionFlags)
def stat(target: Target, output: JsonFlag, connection: ConnectionFlags) -> None:
    """Show what OSS knows about one object."""
    from osssync.browse import stat as stat_object

    address = object_address(target.url)
    with open_connection(connection) as open_one:
        meta = stat_object(open_one, address)
    fields: dict[str, object] = {
        "url": str(address),
        "size": meta.size,
        "last_modified": iso(meta.last_modified_ns),
        "etag": meta.etag.strip('"'),
        "crc64": None if meta.crc64 is None else str(meta.crc64),
        "content_type": meta.content_type,
        "storage_class": meta.storage_class,
        "object_type": meta.object_type,
        "version_id": meta.version_id or None,
        "restore": meta.restore or None,
        "metadata": dict(meta.metadata),
    }
    if output.json:
        say_json(**fields)
        return
    for name, value in fields.items():
        if name == "metadata" or value is None:
            continue
        say(f"{name:<14} {display(str(value))}")
    for name, text in meta.metadata:
        say(f"x-oss-meta-{name}  {display(text)}")


@takes(Target, ConnectionFlags)
def cat(target: Target, connection: ConnectionFlags) -> None:
    """Write one object to standard output.

    Its bytes are compared with OSS's CRC-64; a connection that breaks is taken up again.
    """
    from osssync.browse import read

    with open_connection(connection) as open_one:
        read(open_one, object_address(target.url), write_output)


def object_address(url: str) -> OssAddress:
    """The address of an ``oss://`` URL.

    Raises:
        UsageError: it is not one.
    """
    address = parse_address(url)
    if not isinstance(address, OssAddress):
        raise UsageError(f"{url}: give oss://bucket/key")
    return address


def open_connection(flags: ConnectionFlags, pool_size: int = 4) -> "Connection":
    """A connection as the flags describe it; warnings go to stderr."""
    from osssync.oss.connection import Connection

    def warn(message: str) -> None:
        complain(f"warning: {message}")

    return Connection(flags.credential_settings(), flags.oss_settings(), pool_size, warn)


def iso(instant_ns: int) -> str:
    """``2026-01-02T03:04:05Z`` of epoch nanoseconds."""
    return datetime.fromtimestamp(instant_ns // 10**9, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
