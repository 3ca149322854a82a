"""Who works on a job: the threads and fibers of this process, and other processes beside it.

recruit (before there are threads) ─▶ Crew ─▶ open_engine ─▶ runner
                                        └─ each child: its own connection, trees, worker, engine
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from msgspec.structs import replace

from osssync import fibers
from osssync.climb import Climb
from osssync.config import Job, LocalAddress, TransferSettings, expand
from osssync.credentials.sources import load
from osssync.engines.child import Child, Crew, can_fork, fork, serve, spawn
from osssync.engines.climbing import MOST_LEVEL, Climbing, width_of
from osssync.engines.engine import Engine
from osssync.engines.local import LocalEngine
from osssync.engines.pipe import Pipe
from osssync.engines.processes import LEAD, Processes, lead_of
from osssync.local.glance import sizes_of_few
from osssync.local.part_names import PartNames
from osssync.model import Width
from osssync.oss.connection import Connection, Patience
from osssync.processors import usable
from osssync.transfer.steps import BRIEF_BYTES
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
    settings = job.options.transfer
    # None is without a request of its own, or there were more at once than --jobs allows.
    count = min(settings.processes or _automatic(job), settings.most_jobs)
    if count < 2:
        return Crew(_spawning(job, names), 0, Width(1, 1), takes_parts=False)
    share = replace(settings, jobs=max(1, settings.most_jobs // count))
    theirs = replace(job, options=replace(job.options, transfer=share))
    # What they would remove may be a brother's by then.
    make = (_forking if can_fork() else _spawning)(theirs, replace(names, sweeps=False))
    width = _first_width(settings).share(count)
    crew = Crew(make, count, width, takes_parts=settings.processes > 0)
    if can_fork():
        load(job.options.credentials.source)  # once, and not in each child
        crew.call()
    return crew


@contextmanager
def open_engine(
    job: Job, trees: Trees, connection: Connection, crew: Crew, warn: Callable[[str], None]
) -> Iterator[Engine]:
    """The engine of a job; as a context it is closed, and nothing runs any more."""
    settings = job.options.transfer
    outcomes: SimpleQueue[Any] = SimpleQueue()
    local = LocalEngine(_worker(job, trees, connection), _first_width(settings), outcomes)
    engine: Engine = Processes(local, outcomes, crew, warn) if crew.count else local
    # What is in flight goes beyond --max-transfer, so with that it stays little.
    if not settings.jobs and job.options.limits.max_transfer_bytes is None:
        climb = Climb(_first_level(), MOST_LEVEL, len(usable()))
        engine = Climbing(engine, climb, lambda: connection.nearest_s)
    try:
        yield engine
    finally:
        engine.close()


def work(descriptor: int) -> None:
    """What a process does that was begun anew: read its job, and do what it is told."""
    import pickle

    pipe = Pipe.of(descriptor)
    job, names = pickle.loads(pipe.recv_bytes())  # noqa: S301 - what ``_spawning`` sends
    _serve(job, names, pipe)
    os._exit(0)


def _automatic(job: Job) -> int:
    """A process for each processor, if there is more than one, and work for each."""
    if not job.recursive or not fibers.AVAILABLE or _is_small_upload(job):
        return 0
    return min(len(usable()), MOST_CHILDREN, job.options.transfer.most_jobs // 2)


def _is_small_upload(job: Job) -> bool:
    """Whether children would get nothing of it: a look at the disk costs less than they do."""
    if not isinstance(job.source, LocalAddress):
        return False
    sizes = sizes_of_few(str(expand(job.source)), LEAD)
    if sizes is None:
        return False
    whole = (size for size in sizes if size < job.options.transfer.bigfile_threshold)
    return sum(lead_of(size, is_brief=size <= BRIEF_BYTES) for size in whole) <= LEAD


def _first_level() -> int:
    return min(8, len(usable()))


def _first_width(settings: TransferSettings) -> Width:
    jobs = settings.jobs
    return Width(jobs, jobs) if jobs else width_of(_first_level())


def _forking(job: Job, names: PartNames) -> Callable[[Sequence[Child]], Child]:
    return lambda there: fork(lambda pipe: _serve(job, names, pipe), there)


def _spawning(job: Job, names: PartNames) -> Callable[[Sequence[Child]], Child]:
    def make(_there: Sequence[Child]) -> Child:
        import pickle  # a fork needs none

        child = spawn(_ENTRY)
        child.pipe.send_bytes(pickle.dumps((job, names)))
        return child

    return make


def _serve(job: Job, names: PartNames, pipe: Pipe) -> None:
    def open_worker(warn: Callable[[str], None]) -> Worker:
        settings = job.options
        patience = Patience(settings.transfer.retries)
        most = settings.transfer.most_jobs
        connection = Connection(settings.credentials, settings.oss, most, warn, patience)
        return _worker(job, open_trees(job, connection, names), connection)

    serve(pipe, open_worker)


def _worker(job: Job, trees: Trees, connection: Connection) -> Worker:
    return Worker(trees.open_steps(), trees.look, connection, job.options.transfer.retries)
