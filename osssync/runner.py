"""One job from beginning to end. START READING HERE.

    lock the job, open the journal
    list source ─┐                            ┌─▶ worker ─▶ Outcome ─┐
                 ├─▶ merge ─▶ Action ─▶ Task ─┤   (engine, many)     ├─▶ assembly ─▶ next Task
    list dest.  ─┘      │                     └─▶ worker ─▶ Outcome ─┘       │
                        ▼ skip, exclude, refuse                              ▼ arrived or failed
                      tally ◀────────────────────────────────────────────  tally ─▶ RunReport
    all over and nothing failed: delete what only the destination has, if the guards allow it

Both listings are sorted streams, so memory stays flat however many keys there are. This thread
decides (``decisions``) and keeps the books (``traffic``); workers move bytes. Data goes down once
and outcomes come up once.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from osssync.columns import (
    Columns,
    Decision,
    Unchanged,
    one_by_one,
    skips_one_by_one,
    transfers_one_by_one,
)
from osssync.config import Job, WhenBusy
from osssync.decisions import decide_all
from osssync.errors import (
    GuardRefusedError,
    InterruptedRunError,
    LockBusyError,
    OsssyncError,
)
from osssync.extras import Extras
from osssync.journal import Journal, RunRecord, default_state_dir, job_key
from osssync.local.part_names import PartNames
from osssync.local.scan import Scan, scan_columns
from osssync.locks import Lock, acquire
from osssync.model import Action, ActionKind, Failure, Outcome, Step, Task
from osssync.oss.connection import Connection, Patience
from osssync.oss.errand import Errand
from osssync.progress import Monitor, ShieldedMonitor, SilentMonitor
from osssync.report import RunReport, Tally
from osssync.scout import scouted
from osssync.traffic import Traffic
from osssync.transfer.worker import LISTINGS, failure_of
from osssync.trees import Trees, open_trees
from osssync.watch import Watch
from osssync.workforce import open_engine, recruit


def run(job: Job, monitor: Monitor | None = None, stop: threading.Event | None = None) -> RunReport:
    """Do a job. What goes wrong with single objects is in the report.

    Setting ``stop``, from another thread or a signal handler, ends it at the next part boundary:
    what is unfinished is kept for the next run, and the report says it was interrupted.

    Raises:
        UsageError: the job cannot be.
        CredentialsError: there is no identity to begin with.
        LockBusyError: another run of the same job is under way.
        OsssyncError: a single source could not be found.
        Exception: what the monitor raised.
    """
    _ = job.direction  # refuses what cannot be a job before anything is opened
    shielded = ShieldedMonitor(monitor or SilentMonitor())
    watch = Watch(shielded, Tally(), stop or threading.Event())
    started_s = time.monotonic()
    try:
        go = _rehearse if job.options.dry_run else _carry_out
        report = go(job, watch, started_s)
    except InterruptedRunError:  # while it waited for the lock, or for an answer
        report = watch.tally.report(elapsed_s=time.monotonic() - started_s, fatal=_interrupted())
        report = replace(report, is_dry_run=job.options.dry_run)
    finally:
        shielded.deliver()
    if shielded.broken is not None:
        raise shielded.broken
    return report


def plan(job: Job) -> Iterator[Action]:
    """Every decision of a job in key order, nothing done.

    Raises:
        OsssyncError: a listing could not be read, or the job cannot be.
    """
    with _connect(job, SilentMonitor(), threading.Event()) as connection, _extras(job) as extras:
        yield from one_by_one(decide_all(job, _open_trees(job, connection), extras))


def _carry_out(job: Job, watch: Watch, started_s: float) -> RunReport:
    try:
        with _lock(job, watch) as lock:
            return _run_locked(job, _part_names(job, is_alone=lock.held), watch, started_s)
    except LockBusyError as error:
        if job.options.state.when_busy is not WhenBusy.SKIP:
            raise
        watch.monitor.warned(f"{error}; skipped, as --lock-busy skip asks")
        return watch.tally.report(elapsed_s=time.monotonic() - started_s)


def _run_locked(job: Job, names: PartNames, watch: Watch, started_s: float) -> RunReport:
    with (
        recruit(job, names) as crew,  # first of all: from here on there are threads
        scouted(job, crew) as scan,
        _connect(job, watch.monitor, watch.stop) as connection,
        _extras(job) as extras,
        Journal.open(_state_dir(job), watch.monitor.warned) as journal,
    ):
        trees = _open_trees(job, connection, names, scan)
        run_id = journal.begin_run(_record(job))
        with open_engine(job, trees, connection, crew, watch.monitor.warned) as engine:
            traffic = Traffic(job, engine, journal, watch)
            traffic.go(_decisions(job, trees, extras, watch), started_s)
            fatal = traffic.fatal
            if job.options.deletes.wanted:
                fatal = _delete(extras, trees, watch, fatal)
            report = watch.tally.report(
                elapsed_s=time.monotonic() - started_s,
                effort=engine.effort,
                fatal=fatal,
            )
        for failed in report.failures:
            journal.add_failure(run_id, failed.key, failed.failure)
        journal.end_run(run_id, time.time_ns(), report.exit_code, report.totals, fatal)
        return report


def _decisions(job: Job, trees: Trees, extras: Extras, watch: Watch) -> Iterator[Decision]:
    """All decisions; what is unchanged file by file if the monitor wants to hear of each."""
    decisions = decide_all(job, trees, extras)
    return skips_one_by_one(decisions) if watch.monitor.hears_skips else decisions


def _delete(extras: Extras, trees: Trees, watch: Watch, fatal: Failure | None) -> Failure | None:
    """Delete what only the destination has, if nothing speaks against it; why the run failed."""
    objection = extras.objection(watch.tally.failed + (fatal is not None))
    if objection:
        if fatal is not None or watch.tally.failed:
            watch.monitor.warned(objection)  # the run has failed already, and says why
            return fatal
        return failure_of(GuardRefusedError(objection))
    told = 0
    try:
        for removal in extras.remove(lambda: trees.open_remover(watch.stop), watch.stop.is_set):
            told += 1
            watch.tally.removed(removal.entry, removal.failure)
            watch.monitor.removed(removal.entry, removal.failure)
    except OsssyncError as error:
        return fatal or failure_of(error)
    if told < len(extras):
        return _interrupted()
    return fatal


def _interrupted() -> Failure:
    return failure_of(InterruptedRunError("interrupted; run again to go on"))


def _rehearse(job: Job, watch: Watch, started_s: float) -> RunReport:
    with _connect(job, watch.monitor, watch.stop) as connection, _extras(job) as extras:
        decisions = _decisions(job, _open_trees(job, connection), extras, watch)
        for decision in transfers_one_by_one(decisions):
            _count(decision, watch)
            if watch.stop.is_set() or watch.monitor.broken is not None:
                fatal: Failure | None = _interrupted()
                break
        else:
            fatal = _rehearse_deletes(job, extras, watch)
    report = watch.tally.report(elapsed_s=time.monotonic() - started_s, fatal=fatal)
    return replace(report, is_dry_run=True)


def _count(action: Action | Unchanged, watch: Watch) -> None:
    """What a rehearsal does about a decision: as if it had been carried out."""
    if isinstance(action, Unchanged):
        watch.tally.unchanged(len(action))
        watch.monitor.deliver()
        return
    watch.tally.decided(action)
    watch.monitor.decided(action)
    if action.kind is ActionKind.TRANSFER:
        entry = action.entry
        task = Task(0, Step.WHOLE, entry, entry.key)
        watch.tally.ended(Outcome(task, moved_bytes=entry.size))


def _rehearse_deletes(job: Job, extras: Extras, watch: Watch) -> Failure | None:
    objection = extras.objection(watch.tally.failed) if job.options.deletes.wanted else ""
    if objection:
        return failure_of(GuardRefusedError(objection))
    for entry in extras:
        watch.tally.removed(entry, None)
        watch.monitor.removed(entry, None)
    return None


def _connect(job: Job, monitor: Monitor, stop: threading.Event) -> Connection:
    options = job.options
    pool_size = options.transfer.most_jobs + LISTINGS
    patience = Patience(options.transfer.retries, stop.wait)
    return Connection(options.credentials, options.oss, pool_size, monitor.warned, patience)


def _open_trees(
    job: Job,
    connection: Connection,
    names: PartNames | None = None,
    scan: Scan = scan_columns,
) -> Trees:
    """The trees of a job, whose single objects are looked up so that a stop is heard meanwhile."""
    trees = Errand(lambda: open_trees(job, connection, names, scan), connection.stopped).result()
    if job.recursive:
        return trees  # listings hear it on their own

    def destination() -> Iterator[Columns]:
        return iter(Errand(lambda: list(trees.destination()), connection.stopped).result())

    return replace(trees, destination=destination)


def _extras(job: Job) -> Extras:
    return Extras(job.options.deletes, job.options.filters)


def _state_dir(job: Job) -> Path:
    given = job.options.state.directory
    return Path(given) if given else default_state_dir(os.environ)


def _lock(job: Job, watch: Watch) -> Lock:
    directory = _state_dir(job)
    with contextlib.suppress(OSError):  # whoever needs it next says what is wrong
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "locks" / f"{job_key(job)}.lock"
    wait_s = job.options.state.lock_wait_s
    return acquire(path, wait_s, wait=watch.stop.wait, warn=watch.monitor.warned)


def _part_names(job: Job, *, is_alone: bool) -> PartNames:
    """What the names of our part files depend on, so that no two runs at once share them.

    The same for the next run of this job here, which goes on with them; another one where the lock
    could not be had, or where other runs do not see it.
    """
    if not is_alone:
        return PartNames(os.urandom(16).hex())
    node = os.uname().nodename
    ledgers = _state_dir(job) / "ledgers" / f"{job_key(job)}-{node}"
    salt = f"{job_key(job)} {node} {_state_dir(job)}"
    return PartNames(salt, str(ledgers), os.urandom(8).hex())


def _record(job: Job) -> RunRecord:
    return RunRecord(
        job_key(job), str(job.source), str(job.destination), job.direction.value, time.time_ns()
    )
