"""The report of a run as a file: one JSON object a line (NDJSON), written while the run goes on.

    {"event":"run","format":1,"source":…,"destination":…,"recursive":…,"started":…}
    {"event":"object","state":"transferred","key":…,"source":…,"target":…,"size":…,"retries":…}
    {"event":"object","state":"failed",…,"error":…,"message":…,"code":…,"request_id":…}
    {"event":"summary","succeeded":…,"exit_code":…,"found":…,…}

``state`` is transferred, failed, refused, deleted or undeleted (should have been deleted, and is
still there); what was skipped or excluded has no line. A rehearsal writes down refusals and what
would be deleted. Sizes are bytes. The first line names local places by their whole paths, the
others as the user did.

A file without a summary is of a run that was killed, or whose output nobody read any more: its
lines are whole and true, but what it had not come to is not in it. Writing elsewhere and renaming
at the end would leave nothing at all of such a run; so the file grows in place, a line at a time,
each in one write.
"""

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from osssync.config import Address, Job, LocalAddress, OssAddress, expand, parse_address
from osssync.errors import LocalFileError, UsageError
from osssync.keys import display, join
from osssync.model import Action, ActionKind, Entry, Failure, Outcome
from osssync.progress import Monitor
from osssync.report import RunReport, refusal, summary_fields

FORMAT = 1
_MAX_LINE_BYTES = 1 << 20  # far more than names and messages need; a file of zeros has no end
_NOT_ARRIVED = frozenset({"failed", "refused"})

Value = str | int | float | bool


class ReportFile:
    """A Monitor that writes down every finished object, and then passes everything on.

    Whatever stood in the file before is replaced by the first line, so a run that never begins
    leaves it; who wants to read it (``failed_keys``) does so before. Two runs never write the same
    file: the later one gives up on it. A disk that is full or broken does not end the run: the
    monitor is warned, the lines so far stay whole, and ``finish`` raises. A monitor that raises is
    told last, so every line is there all the same.

    Args:
        path: of the file; may be a pipe or a device.
        job: whose addresses the lines name.
        monitor: hears everything, too.

    Raises:
        LocalFileError: the file cannot be written.
    """

    def __init__(self, path: Path, job: Job, monitor: Monitor) -> None:
        self._path = path
        self._job = job
        self._monitor = monitor
        self.hears_skips: bool = getattr(monitor, "hears_skips", True)
        self.hears_transfers: bool = getattr(monitor, "hears_transfers", True)
        """Only if the monitor does: a report has no lines about them."""
        self._into_folder = not job.recursive and _is_folder(job.destination)
        self._started = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._whole_bytes = 0  # up to the end of the last line that is complete
        self._is_ours = False
        self._failure = ""
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._is_regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        except OSError as error:
            raise LocalFileError(f"--report {path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def decided(self, action: Action) -> None:
        """A line if the entry is refused."""
        if action.kind is ActionKind.REFUSE:
            line = self._object("refused", action.entry, "", retries=0)
            self._write(line | _reasons(refusal(action)))
        self._monitor.decided(action)

    def moved(self, byte_count: int) -> None:
        """Passed on."""
        self._monitor.moved(byte_count)

    def ended(self, outcome: Outcome) -> None:
        """A line for the object."""
        task, failure = outcome.task, outcome.failure
        state = "transferred" if failure is None else "failed"
        target = self._target(task.target)
        line = self._object(state, task.entry, target, retries=outcome.retries)
        if failure is not None:
            line |= _reasons(failure)
        elif outcome.note:
            line["note"] = outcome.note
        self._write(line)
        self._monitor.ended(outcome)

    def removed(self, entry: Entry, failure: Failure | None) -> None:
        """A line for what was deleted, or could not be."""
        state = "deleted" if failure is None else "undeleted"
        line = self._object(state, entry, self._target(entry.key), retries=0) | {"source": ""}
        self._write(line if failure is None else line | _reasons(failure))
        self._monitor.removed(entry, failure)

    def warned(self, message: str) -> None:
        """Passed on."""
        self._monitor.warned(message)

    def finish(self, report: RunReport) -> None:
        """Write the summary as the last line, and close.

        A run with nothing to tell that comes while another one writes the file leaves it alone.

        Raises:
            LocalFileError: this or an earlier line could not be written.
        """
        if not self._is_skipped(report):
            self._write({"event": "summary", **summary_fields(report)})
        self.close()
        if self._failure:
            raise LocalFileError(f"{self._failure}; it ends early")

    def close(self) -> None:
        """Close the file; without ``finish`` it has no summary. Again is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _object(self, state: str, entry: Entry, target: str, *, retries: int) -> dict[str, Value]:
        source, key = str(self._job.source), entry.key
        return {
            "event": "object",
            "state": state,
            "key": key,
            "source": join(source, key) if self._job.recursive else source,
            "target": target,
            "size": entry.size,
            "retries": retries,
        }

    def _target(self, relative: str) -> str:
        destination = self._job.destination
        if self._job.recursive:
            return join(str(destination), relative)
        if isinstance(destination, OssAddress):
            return str(OssAddress(destination.bucket, relative))
        return join(str(destination), relative) if self._into_folder else str(destination)

    def _is_skipped(self, report: RunReport) -> bool:
        has_nothing = not self._is_ours and not report.totals.found and report.fatal is None
        return has_nothing and not self._failure and not self._try_lock()

    def _write(self, line: Mapping[str, Value]) -> None:
        if self._failure or self._fd < 0:
            return
        if not self._is_ours and not self._try_lock():
            self._give_up("another run is writing it")
            return
        try:
            if not self._is_ours:
                self._begin()
            self._append(line)
        except OSError as error:
            with contextlib.suppress(OSError):  # not a regular file
                os.ftruncate(self._fd, self._whole_bytes)
            self._give_up(str(error.strerror))

    def _begin(self) -> None:
        if self._is_regular:
            os.ftruncate(self._fd, 0)
        self._is_ours = True
        job = self._job
        self._append(
            {
                "event": "run",
                "format": FORMAT,
                "source": _whole(job.source),
                "destination": _whole(job.destination),
                "recursive": job.recursive,
                "started": self._started,
            }
        )

    def _append(self, line: Mapping[str, Value]) -> None:
        data = _encoded(line)
        written = 0
        while written < len(data):
            written += os.write(self._fd, data[written:])
        self._whole_bytes += written

    def _try_lock(self) -> bool:
        """Keep other runs from writing this file; the lock ends with the process at the latest."""
        if self._is_regular:  # pipes and devices may be shared
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:  # a file system without locks
                return True
        return True

    def _give_up(self, reason: str) -> None:
        self._failure = f"--report {self._path}: {reason}"
        self._monitor.warned(f"{self._failure}; no more is written to it")


def failed_keys(path: Path, job: Job) -> frozenset[str]:
    """The keys that failed or were refused, relative to the job's source: for ``--retry-from``.

    Other settings may differ; that the report is of the same source and destination is checked,
    because its keys mean other objects elsewhere.

    A report that ends in the middle of a line, as that of a killed machine may, is read up to
    there.

    Raises:
        UsageError: it cannot be read, is no report of ours, or of another job.
    """
    keys = set()
    for number, line in _lines(path):
        event = line.get("event")
        if number == 1:
            _check_job(path, line, job)
        if event == "object" and line.get("state") in _NOT_ARRIVED:
            key = line.get("key")
            if not isinstance(key, str):
                raise _no_report(path, number)
            keys.add(key)
    return frozenset(keys)


def _check_job(path: Path, line: Mapping[str, object], job: Job) -> None:
    names = [line.get("source"), line.get("destination")]
    recursive = line.get("recursive")
    is_ours = (line.get("event"), line.get("format")) == ("run", FORMAT)
    if not is_ours or not isinstance(recursive, bool):
        raise _no_report(path, 1)
    try:
        there = [_place(parse_address(str(name)), recursive=recursive) for name in names]
    except UsageError:  # not an address
        raise _no_report(path, 1) from None
    here = [_place(end, recursive=job.recursive) for end in (job.source, job.destination)]
    if [recursive, *there] != [job.recursive, *here]:
        raise UsageError(
            f"--retry-from {path}: it is the report of {_told(there, recursive=recursive)}, and "
            f"not of {_told(here, recursive=job.recursive)}"
        )


def _told(places: Sequence[str], *, recursive: bool) -> str:
    return f"{'a tree,' if recursive else 'one object,'} {' to '.join(map(display, places))}"


def _place(address: Address, *, recursive: bool) -> str:
    """An address such that the same place always reads the same."""
    if isinstance(address, LocalAddress) or not recursive:
        return _whole(address)
    return str(OssAddress(address.bucket, join(address.key, "")))


def _whole(address: Address) -> str:
    return str(expand(address)) if isinstance(address, LocalAddress) else str(address)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    number = 0
    try:
        with path.open("rb") as file:
            while (raw := file.readline(_MAX_LINE_BYTES)).endswith(b"\n"):
                number += 1
                yield number, _parsed(path, number, raw)
    except OSError as error:
        raise UsageError(f"--retry-from {path}: {error.strerror}") from error
    if not number or len(raw) == _MAX_LINE_BYTES:
        raise _no_report(path, number + 1)


def _parsed(path: Path, number: int, raw: bytes) -> dict[str, object]:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or made to hurt
        raise _no_report(path, number) from None
    if not isinstance(line, dict):
        raise _no_report(path, number)
    return line


def _no_report(path: Path, number: int) -> UsageError:
    return UsageError(
        f"--retry-from {path}: line {number} is not of a report; give a file that --report wrote"
    )


def _reasons(failure: Failure) -> dict[str, Value]:
    return {
        "error": failure.error,
        "message": failure.message,
        "code": failure.code,
        "request_id": failure.request_id,
    }


def _encoded(line: Mapping[str, Value]) -> bytes:
    r"""One line of UTF-8. A name that is not Unicode is kept by JSON's own escapes (``\udcff``)."""
    try:
        return (json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(line, separators=(",", ":")) + "\n").encode()


def _is_folder(address: Address) -> bool:
    """Whether a single source keeps its own name there."""
    if isinstance(address, LocalAddress):
        return address.is_folder or expand(address).is_dir()
    return not address.key or address.key.endswith("/")
