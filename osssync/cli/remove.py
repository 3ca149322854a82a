"""``rm``: one object, or with -r everything below a prefix. Asks a person first."""

import sys
from collections.abc import Iterator
from typing import Annotated

from msgspec import Struct

from osssync.cli.asking import confirmed
from osssync.cli.declared import flag, takes
from osssync.cli.flags import ConnectionFlags
from osssync.cli.lines import complain, say
from osssync.cli.look import Target, object_address, open_connection
from osssync.cli.signals import INTERRUPTED_EXIT
from osssync.config import OssAddress
from osssync.errors import GuardRefusedError, UsageError
from osssync.keys import display
from osssync.report import SOME_FAILED_EXIT


class RemoveFlags(Struct, frozen=True):
    """What to delete, and how."""

    recursive: Annotated[
        bool, flag("--recursive", "-r", help="URL itself and everything below URL/.")
    ] = False
    force: Annotated[bool, flag("--force", "-f", help="Do not ask.")] = False
    dry_run: Annotated[bool, flag("--dry-run", "-n", help="Show, do nothing.")] = False
    quiet: Annotated[bool, flag("--quiet", "-q", help="Print failures only.")] = False


@takes(Target, RemoveFlags, ConnectionFlags)
def rm(target: Target, flags: RemoveFlags, connection: ConnectionFlags) -> int | None:
    """Delete one object, or a tree with -r.

    "rm -r oss://b/a" deletes the object a and all that begin with a/. On a terminal it asks first,
    unless -f is given.
    """
    address = object_address(target.url)
    if not flags.recursive:
        _remove_one(address, connection, dry_run=flags.dry_run, quiet=flags.quiet)
        return None
    if not (flags.dry_run or flags.force or _is_meant(address)):
        return INTERRUPTED_EXIT
    return _remove_tree(address, connection, dry_run=flags.dry_run, quiet=flags.quiet)


def _remove_one(
    address: OssAddress, connection: ConnectionFlags, *, dry_run: bool, quiet: bool
) -> None:
    from osssync.browse import remove_object, stat

    if not address.key:
        raise UsageError(f"{address} is a bucket: give a key, or -r for everything in it")
    with open_connection(connection) as open_one:
        if dry_run:
            stat(open_one, address)
        else:
            remove_object(open_one, address)
    if not quiet:
        say(f"{'(dryrun) ' if dry_run else ''}delete: {display(str(address))}")


def _remove_tree(
    address: OssAddress, connection: ConnectionFlags, *, dry_run: bool, quiet: bool
) -> int:
    from osssync.browse import keys_below, remove_all

    removed = failed = 0
    with open_connection(connection) as open_one:
        keys = keys_below(open_one, address)
        results = remove_all(open_one, address.bucket, keys) if not dry_run else _as_gone(keys)
        prefix = "(dryrun) " if dry_run else ""
        for key, reason in results:
            name = display(f"oss://{address.bucket}/{key}")
            if reason:
                failed += 1
                complain(f"failed: {name}: {reason}")
            else:
                removed += 1
                if not quiet:
                    say(f"{prefix}delete: {name}")
    word = "FinishWithError" if failed else "Succeed"
    if failed or not quiet:
        say(f"{prefix}{word}: deleted {removed}, failed {failed}")
    return SOME_FAILED_EXIT if failed else 0


def _as_gone(keys: Iterator[str]) -> Iterator[tuple[str, str]]:
    return ((key, "") for key in keys)


def _is_meant(address: OssAddress) -> bool:
    if sys.stdin.isatty():
        return confirmed(f"Delete everything below {display(str(address))}?")
    if not address.key:
        raise GuardRefusedError(f"{address}: emptying a whole bucket without a terminal needs -f")
    return True
