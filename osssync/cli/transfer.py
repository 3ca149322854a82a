"""``cp`` and ``sync``."""

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from osssync.cli.collecting import loading
from osssync.cli.declared import Word, Words, flag, takes
from osssync.cli.flags import ConnectionFlags, FilterFlags, OutputFlags, TransferFlags
from osssync.cli.lines import complain, say
from osssync.cli.output import Printer, log_to_stderr, print_summary, progress_bar
from osssync.cli.run_flags import DeleteFlags, RunFlags
from osssync.cli.signals import stopping
from osssync.cli.streams import write_output
from osssync.config import Compare, Fsync, Job, LocalAddress, Options, parse_address
from osssync.errors import LocalFileError, UsageError
from osssync.report import RunReport
from osssync.units import format_size


class Sides(Struct, frozen=True):
    """From where to where."""

    source: Annotated[str, Word("SRC", "oss://bucket/key or a local path.")]
    destination: Annotated[str, Word("DST", "Likewise.")]


class CopyFlags(Struct, frozen=True):
    """What ``cp`` alone knows; ``sync`` is always about trees."""

    recursive: Annotated[
        bool, flag("--recursive", "-r", help="A directory or prefix and all below it.")
    ] = False


@takes(Words, Sides, CopyFlags, TransferFlags, FilterFlags, RunFlags, OutputFlags, ConnectionFlags)
def cp(
    words: Words,
    sides: Sides,
    copy: CopyFlags,
    transfer: TransferFlags,
    which: FilterFlags,
    limits: RunFlags,
    output: OutputFlags,
    connection: ConnectionFlags,
) -> int | None:
    """Copy one object, or a tree with -r.

    To OSS, from OSS, or inside OSS. "-" is standard input or output. A destination that ends in
    "/" or is a directory receives the
    source under its own name.
    """
    options = _options(words, transfer, which, limits, connection)
    options = replace(options, compare=transfer.compare(Compare.ALWAYS))
    source, destination = sides.source, sides.destination
    if "-" in (source, destination):
        _stream(source, destination, options, output)
        return None
    job = Job(parse_address(source), parse_address(destination), copy.recursive, options)
    return _run(limits.narrowed(job), output, limits.report)


@takes(
    Words, Sides, TransferFlags, DeleteFlags, FilterFlags, RunFlags, OutputFlags, ConnectionFlags
)
def sync(
    words: Words,
    sides: Sides,
    transfer: TransferFlags,
    deletes: DeleteFlags,
    which: FilterFlags,
    limits: RunFlags,
    output: OutputFlags,
    connection: ConnectionFlags,
) -> int | None:
    """Make DST hold what SRC holds.

    Only what differs is transferred; what only DST has stays, unless --delete is given. Contents
    go to contents; a slash at the end of either changes nothing.
    """
    options = _options(words, transfer, which, limits, connection)
    options = replace(options, deletes=deletes.settings())
    job = Job(parse_address(sides.source), parse_address(sides.destination), options=options)
    return _run(limits.narrowed(job), output, limits.report)


def _options(
    words: Words,
    transfer: TransferFlags,
    which: FilterFlags,
    limits: RunFlags,
    connection: ConnectionFlags,
) -> Options:
    return Options(
        compare=transfer.compare(Compare.TIME),
        dry_run=transfer.dry_run,
        filters=which.filters(words.typed),
        follow_symlinks=transfer.follow_symlinks,
        credentials=connection.credential_settings(),
        oss=connection.oss_settings(),
        transfer=replace(transfer.settings(), fsync=limits.fsync),
        limits=limits.limits(),
        state=limits.state(os.environ.get("OSSSYNC_STATE_DIR", "")),
    )


def _run(job: Job, output: OutputFlags, report_path: str | None) -> int:
    log_to_stderr(output.verbose)
    wants_bar = not (output.quiet or output.no_progress or output.json or job.options.dry_run)
    with progress_bar(wanted=wants_bar) as bar:
        printer = Printer(
            job, as_json=output.json, quiet=output.quiet, verbose=output.verbose > 0, bar=bar
        )
        with stopping() as stop:
            report = _run_reported(job, printer, stop, report_path)
    if report.succeeded and not report.totals.found and not output.quiet:
        _warn(f"nothing is below {job.source}: check its spelling (one object: cp without -r)")
    print_summary(report, as_json=output.json, quiet=output.quiet)
    return report.exit_code


def _run_reported(
    job: Job, printer: Printer, stop: threading.Event, report_path: str | None
) -> RunReport:
    with loading():
        from osssync.runner import run
        from osssync.transfer.worker import failure_of
    if not report_path:
        return run(job, printer, stop)
    from osssync.report_file import ReportFile

    with ReportFile(Path(report_path), job, printer) as written:
        report = run(job, written, stop)
        try:
            written.finish(report)
        except LocalFileError as error:  # the run is over all the same, and its summary is due
            return replace(report, fatal=report.fatal or failure_of(error))
    return report


def _stream(source: str, destination: str, options: Options, output: OutputFlags) -> None:
    """Standard input to an object, or an object to standard output."""
    with loading():
        from osssync.browse import read
        from osssync.oss.connection import Connection
        from osssync.transfer.stream import upload_stream
    if source == destination:
        raise UsageError("from standard input to standard output: use cat")
    other = parse_address(destination if source == "-" else source)
    if isinstance(other, LocalAddress) or not other.key or other.key.endswith("/"):
        raise UsageError(f"{other}: the other side of '-' must be one object, oss://bucket/key")
    if options.transfer.fsync is not Fsync.BATCH:
        raise UsageError("--fsync is about files of this machine, and '-' is none")
    if options.dry_run:
        say(f"(dryrun) {'upload' if source == '-' else 'download'}: {source} to {destination}")
        return
    log_to_stderr(output.verbose)
    pool_size = options.transfer.most_jobs
    with Connection(options.credentials, options.oss, pool_size, _warn) as connection:
        if source == "-":
            size = upload_stream(connection, other, sys.stdin.buffer, options.transfer)
            if not output.quiet:
                say(f"upload: - to {destination} ({format_size(size)})")
        else:
            read(connection, other, write_output)


def _warn(message: str) -> None:
    complain(f"warning: {message}")
