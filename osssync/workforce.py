"""Who works on a job: the threads and fibers of this process, and other processes beside it.

recruit (before there are threads) ─▶ Crew ─▶ open_engine ─▶ runner
                                        └─ each child: its own connection, trees, worker, engine
"""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from queue import SimpleQueue
from typing import Any

from osssync.config import Job, Options
from osssync.engines.child import Child, Crew, can_fork, fork, serve, spawn
from osssync.engines.engine import Engine
from osssync.engines.local import LocalEngine
from osssync.engines.processes import Processes
from osssync.local.files import PartNames
from osssync.oss.connection import Connection, Patience
from osssync.transfer.worker import Worker
from osssync.trees import Trees, open_trees

MOST_CHILDREN = 8
"""Of ``--processes auto``: beyond that, what decides and keeps the books is the bottleneck."""

_ENTRY = "osssync.workforce:work"


def recruit(job: Job, names: PartNames) -> Crew:
    """The processes a job may need. Forked now where that is sound, and idle until they are called.

    Args:
        job: whose settings say how many.
        names: of its part files.
    """
    wanted = job.options.transfer.processes
    count = wanted or _automatic(job)
    if count < 2:
        return Crew(lambda _there: spawn(_ENTRY), 0, 1, takes_parts=False)
    each = max(1, job.options.transfer.jobs // count)
    share = replace(job, options=_with_jobs(job, each))
    theirs = replace(names, sweeps=False)  # what they would remove may be a brother's by then
    if can_fork():
        crew = Crew(_forking(share, theirs), count, each, takes_parts=wanted > 0)
        crew.call()
        return crew
    return Crew(_spawning(share, theirs), count, each, takes_parts=wanted > 0)


@contextmanager
def open_engine(
    job: Job, trees: Trees, connection: Connection, crew: Crew, warn: Callable[[str], None]
) -> Iterator[Engine]:
    """The engine of a job; as a context it is closed, and nothing runs any more."""
    outcomes: SimpleQueue[Any] = SimpleQueue()
    local = LocalEngine(_worker(job, trees, connection), job.options.transfer.jobs, outcomes)
    engine: Engine = Processes(local, outcomes, crew, warn) if crew.count else local
    try:
        yield engine
    finally:
        engine.close()


def work(descriptor: int) -> None:
    """What a process does that was begun anew: read its job, and do what it is told."""
    pipe = Pipe(descriptor)
    job, names = pickle.loads(pipe.recv_bytes())  # noqa: S301 - what ``_spawning`` sends
    _serve(job, names, pipe)
    os._exit(0)


def _automatic(job: Job) -> int:
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores, MOST_CHILDREN, job.options.transfer.jobs // 2) if job.recursive else 0


def _with_jobs(job: Job, jobs: int) -> Options:
    return replace(job.options, transfer=replace(job.options.transfer, jobs=jobs))


def _forking(job: Job, names: PartNames) -> Callable[[Sequence[Child]], Child]:
    return lambda there: fork(lambda pipe: _serve(job, names, pipe), there)


def _spawning(job: Job, names: PartNames) -> Callable[[Sequence[Child]], Child]:
    def make(_there: Sequence[Child]) -> Child:
        child = spawn(_ENTRY)
        child.pipe.send_bytes(pickle.dumps((job, names)))
        return child

    return make


def _serve(job: Job, names: PartNames, pipe: Pipe) -> None:
    def open_worker(warn: Callable[[str], None]) -> Worker:
        settings = job.options
        patience = Patience(settings.transfer.retries)
        connection = Connection(settings.credentials, settings.oss, jobs, warn, patience)
        return _worker(job, open_trees(job, connection, names), connection)

    jobs = job.options.transfer.jobs
    serve(pipe, open_worker, jobs)


def _worker(job: Job, trees: Trees, connection: Connection) -> Worker:
    return Worker(trees.open_steps(), trees.look, connection, job.options.transfer.retries)
