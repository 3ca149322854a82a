"""What people and scripts read of a run: its lines, its progress, its summary."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from osssync.cli.lines import as_json_line, complain, say, say_json, tell
from osssync.cli.streams import writing_output
from osssync.config import Address, Job, LocalAddress, expand
from osssync.keys import display
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind, Failure, Outcome, Totals
from osssync.progress import ProgressBar
from osssync.report import RunReport, refusal, summary_fields
from osssync.units import format_duration, format_rate, format_size

_VERBS = {Direction.DOWNLOAD: "download", Direction.UPLOAD: "upload", Direction.COPY: "copy"}


_RUN_ENDED = {"InterruptedRunError", "MaxDurationError", "MaxTransferError"}
"""Nothing is wrong with such an object; that the run was ended is said once, at its end."""


class Printer:
    """A Monitor that prints one job's run.

    Args:
        job: whose addresses the lines name.
        as_json: one JSON object a line instead of text.
        quiet: failures only.
        verbose: also what was skipped or excluded, and why.
        bar: shown as well, if there is one.
    """

    def __init__(
        self, job: Job, *, as_json: bool, quiet: bool, verbose: bool, bar: ProgressBar | None
    ) -> None:
        self._job = job
        self._json = as_json
        self._quiet = quiet
        self._verbose = verbose
        self._bar = bar
        self.hears_skips = verbose and not quiet
        self.hears_transfers = bar is not None or job.options.dry_run
        self._verb = _VERBS[job.direction]
        self._source = _root(str(job.source), recursive=job.recursive)
        self._destination = _root(str(job.destination), recursive=job.recursive)
        self._into_folder = _is_folder(job.destination)
        self._is_local_source = isinstance(job.source, LocalAddress)
        self._is_unread = False  # whoever read stdout has gone, and wants no more of it

    def decided(self, action: Action) -> None:
        """Skips and exclusions with -v, refusals always, transfers only when rehearsing."""
        match action.kind:
            case ActionKind.TRANSFER:
                if self._bar is not None:
                    self._bar.expect(action.entry.size)
                if self._job.options.dry_run:
                    self._object(self._verb, action.entry, dry_run=True, reason=action.reason)
            case ActionKind.REFUSE:
                self._failed(action.entry, refusal(action))
            case ActionKind.SKIP | ActionKind.EXCLUDE:
                if self._verbose and not self._quiet:
                    self._left_out(action)

    def moved(self, byte_count: int) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.advance(byte_count)

    def ended(self, outcome: Outcome) -> None:
        """A line for the object."""
        if self._bar is not None:
            self._bar.end_one()
        if outcome.failure is None:
            self._object(self._verb, outcome.task.entry, dry_run=False, reason=outcome.note)
        else:
            self._failed(outcome.task.entry, outcome.failure)

    def removed(self, entry: Entry, failure: Failure | None) -> None:
        """A line for what was deleted, or could not be."""
        name = self._destination + entry.key
        if failure is not None:
            self._undeleted(name, failure)
        elif self._json:
            fields: dict[str, Any] = {"event": "delete", "destination": name}
            if self._job.options.dry_run:
                fields["dry_run"] = True
            self._line(as_json_line(fields))
        elif not self._quiet:
            prefix = "(dryrun) " if self._job.options.dry_run else ""
            self._line(f"{prefix}delete: {display(name)}")

    def warned(self, message: str) -> None:
        """A warning on stderr."""
        self._told(f"osssync: warning: {display(message)}")

    def _object(self, verb: str, entry: Entry, *, dry_run: bool, reason: str) -> None:
        if self._quiet:
            return
        source, target = self._name(entry)
        if self._json:
            fields = {"event": verb, "source": source, "destination": target, "size": entry.size}
            if dry_run:
                fields["dry_run"] = True
            if reason:
                fields["note"] = reason
            self._line(as_json_line(fields))
            return
        prefix = "(dryrun) " if dry_run else ""
        note = f" ({reason})" if reason and self._verbose else ""
        line = f"{prefix}{verb}: {source} to {target}{note}"
        if not line.isprintable():  # one look for all, and nearly always the only one
            line = f"{prefix}{verb}: {display(source)} to {display(target)}{note}"
        self._line(line)

    def _left_out(self, action: Action) -> None:
        source, _ = self._name(action.entry)
        event = "skip" if action.kind is ActionKind.SKIP else "exclude"
        if self._json:
            self._line(as_json_line({"event": event, "source": source, "reason": action.reason}))
        else:
            prefix = "(dryrun) " if self._job.options.dry_run else ""
            self._line(f"{prefix}{event}: {display(source)} ({action.reason})")

    def _failed(self, entry: Entry, failure: Failure) -> None:
        source, target = self._name(entry)
        if self._json:
            fields = {"event": "failed", "source": source, "destination": target}
            self._line(as_json_line({**fields, "error": failure.error, "message": failure.message}))
        elif failure.error not in _RUN_ENDED:
            message = display(failure.message)
            self._told(f"failed: {display(source)} to {display(target)}: {message}")

    def _undeleted(self, name: str, failure: Failure) -> None:
        if self._json:
            fields = {"event": "failed", "destination": name, "error": failure.error}
            self._line(as_json_line({**fields, "message": failure.message}))
        else:
            self._told(f"failed: delete {display(name)}: {display(failure.message)}")

    def _told(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, sys.stderr)
        elif not self._is_unread:
            tell(line)

    def _line(self, line: str) -> None:
        try:
            if self._bar is None:
                say(line)
                return
            with writing_output():
                self._bar.write(line, sys.stdout)
        except BrokenPipeError:
            self._is_unread = True
            raise

    def _name(self, entry: Entry) -> tuple[str, str]:
        if not self._job.recursive:
            name = entry.key.rpartition("/")[2]
            into = self._destination if self._destination.endswith("/") else self._destination + "/"
            return self._source, into + name if self._into_folder else self._destination
        directory = "/" if entry.kind is EntryKind.DIRECTORY and self._is_local_source else ""
        return self._source + entry.key + directory, self._destination + entry.key


def print_summary(report: RunReport, *, as_json: bool, quiet: bool) -> None:
    """The last line of a run: what it came to."""
    totals = report.totals
    if as_json:
        say_json(event="summary", **summary_fields(report))
        return
    if report.fatal is not None:
        complain(report.fatal.message)
    if quiet and report.succeeded:
        return
    word = "Succeed" if report.succeeded else "FinishWithError"
    prefix = "(dryrun) " if report.is_dry_run else ""
    say(
        f"{prefix}{word}: found {totals.found}, transferred {totals.transferred}, "
        f"skipped {totals.skipped}, excluded {totals.excluded}, deleted {totals.deleted}, "
        f"failed {totals.failed}, {format_size(totals.moved_bytes)} in "
        f"{format_duration(totals.elapsed_s)} ({format_rate(report.bytes_per_s)}), "
        f"{totals.retries} retries, {totals.rotations} credential rotations"
        + (f", {totals.undeleted} could not be deleted" if totals.undeleted else "")
        + (_throttled(totals) if totals.throttled else "")
    )


def _throttled(totals: Totals) -> str:
    return f", throttled {totals.throttled} times (down to {totals.fewest_jobs} at once)"


@contextlib.contextmanager
def progress_bar(*, wanted: bool) -> Iterator[ProgressBar | None]:
    """A bar on stderr if it is wanted and a terminal is there to show it."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    with ProgressBar(sys.stderr) as bar:
        yield bar


def log_to_stderr(verbose: int) -> None:
    """Show osssync's own log with -vv; the SDKs' logs are never shown, they hold secrets."""
    if verbose < 2:
        return
    import logging  # who does not ask for it need not wait for it

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log = logging.getLogger("osssync")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)


def _is_folder(address: Address) -> bool:
    """Whether a single source keeps its own name there."""
    if isinstance(address, LocalAddress):
        return address.is_folder or expand(address).is_dir()
    return not address.key or address.key.endswith("/")


def _root(address: str, *, recursive: bool) -> str:
    return address if not recursive or address.endswith("/") else address + "/"
