"""``rm``: one object, or with -r everything below a prefix. Asks a person first."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from osssync.cli.flags import ConnectionFlags
from osssync.cli.groups import takes
from osssync.cli.lines import complain, say
from osssync.cli.look import object_address, open_connection
from osssync.config import OssAddress
from osssync.errors import GuardRefusedError, UsageError
from osssync.keys import display
from osssync.report import SOME_FAILED_EXIT


@takes(ConnectionFlags)
def rm(
    connection: ConnectionFlags,
    url: Annotated[str, typer.Argument(metavar="URL", help="oss://bucket/key")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="URL itself and everything below URL/.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show, do nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")] = False,
) -> None:
    """Delete one object, or a tree with -r.

    "rm -r oss://b/a" deletes the object a and all that begin with a/. On a terminal it asks first,
    unless -f is given.
    """
    address = object_address(url)
    if not recursive:
        _remove_one(address, connection, dry_run=dry_run, quiet=quiet)
        return
    if not dry_run and not force:
        _ask(address)
    _remove_tree(address, connection, dry_run=dry_run, quiet=quiet)


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
) -> None:
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
    if failed:
        raise typer.Exit(SOME_FAILED_EXIT)


def _as_gone(keys: Iterator[str]) -> Iterator[tuple[str, str]]:
    return ((key, "") for key in keys)


def _ask(address: OssAddress) -> None:
    if sys.stdin.isatty():
        if not typer.confirm(f"Delete everything below {display(str(address))}?", err=True):
            raise typer.Exit(5)
    elif not address.key:
        raise GuardRefusedError(f"{address}: emptying a whole bucket without a terminal needs -f")
