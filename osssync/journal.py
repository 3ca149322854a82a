"""What must outlive a run: its history, and the large objects it has not finished. One SQLite file.

    journal.db   run ──< failure                  what happened
                 object ──< part                  what a next run may go on with

A journal is a memory, never a proof: RESUME proves every record before it counts, so a lost or
damaged journal costs repeated work and nothing else. Small objects leave no trace here. Whatever
goes wrong with the file ends the recording with one warning, not the run.

Source: https://www.sqlite.org/wal.html, /pragma.html, /rescode.html, /howtocorrupt.html; XDG Base
Directory Specification (state); all read 2026-11.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self, TypeVar

from msgspec import Struct, ValidationError, convert, to_builtins

from osssync.config import Address, Job, LocalAddress, expand
from osssync.database import alone_in, open_or_replace, transaction
from osssync.model import (
    Entry,
    Failure,
    PartReceipt,
    Pinned,
    Totals,
    Unfinished,
)

T = TypeVar("T")

FILE_NAME = "journal.db"
KEPT_RUNS = 1000  # of all jobs together; older ones are forgotten with their failures
_FAILURES_AT_ONCE = 256  # written together: a run may have a million of them
_OBJECTS = "SELECT object_id, target, entry, pinned, part_size FROM object WHERE job_key = ?"

MIGRATIONS = (
    """
    CREATE TABLE run (
        run_id INTEGER PRIMARY KEY AUTOINCREMENT,
        record TEXT NOT NULL,
        ended_ns INTEGER,
        exit_code INTEGER,
        totals TEXT,
        fatal TEXT
    );
    CREATE TABLE failure (
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        key TEXT NOT NULL,
        failure TEXT NOT NULL
    );
    CREATE INDEX failure_by_run ON failure (run_id);
    CREATE TABLE object (
        object_id INTEGER PRIMARY KEY,
        job_key TEXT NOT NULL,
        target TEXT NOT NULL,
        entry TEXT NOT NULL,
        pinned TEXT NOT NULL,
        part_size INTEGER NOT NULL,
        UNIQUE (job_key, target)
    );
    CREATE TABLE part (
        object_id INTEGER NOT NULL REFERENCES object ON DELETE CASCADE,
        number INTEGER NOT NULL,
        receipt TEXT NOT NULL,
        PRIMARY KEY (object_id, number)
    ) WITHOUT ROWID;
    """,
)
"""Script N brings a file of version N to N + 1. Published ones are never changed.

Records, and names that may hold anything, are JSON in plain ASCII: it keeps unsigned 64-bit numbers
and names that are not UTF-8, which SQLite's own types do not.
"""


class RunRecord(Struct, frozen=True):
    """A run as it begins; addresses as the user wrote them."""

    job_key: str
    source: str
    destination: str
    direction: str
    started_ns: int  # epoch, UTC


class PastRun(Struct, frozen=True):
    """A run of the history. Without ``ended_ns`` it is under way, or was killed."""

    run_id: int
    record: RunRecord
    ended_ns: int | None = None  # epoch, UTC
    exit_code: int | None = None
    totals: Totals | None = None
    fatal: Failure | None = None


class Journal:
    """The journal of a state directory. One thread uses it; processes may share the file.

    Every method works at any time; if the file cannot be written any more, the user is warned
    once, nothing is recorded from then on and nothing is found.

    Args:
        connection: to a file that ``open`` has checked.
        warn: hears what the user should know.
    """

    def __init__(self, connection: sqlite3.Connection, warn: Callable[[str], None]) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._warn = warn
        self._failures: list[tuple[int, str, str]] = []

    @classmethod
    def open(cls, state_dir: Path, warn: Callable[[str], None]) -> "Journal":
        """Open the journal of a directory, made if missing (mode 0700, the file 0600).

        A file that is damaged, of another program or of a newer osssync is renamed and begun
        anew; where nothing can be written the journal is a NullJournal. ``warn`` hears of both.
        """
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone_in(state_dir):
                return cls(open_or_replace(state_dir / FILE_NAME, MIGRATIONS, warn), warn)
        except (OSError, sqlite3.Error) as error:
            warn(
                f"cannot keep a journal in {state_dir}: {error}; an interrupted transfer will "
                "begin anew. Choose another --state-dir"
            )
            return NullJournal()

    @property
    def records(self) -> bool:
        """Whether anything is written down: what is kept for a next run must be known to it."""
        return self._connection is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is held back and close the file; closing it again is harmless."""
        self._write_failures()
        self._shut()

    def begin_run(self, run: RunRecord) -> int:
        """Remember that a run begins; returns its id, 0 if nothing is recorded."""
        run_id = self._write(("INSERT INTO run (record) VALUES (?)", (_json(run),)))
        oldest = "SELECT run_id FROM run ORDER BY run_id DESC LIMIT 1 OFFSET ?"
        self._write((f"DELETE FROM run WHERE run_id <= ({oldest})", (KEPT_RUNS,)))  # noqa: S608 - a constant
        return run_id

    def end_run(
        self, run_id: int, ended_ns: int, exit_code: int, totals: Totals, fatal: Failure | None
    ) -> None:
        """Remember how a run ended."""
        self._write_failures()
        update = (
            "UPDATE run SET ended_ns = ?, exit_code = ?, totals = ?, fatal = ? WHERE run_id = ?"
        )
        reason = _json(fatal) if fatal else None
        self._write((update, (ended_ns, exit_code, _json(totals), reason, run_id)))

    def add_failure(self, run_id: int, key: str, failure: Failure) -> None:
        """Remember an object that did not arrive. Some of the last are lost if we are killed."""
        self._failures.append((run_id, _json(key), _json(failure)))
        if len(self._failures) >= _FAILURES_AT_ONCE:
            self._write_failures()

    def runs(self, limit: int) -> tuple[PastRun, ...]:
        """The last ``limit`` runs of all jobs, the newest first."""
        query = (
            "SELECT run_id, record, ended_ns, exit_code, totals, fatal FROM run "
            "ORDER BY run_id DESC LIMIT ?"
        )
        return tuple(_read_each(_past_run, self._read(query, (limit,))))

    def failures(self, run_id: int) -> tuple[tuple[str, Failure], ...]:
        """The key and the failure of each object that did not arrive in a run, in order."""
        self._write_failures()
        query = "SELECT key, failure FROM failure WHERE run_id = ? ORDER BY rowid"
        return tuple(_read_each(_failed, self._read(query, (run_id,))))

    def started(
        self, job_key: str, target: str, entry: Entry, pinned: Pinned, part_size: int
    ) -> None:
        """Remember that a large object has begun; what was known of its target is forgotten."""
        self.resumed(job_key, Unfinished(target, entry, pinned, part_size))

    def resumed(self, job_key: str, unfinished: Unfinished) -> None:
        """Remember what is proven of a large object, in place of what was known of its target."""
        insert = (
            "INSERT INTO object (job_key, target, entry, pinned, part_size) VALUES (?, ?, ?, ?, ?)"
        )
        target = _json(unfinished.target)
        record = (_json(unfinished.entry), _json(unfinished.pinned), unfinished.part_size)
        self._write(
            _forget(job_key, unfinished.target),
            (insert, (job_key, target, *record)),
            *(_insert_part(job_key, unfinished.target, one) for one in unfinished.receipts),
        )

    def part_done(self, job_key: str, target: str, receipt: PartReceipt) -> None:
        """Remember that a part has arrived; nothing if its object was not started."""
        self._write(_insert_part(job_key, target, receipt))

    def finished(self, job_key: str, target: str) -> None:
        """Forget a large object: it is whole, or put away."""
        self._write(_forget(job_key, target))

    def unfinished(self, job_key: str, target: str) -> Unfinished | None:
        """What an earlier run left of this target."""
        query = f"{_OBJECTS} AND target = ?"
        found = _read_each(self._unfinished, self._read(query, (job_key, _json(target))))
        return next(iter(found), None)

    def all_unfinished(self, job_key: str) -> tuple[Unfinished, ...]:
        """Everything that earlier runs of a job left, in the order it was begun."""
        rows = self._read(f"{_OBJECTS} ORDER BY object_id", (job_key,))
        return tuple(_read_each(self._unfinished, rows))

    def _unfinished(self, row: tuple[Any, ...]) -> Unfinished:
        object_id, target, entry, pinned, part_size = row
        query = "SELECT receipt FROM part WHERE object_id = ? ORDER BY number"
        receipts = _read_each(
            lambda row: _read_as(PartReceipt, row[0]), self._read(query, (object_id,))
        )
        return Unfinished(
            json.loads(target),
            _read_as(Entry, entry),
            _read_as(Pinned, pinned),
            int(part_size),
            tuple(receipts),
        )

    def _write_failures(self) -> None:
        failures, self._failures = self._failures, []
        if failures:
            insert = "INSERT INTO failure (run_id, key, failure) VALUES (?, ?, ?)"
            self._write(*((insert, failure) for failure in failures))

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> int:
        """Do all of them or none, durable against our death; returns the last new row's id."""
        if self._connection is None:
            return 0
        last_id = 0
        try:
            with transaction(self._connection):
                for sql, values in statements:
                    last_id = self._connection.execute(sql, values).lastrowid or 0
        except sqlite3.Error as error:
            self._give_up(error)
            return 0
        return last_id

    def _read(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self._give_up(error)
            return []

    def _give_up(self, error: sqlite3.Error) -> None:
        self._shut()
        self._warn(
            f"the journal cannot be used any more: {error}; the run goes on, but what it leaves "
            "unfinished will begin anew"
        )

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


class NullJournal(Journal):
    """Records nothing and finds nothing."""

    def __init__(self) -> None:
        self._connection = None
        self._failures = []

    def add_failure(self, run_id: int, key: str, failure: Failure) -> None:
        """Nothing."""


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """Where the journal lives unless told otherwise; nothing is made.

    ``$XDG_STATE_HOME/osssync`` or ``~/.local/state/osssync``; without a home, as services run,
    below /var/tmp, which outlives a reboot.
    """
    for variable, below in (("XDG_STATE_HOME", ""), ("HOME", ".local/state")):
        # The specification tells to ignore relative paths; a home of "/" is that of nobody.
        if environ.get(variable, "").startswith("/") and environ[variable] != "/":
            return Path(environ[variable], below, "osssync")
    return Path(f"/var/tmp/osssync-{os.geteuid()}")  # noqa: S108 - open refuses one of others


def job_key(job: Job) -> str:
    """Names a job in the journal: the same source, destination and direction give the same key.

    Endpoints do not count, since one bucket has several; settings and filters do not either.

    Raises:
        UsageError: both addresses are local, or one has a ``~`` that nobody knows.
    """
    kind = "tree" if job.recursive else "object"
    places = (_place(job.source, job), _place(job.destination, job))
    parts = (job.direction.value, kind, job.options.oss.region, *places)
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).hexdigest()


def _place(address: Address, job: Job) -> str:
    if isinstance(address, LocalAddress):
        folder = "/" if address.is_folder and not job.recursive else ""
        return f"{expand(address)}{folder}"
    tree = job.recursive and address.key and not address.key.endswith("/")
    return f"{address}/" if tree else str(address)


def _forget(job_key: str, target: str) -> tuple[str, tuple[Any, ...]]:
    return "DELETE FROM object WHERE job_key = ? AND target = ?", (job_key, _json(target))


def _insert_part(job_key: str, target: str, receipt: PartReceipt) -> tuple[str, tuple[Any, ...]]:
    insert = (
        "INSERT OR REPLACE INTO part (object_id, number, receipt) "
        "SELECT object_id, ?, ? FROM object WHERE job_key = ? AND target = ?"
    )
    return insert, (receipt.number, _json(receipt), job_key, _json(target))


def _json(record: object) -> str:
    """A noun of ours, or text. Not msgspec's own JSON: a key of a journal may be no UTF-8."""
    return json.dumps(to_builtins(record))


def _read_as(kind: type[T], text: str) -> T:
    """What ``_json`` wrote; ValueError or ``ValidationError`` if it is something else."""
    return convert(json.loads(text), kind)


def _read_each(
    read: Callable[[tuple[Any, ...]], T], rows: Iterable[tuple[Any, ...]]
) -> Iterator[T]:
    """Read rows; one that makes no sense is none: nothing here is a proof anyway."""
    for row in rows:
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, ValidationError):
            yield read(row)


def _past_run(row: tuple[Any, ...]) -> PastRun:
    run_id, record, ended_ns, exit_code, totals, fatal = row
    return PastRun(
        run_id,
        _read_as(RunRecord, record),
        ended_ns,
        exit_code,
        _read_as(Totals, totals) if totals else None,
        _read_as(Failure, fatal) if fatal else None,
    )


def _failed(row: tuple[Any, ...]) -> tuple[str, Failure]:
    return json.loads(row[0]), _read_as(Failure, row[1])
