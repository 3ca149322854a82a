"""Flags of whole runs: limits, deletes, locks and reports. The others are in ``flags``."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from osssync.cli.declared import flag
from osssync.cli.flags import bytes_of, seconds_of
from osssync.config import DeleteSettings, Fsync, Job, StateSettings, WhenBusy, parse_address
from osssync.errors import UsageError
from osssync.limits import Limits


class RunFlags(Struct, frozen=True):
    """When to end early, where to remember, what to do about other runs, what to write down."""

    max_duration: Annotated[
        str | None, flag(metavar="DURATION", help="End after so long; exit 10, resumable.")
    ] = None
    max_transfer: Annotated[
        str | None, flag(metavar="SIZE", help="End after so many bytes; exit 8.")
    ] = None
    max_failure: Annotated[
        int | None, flag(help="End when more objects than this have failed.", least=0)
    ] = None
    fsync: Annotated[
        Fsync,
        flag(help="Make downloads durable: together every few seconds, each at once, or never."),
    ] = Fsync.BATCH
    report: Annotated[
        str | None, flag(metavar="FILE", help="Write a line of JSON for each object.")
    ] = None
    retry_from: Annotated[
        str | None, flag(metavar="FILE", help="Only what failed in this report.")
    ] = None
    state_dir: Annotated[
        str | None,
        flag(metavar="DIR", help="Journal and locks; also OSSSYNC_STATE_DIR."),
    ] = None
    lock_wait: Annotated[
        str | None,
        flag(metavar="DURATION", help="Wait so long for another run of the same job."),
    ] = None
    lock_busy: Annotated[
        WhenBusy, flag(help="If it is still running then: fail (exit 11) or skip (exit 0).")
    ] = WhenBusy.FAIL

    def limits(self) -> Limits:
        """When to end early.

        Raises:
            UsageError: a limit that cannot be.
        """
        duration, size = self.max_duration, self.max_transfer
        return Limits(
            max_duration_s=seconds_of("--max-duration", duration) if duration else None,
            max_failure=self.max_failure,
            max_transfer_bytes=bytes_of("--max-transfer", size) if size else None,
        )

    def state(self, default_directory: str) -> StateSettings:
        """Where to remember, and what to do about other runs.

        Raises:
            UsageError: a duration that cannot be.
        """
        wait = self.lock_wait
        return StateSettings(
            directory=self.state_dir or default_directory,
            lock_wait_s=seconds_of("--lock-wait", wait) if wait else 0.0,
            when_busy=self.lock_busy,
        )

    def narrowed(self, job: Job) -> Job:
        """The job as ``--retry-from`` narrows it to what failed in its report, if that is given.

        Raises:
            UsageError: not a report of ours, or of another job.
        """
        if not self.retry_from:
            return job
        from osssync.report_file import failed_keys

        if self.retry_from == self.report:
            raise UsageError("--report would replace the file of --retry-from: name another one")
        retried, filters = failed_keys(Path(self.retry_from), job), job.options.filters
        if filters.files_from is not None:
            retried &= filters.files_from
        filters = replace(filters, files_from=retried)
        return replace(job, options=replace(job.options, filters=filters))


class DeleteFlags(Struct, frozen=True):
    """What ``sync`` does about what only the destination has."""

    delete: Annotated[
        bool, flag("--delete", help="Delete what SRC lacks, after all else succeeded.")
    ] = False
    max_delete: Annotated[
        str, flag(metavar="N|N%|off", help="Refuse to delete more than this.")
    ] = "50%"
    allow_empty_source: Annotated[
        bool, flag("--allow-empty-source", help="Let an empty SRC empty DST.")
    ] = False
    backup_dir: Annotated[
        str | None, flag(metavar="DIR|URL", help="Move there what is deleted.")
    ] = None

    def settings(self) -> DeleteSettings:
        """All of it as settings.

        Raises:
            UsageError: a limit or address that cannot be, or a flag without ``--delete``.
        """
        from osssync.planning.deletes import parse_max_delete

        parse_max_delete(self.max_delete)
        if not self.delete and (self.backup_dir or self.allow_empty_source):
            raise UsageError("--backup-dir and --allow-empty-source go with --delete")
        backup = parse_address(self.backup_dir) if self.backup_dir else None
        return DeleteSettings(self.delete, self.max_delete, self.allow_empty_source, backup)
