"""What a run amounts to: sums, failures, and the exit code they mean. Counting only, no output."""

from collections.abc import Sequence

from msgspec import Struct

from osssync.errors import LocalFileError, OsssyncError, UnsafeKeyError, UnsupportedFileError
from osssync.keys import is_utf8
from osssync.model import Action, ActionKind, Effort, Entry, EntryKind, Failure, Outcome, Totals
from osssync.ranges import MAX_OBJECT_BYTES

KEPT_FAILURES = 1000
"""Failures kept in memory; all of them are counted, and a report file holds all of them."""

SOME_FAILED_EXIT = 4

_SKIP = ActionKind.SKIP


class FailedObject(Struct, frozen=True):
    """One object that did not arrive."""

    key: str
    failure: Failure


class RunReport(Struct, frozen=True):
    """The result of a run.

    ``fatal`` is the error that ended it early; then what had begun was put away and counted as
    failed, and what had not been found yet is in no sum.
    """

    totals: Totals
    failures: tuple[FailedObject, ...] = ()  # the first KEPT_FAILURES
    fatal: Failure | None = None
    is_dry_run: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether everything found arrived, was there already, or was excluded."""
        return self.fatal is None and self.totals.failed == self.totals.undeleted == 0

    @property
    def exit_code(self) -> int:
        """0, the fatal error's code, 4 when some objects failed, else what all failures share."""
        if self.fatal is not None:
            return self.fatal.exit_code
        if self.succeeded:
            return 0
        if self.totals.undeleted:
            return SOME_FAILED_EXIT
        codes = {failed.failure.exit_code for failed in self.failures}
        nothing_done = self.totals.transferred == self.totals.skipped == 0
        return codes.pop() if nothing_done and len(codes) == 1 else SOME_FAILED_EXIT

    @property
    def bytes_per_s(self) -> float:
        """Payload moved over the time the whole run took."""
        return self.totals.moved_bytes / max(self.totals.elapsed_s, 1e-6)


class Tally:
    """Counts one run; belongs to the thread of the runner. Plain numbers: it is a hot path."""

    def __init__(self) -> None:
        self._found = self._transferred = self._skipped = self._excluded = self._failed = 0
        self._moved_bytes = self._retries = self._deleted = self._undeleted = 0
        self._failures: list[FailedObject] = []

    @property
    def failed(self) -> int:
        """Objects that did not arrive, so far."""
        return self._failed

    def unchanged(self, count: int) -> None:
        """So many source entries came out of the listing, and are skipped."""
        self._found += count
        self._skipped += count

    def decided(self, action: Action) -> None:
        """One source entry came out of the listing; a transfer is counted when it has ended."""
        self._found += 1
        kind = action.kind
        if kind is _SKIP:  # by far the most
            self._skipped += 1
        elif kind is ActionKind.EXCLUDE:
            self._excluded += 1
        elif kind is ActionKind.REFUSE:
            self._add_failure(action.entry.key, refusal(action))

    def ended(self, outcome: Outcome) -> None:
        """The final outcome of one object."""
        self._retries += outcome.retries
        if outcome.failure is None:
            self._transferred += 1
            self._moved_bytes += outcome.moved_bytes
        else:
            self._add_failure(outcome.task.entry.key, outcome.failure)

    def found(self, count: int) -> None:
        """So many source entries came out of the listing, and are to be transferred."""
        self._found += count

    def arrived(self, outcomes: Sequence[Outcome]) -> None:
        """The final outcomes of objects that all arrived."""
        self._transferred += len(outcomes)
        self._moved_bytes += sum([outcome.moved_bytes for outcome in outcomes])
        self._retries += sum([outcome.retries for outcome in outcomes])

    def removed(self, entry: Entry, failure: Failure | None) -> None:
        """A destination entry was deleted, or could not be."""
        if failure is None:
            self._deleted += 1
            return
        self._undeleted += 1
        self._keep(entry.key, failure)

    def report(
        self,
        *,
        elapsed_s: float,
        effort: Effort | None = None,
        fatal: Failure | None = None,
    ) -> RunReport:
        """Everything so far as a report."""
        effort = effort or Effort()
        totals = Totals(
            found=self._found,
            transferred=self._transferred,
            skipped=self._skipped,
            excluded=self._excluded,
            failed=self._failed,
            deleted=self._deleted,
            undeleted=self._undeleted,
            moved_bytes=self._moved_bytes,
            retries=self._retries,
            rotations=effort.rotations,
            throttled=effort.throttled,
            fewest_jobs=effort.fewest_jobs,
            elapsed_s=elapsed_s,
        )
        return RunReport(totals, tuple(self._failures), fatal)

    def _add_failure(self, key: str, failure: Failure) -> None:
        self._failed += 1
        self._keep(key, failure)

    def _keep(self, key: str, failure: Failure) -> None:
        if len(self._failures) < KEPT_FAILURES:
            self._failures.append(FailedObject(key, failure))


def refusal(action: Action) -> Failure:
    """A refused entry as the failure it is counted as."""
    kind = _kind_of_refusal(action.entry)
    return Failure(kind.__name__, action.reason, kind.exit_code)


def _kind_of_refusal(entry: Entry) -> type[OsssyncError]:
    """What is to be done about a refused entry: this follows from what it is."""
    if not is_utf8(entry.key) or entry.size > MAX_OBJECT_BYTES:
        return UnsupportedFileError
    if entry.kind is not EntryKind.UNUSABLE:
        return UnsafeKeyError  # it would be fine under another key
    return UnsupportedFileError if entry.etag else LocalFileError  # files have no ETag


def summary_fields(report: RunReport) -> dict[str, str | int | float | bool]:
    """The sums of a run, flat, for machines: what ``--json`` and report files end with."""
    totals = report.totals
    return {
        "succeeded": report.succeeded,
        "exit_code": report.exit_code,
        "found": totals.found,
        "transferred": totals.transferred,
        "skipped": totals.skipped,
        "excluded": totals.excluded,
        "deleted": totals.deleted,
        "failed": totals.failed,
        "undeleted": totals.undeleted,
        "throttled": totals.throttled,
        "fewest_jobs": totals.fewest_jobs,
        "bytes": totals.moved_bytes,
        "seconds": round(totals.elapsed_s, 3),
        "retries": totals.retries,
        "rotations": totals.rotations,
        "dry_run": report.is_dry_run,
        "error": report.fatal.message if report.fatal else "",
    }
