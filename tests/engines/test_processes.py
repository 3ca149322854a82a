"""What is particular to an engine with children: who gets what, and what the death of one means."""

import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from queue import SimpleQueue

import pytest
from msgspec.structs import replace
from msgspec.structs import replace as changed

from osssync.config import Job, LocalAddress, OssAddress, TransferSettings
from osssync.engines import messages, processes
from osssync.engines.child import Crew, fork, serve, spawn
from osssync.engines.local import LocalEngine
from osssync.engines.pipe import Pipe
from osssync.engines.processes import LEAD, LEAD_BYTES, Processes
from osssync.local.part_names import PartNames
from osssync.model import Step, Width
from osssync.workforce import recruit
from tests.engines.scripted_worker import ScriptedWorker, fetch, numbers, tasks
from tests.faults.programs import wait_until

JOBS = 4
pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def worker(tmp_path):
    return ScriptedWorker(tmp_path)


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def crew(worker):
    """Two children, once they are called."""

    def make(there):
        return fork(lambda pipe: serve(pipe, lambda _warn: worker), there)

    with Crew(make, 2, Width(JOBS // 2, JOBS // 2), takes_parts=True) as crew:
        yield crew


@pytest.fixture
def engine(worker, crew, warnings):
    outcomes = SimpleQueue()
    engine = Processes(
        LocalEngine(worker, Width(JOBS, JOBS), outcomes), outcomes, crew, warnings.append
    )
    yield engine
    worker.release()
    engine.close()


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children():
    """Process ids of our children that are there, zombies included."""
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:  # noqa: PTH123
        return file.read().split()


def test_a_small_job_needs_no_child(engine, crew, monkeypatch):
    """Nobody is called for the first objects."""
    monkeypatch.setattr(processes, "LEAD", 10)
    engine.submit(tasks("do", 10))
    fetch(engine, 10)
    before = children()

    engine.submit(tasks("do", 10, first=10))
    fetch(engine, 10)

    assert [] == before
    assert 2 == len(children()) == len(crew.call())


def test_what_concludes_an_object_stays_here(engine, worker, monkeypatch):
    """START, FINISH and their kind are done by the process that keeps the journal."""
    monkeypatch.setattr(processes, "LEAD", 0)
    steps = (Step.START, Step.RESUME, Step.FINISH, Step.ABORT)

    engine.submit([task for step in steps for task in tasks("do", 3, step)])

    fetch(engine, 12)
    assert [] == children()


@pytest.mark.parametrize("count", [1, 2])
def test_the_tasks_of_a_killed_child_are_done_all_the_same(
    engine, crew, worker, warnings, monkeypatch, count
):
    """Each comes back once, and the user is told; with no child left, all is done here."""
    monkeypatch.setattr(processes, "LEAD", 0)
    engine.submit(tasks("hang", 20))
    wait_until(lambda: worker.count("begun") == JOBS)
    for child in crew.call()[:count]:
        os.kill(child.pid, signal.SIGKILL)
    while len(warnings) < count:
        engine.wait()
    engine.submit(tasks("do", 20, first=20))
    worker.release()

    outcomes = fetch(engine, 40)

    assert list(range(40)) == numbers(outcomes)
    assert 0 == engine.outstanding
    assert all(
        "was killed (SIGKILL); its 10 tasks are done by this one" in text for text in warnings
    )


def large(count, size=16 << 20):
    """Objects of one task each, that last until they are released."""
    return [changed(one, entry=changed(one.entry, size=size)) for one in tasks("long", count)]


def test_long_tasks_are_kept_until_a_child_may_run_dry(engine, crew, worker, monkeypatch):
    """Or one would still have many when the other has none."""
    monkeypatch.setattr(processes, "LEAD", 0)
    monkeypatch.setattr(processes, "AHEAD_BYTES", 24 << 20)
    engine.submit(large(40))
    wait_until(lambda: worker.count("begun") == JOBS)

    given = [len(child.tasks) for child in crew.call()]
    worker.release()

    assert [4, 4] == given  # two places each, what keeps them busy, and a batch
    assert list(range(40)) == numbers(fetch(engine, 40))


def test_brief_tasks_are_spread_evenly_and_neighbours_stay_together(
    engine, crew, worker, monkeypatch
):
    """Whatever a child still has; files of one directory are written together."""
    monkeypatch.setattr(processes, "LEAD", 0)
    engine.submit(tasks("hang", 3))
    engine.submit(tasks("hang", 50)[3:])

    held = [child.tasks for child in crew.call()]

    assert {25} == {len(tasks) for tasks in held}
    for one in held:
        numbers_held = [task.object_number for task in one.values()]
        breaks = sum(b - a > 1 for a, b in pairwise(numbers_held))
        assert breaks <= 1
    worker.release()
    assert list(range(50)) == numbers(fetch(engine, 50))


def test_long_tasks_are_given_and_told_of_in_batches(engine, worker, monkeypatch):
    """Each message wakes threads, which take turns at the lock with those that work."""
    given, told = [], []
    tell, unpack = processes._tell, messages.unpack

    def count_given(child, kind, *content):
        given.append(kind)
        tell(child, kind, *content)

    def count_told(message):
        kind, *content = unpack(message)
        told.append(kind)
        return kind, *content

    monkeypatch.setattr(processes, "LEAD", 0)
    monkeypatch.setattr(processes, "_tell", count_given)
    monkeypatch.setattr(messages, "unpack", count_told)
    engine.submit(large(400, size=1 << 20))
    wait_until(lambda: worker.count("begun") == JOBS)
    worker.release()

    assert list(range(400)) == numbers(fetch(engine, 400))
    assert 0 < given.count(messages.FILES) < 100
    assert told.count(messages.OUTCOMES) < 100


def test_long_tasks_that_no_child_was_given_come_back_as_well(
    engine, crew, worker, warnings, monkeypatch
):
    """When all children are dead they are done here."""
    monkeypatch.setattr(processes, "LEAD", 0)
    engine.submit(large(40))
    wait_until(lambda: worker.count("begun") == JOBS)
    for child in crew.call():
        os.kill(child.pid, signal.SIGKILL)
    while len(warnings) < 2:
        engine.wait()
    worker.release()

    assert list(range(40)) == numbers(fetch(engine, 40))


def test_few_larger_objects_need_no_child_either(engine, monkeypatch):
    """Each counts once for 64 KiB; then children are called."""
    monkeypatch.setattr(processes, "LEAD", 256)
    engine.submit(large(1))
    before = children()

    engine.submit(large(2)[1:])

    assert [] == before
    assert 2 == len(children())


def test_a_child_that_was_killed_does_not_hold_up_the_flush(engine, crew, worker, monkeypatch):
    """Nor is its work called durable: everything is synced."""
    monkeypatch.setattr(processes, "LEAD", 0)
    synced = []
    monkeypatch.setattr(processes.os, "sync", lambda: synced.append(True))
    engine.submit(tasks("do", 20))
    fetch(engine, 20)
    os.kill(crew.call()[0].pid, signal.SIGKILL)

    engine.flush()

    assert [True] == synced
    assert 2 == worker.count("flushed")


def test_signals_of_the_terminal_are_the_parents(engine, crew, worker, monkeypatch):
    """What a terminal or a service manager sends to all is not what ends a child."""
    monkeypatch.setattr(processes, "LEAD", 0)
    engine.submit(tasks("hang", 4))
    wait_until(lambda: worker.count("begun") == JOBS)
    for child in crew.call():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(child.pid, number)
    worker.release()

    assert [0, 1, 2, 3] == numbers(fetch(engine, 4))


def test_children_are_gone_when_the_crew_is_left(worker):
    """Those that were never given anything, and those that hang."""
    with Crew(
        lambda there: fork(lambda pipe: serve(pipe, lambda _warn: worker), there),
        3, Width(2, 2), takes_parts=False,
    ) as crew:  # fmt: skip
        crew.call()
        outcomes = SimpleQueue()
        engine = Processes(LocalEngine(worker, Width(2, 2), outcomes), outcomes, crew, print)
        processes_before = children()
        engine.submit(tasks("hang", processes.LEAD + 20))
        engine.abandon()
        engine.close()

    worker.release()
    assert 3 == len(processes_before)
    assert [] == children()


_PARENT = """
import os, sys, time
from osssync.engines.child import fork, serve
from tests.engines.scripted_worker import ScriptedWorker, tasks
from osssync.engines import messages
from pathlib import Path
worker = ScriptedWorker(Path(sys.argv[1]))
made = []
for _ in range(3):
    made.append(fork(lambda pipe: serve(pipe, lambda warn: worker), made))
packed = messages.pack_files(0, tasks("hang", 2))
for child in made[:2]:
    child.pipe.send_bytes(messages.pack(messages.WIDTH, 2, 2))
    child.pipe.send_bytes(messages.pack(messages.FILES, packed))
while worker.count("begun") < 4:
    time.sleep(0.01)
print(*(child.pid for child in made), flush=True)
os.kill(os.getpid(), 9)
"""


def test_children_end_with_their_parent(tmp_path):
    """A kill -9 of the parent leaves none behind, busy or idle."""
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE, check=False
    )

    pids = [int(word) for word in done.stdout.split()]
    assert (-signal.SIGKILL, 3) == (done.returncode, len(pids))
    wait_until(lambda: not any(is_there(pid) for pid in pids))


def test_a_child_can_be_begun_anew():
    """Where a fork would not be sound: another interpreter, the same pipe."""
    child = spawn("tests.engines.test_processes:answer")

    child.pipe.send_bytes(b"who")
    answer = child.pipe.recv_bytes()

    assert str(child.pid).encode() == answer
    child.end()
    assert child.end() in (0, -signal.SIGKILL)


def answer(descriptor):
    """What the child of the test above does."""
    pipe = Pipe.of(descriptor)
    if pipe.recv_bytes() == b"who":
        pipe.send_bytes(str(os.getpid()).encode())


@pytest.mark.parametrize(
    ("jobs", "processes", "count"), [(1, 4, 0), (3, 8, 3), (8, 2, 2), (8, 1, 0)]
)
def test_children_are_not_more_than_requests_allowed_at_once(
    options, tmp_path, jobs, processes, count
):
    """--jobs is a promise to the service, whatever --processes says; one process is this one."""
    settings = TransferSettings(jobs=jobs, processes=processes)
    job = Job(
        OssAddress("bucket", ""),
        LocalAddress(str(tmp_path)),
        recursive=True,
        options=replace(options, transfer=settings),
    )

    with recruit(job, PartNames()) as crew:
        assert count == crew.count
        assert jobs >= crew.count * crew.width.long


SMALL, MEDIUM, LARGE = 1 << 12, 1 << 20, 1 << 24


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([], 0),
        ([SMALL] * (LEAD - 1), 0),
        ([SMALL] * (LEAD + 1), 2),
        ([MEDIUM] * (LEAD * LEAD_BYTES // MEDIUM), 0),
        ([MEDIUM] * (LEAD * LEAD_BYTES // MEDIUM + 1), 2),
        ([LARGE] * 20, 0),
        ([SMALL] * (LEAD - 21) + [LARGE] * 20, 0),
    ],
)
def test_an_upload_that_children_would_get_nothing_of_has_none(
    options, tmp_path, monkeypatch, sizes, count
):
    """As much as would stay here anyway, and what is cut into parts. A folder is one name more."""
    monkeypatch.setattr("osssync.workforce.usable", lambda: {0, 1})
    (tmp_path / "folder").mkdir()
    for number, size in enumerate(sizes[1:]):
        with (tmp_path / "folder" / str(number)).open("wb") as file:
            file.truncate(size)
    if sizes:
        with (tmp_path / "first").open("wb") as file:
            file.truncate(sizes[0])
    job = Job(
        LocalAddress(str(tmp_path)), OssAddress("bucket", ""), recursive=True, options=options
    )

    with recruit(job, PartNames()) as crew:
        assert count == crew.count
