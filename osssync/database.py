"""A SQLite file of ours: opened, checked, migrated; set aside if it is not ours or not whole.

Source: https://www.sqlite.org/wal.html, /pragma.html, /rescode.html, /howtocorrupt.html; read
2026-11.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

BUSY_S = 10.0  # other processes hold the file for milliseconds, unless their disk is stuck
APPLICATION_ID = 0x4F535359  # "OSSY"; tells our file from another program's

_DAMAGED = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_ERROR,  # a table is missing, or the file format is unknown
    }
)
"""Errors that speak of the file's contents, not of the disk or of other processes."""


class _UnusableError(Exception):
    """The file is not one that we can read. The message says what it is."""


@contextlib.contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Let one process at a time check, rename and make files there, where the system can do that.

    Raises:
        OSError: no such directory, or it is another user's, who could replace files by links.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_uid != os.geteuid():
            raise PermissionError("the directory belongs to another user")
        with contextlib.suppress(OSError):  # NFS locks no directories; then it is a small risk
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def open_or_replace(
    path: Path, migrations: Sequence[str], warn: Callable[[str], None]
) -> sqlite3.Connection:
    """Open a file (mode 0600) and bring it to the version ``len(migrations)``.

    One that is damaged, of another program or of a newer version is renamed, and begun anew.

    Raises:
        OSError, sqlite3.Error: it cannot be written.
    """
    try:
        return _open_checked(path, migrations)
    except _UnusableError as error:
        aside = _set_aside(path)
        warn(f"{path} {error}; it is now {aside}, and begun anew: nothing of it is used")
    return _open_checked(path, migrations)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do everything inside, or nothing.

    Raises:
        sqlite3.Error: it could not be done.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # the failure that led here is reported
                connection.execute("ROLLBACK")
        raise


def _open_checked(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        path.chmod(0o600)  # before its companions are made, which take this over
        _prepare(connection, migrations)
    except sqlite3.Error as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise _UnusableError(f"is damaged ({error})") from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Check whose file it is and that it is whole, and bring it to our version."""
    version = _number(connection, "PRAGMA user_version")
    owner = _number(connection, "PRAGMA application_id")
    things = _number(connection, "SELECT count(*) FROM sqlite_master")
    # Nothing is written before this is known.
    if owner != APPLICATION_ID and (owner or version or things):
        raise _UnusableError("belongs to another program")
    if version > len(migrations):
        raise _UnusableError("is of a newer osssync")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # outlives us; a power cut takes the last
    connection.execute("PRAGMA foreign_keys = ON")
    with transaction(connection):  # fails here if nothing can be written
        version = _number(connection, "PRAGMA user_version")  # another process may have been here
        _migrate(connection, migrations[version:], len(migrations))
    if _schema(connection) != _schema_of(migrations):
        raise _UnusableError("is damaged (its tables are not ours)")
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise _UnusableError(f"is damaged ({' '.join(said.split())})")


def _migrate(connection: sqlite3.Connection, scripts: Sequence[str], version: int) -> None:
    if not scripts:
        return
    for script in scripts:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str | None]]:
    ours = "name NOT LIKE 'sqlite_%'"  # ANALYZE adds tables of its own
    return connection.execute(
        f"SELECT name, sql FROM sqlite_master WHERE {ours} ORDER BY name"  # noqa: S608 - a constant
    ).fetchall()


def _schema_of(migrations: Sequence[str]) -> list[tuple[str, str | None]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _migrate(connection, migrations, len(migrations))
        return _schema(connection)


def _number(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def _set_aside(path: Path) -> Path:
    """Rename a file and its companions, so that somebody may look into them; says where."""
    stamp = f"damaged-{datetime.now(tz=UTC):%Y%m%dT%H%M%SZ}"
    aside, number = path.with_name(f"{path.name}.{stamp}"), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.{stamp}-{number}")
    for companion in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(f"{aside}{companion}")
    path.rename(aside)
    return aside
