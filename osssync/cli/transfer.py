"""``cp`` and ``sync``."""

import sys
from typing import Annotated

import typer

from osssync.cli.flags import ConnectionFlags, FilterFlags, OutputFlags, TransferFlags
from osssync.cli.groups import ARGV, takes
from osssync.cli.output import Printer, complain, log_to_stderr, print_summary, progress_bar, say
from osssync.cli.signals import stopping
from osssync.cli.streams import write_output
from osssync.config import Compare, Job, LocalAddress, Options, parse_address
from osssync.errors import UsageError
from osssync.units import format_size

Source = Annotated[str, typer.Argument(metavar="SRC", help="oss://bucket/key or a local path.")]
Destination = Annotated[str, typer.Argument(metavar="DST", help="Likewise.")]


@takes(TransferFlags, FilterFlags, OutputFlags, ConnectionFlags)
def cp(
    transfer: TransferFlags,
    which: FilterFlags,
    output: OutputFlags,
    connection: ConnectionFlags,
    ctx: typer.Context,
    source: Source,
    destination: Destination,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="A directory or prefix and all below it.")
    ] = False,
) -> None:
    """Copy one object, or a tree with -r.

    To OSS, from OSS, or inside OSS. "-" is standard input or output. A destination that ends in
    "/" or is a directory receives the
    source under its own name.
    """
    options = _options(ctx, transfer, which, connection, Compare.ALWAYS)
    if "-" in (source, destination):
        _stream(source, destination, options, output)
        return
    job = Job(parse_address(source), parse_address(destination), recursive, options)
    _run(job, output)


@takes(TransferFlags, FilterFlags, OutputFlags, ConnectionFlags)
def sync(
    transfer: TransferFlags,
    which: FilterFlags,
    output: OutputFlags,
    connection: ConnectionFlags,
    ctx: typer.Context,
    source: Source,
    destination: Destination,
) -> None:
    """Make DST hold what SRC holds.

    Only what differs is transferred; nothing is deleted. Contents go to contents; a slash at the
    end of either changes nothing.
    """
    options = _options(ctx, transfer, which, connection, Compare.TIME)
    _run(Job(parse_address(source), parse_address(destination), options=options), output)


def _options(
    ctx: typer.Context,
    transfer: TransferFlags,
    which: FilterFlags,
    connection: ConnectionFlags,
    compare: Compare,
) -> Options:
    return Options(
        compare=transfer.compare(compare),
        dry_run=transfer.dry_run,
        filters=which.filters(ctx.meta.get(ARGV, ())),
        follow_symlinks=transfer.follow_symlinks,
        credentials=connection.credential_settings(),
        oss=connection.oss_settings(),
        transfer=transfer.settings(),
    )


def _run(job: Job, output: OutputFlags) -> None:
    from osssync.runner import run

    log_to_stderr(output.verbose)
    wants_bar = not (output.quiet or output.no_progress or output.json or job.options.dry_run)
    with progress_bar(wanted=wants_bar) as bar:
        printer = Printer(
            job, as_json=output.json, quiet=output.quiet, verbose=output.verbose > 0, bar=bar
        )
        with stopping() as stop:
            report = run(job, printer, stop)
    if report.succeeded and not report.totals.found and not output.quiet:
        _warn(f"nothing is below {job.source}: check its spelling (one object: cp without -r)")
    print_summary(report, as_json=output.json, quiet=output.quiet)
    raise typer.Exit(report.exit_code)


def _stream(source: str, destination: str, options: Options, output: OutputFlags) -> None:
    """Standard input to an object, or an object to standard output."""
    from osssync.browse import read
    from osssync.oss.connection import Connection
    from osssync.transfer.stream import upload_stream

    if source == destination:
        raise UsageError("from standard input to standard output: use cat")
    other = parse_address(destination if source == "-" else source)
    if isinstance(other, LocalAddress) or not other.key or other.key.endswith("/"):
        raise UsageError(f"{other}: the other side of '-' must be one object, oss://bucket/key")
    if options.dry_run:
        say(f"(dryrun) {'upload' if source == '-' else 'download'}: {source} to {destination}")
        return
    log_to_stderr(output.verbose)
    pool_size = options.transfer.jobs
    with Connection(options.credentials, options.oss, pool_size, _warn) as connection:
        if source == "-":
            size = upload_stream(connection, other, sys.stdin.buffer, options.transfer)
            if not output.quiet:
                say(f"upload: - to {destination} ({format_size(size)})")
        else:
            read(connection, other, write_output)


def _warn(message: str) -> None:
    complain(f"warning: {message}")
