"""What the runner relies on, whatever the engine: ``osssync.engines.engine`` says it in words."""

import contextlib
import threading
import time
from queue import SimpleQueue

import pytest

from osssync.engines.child import Crew, fork, serve
from osssync.engines.local import LocalEngine
from osssync.engines.processes import Processes
from osssync.errors import LocalFileError
from osssync.model import Step, Width
from tests.engines.scripted_worker import (
    STOPPED,
    Catastrophe,
    ScriptedWorker,
    mixed,
    numbers,
    tasks,
)
from tests.faults.programs import wait_until

JOBS = 4
LONG_S = 20.0  # never reached; who waits so long has hung

pytestmark = pytest.mark.timeout(30)


def local(worker, _monkeypatch):
    """Fibers and threads."""
    return LocalEngine(worker, Width(JOBS, JOBS))


def threads_only(worker, monkeypatch):
    """As where a system has no epoll."""
    monkeypatch.setattr("osssync.fibers.AVAILABLE", False)
    return LocalEngine(worker, Width(JOBS, JOBS))


def processes(worker, monkeypatch):
    """Two children that do what they can, from the first task on."""
    monkeypatch.setattr("osssync.engines.processes.LEAD", 0)

    def make(there):
        return fork(lambda pipe: serve(pipe, lambda _warn: worker), there)

    crew = Crew(make, 2, Width(JOBS // 2, JOBS // 2), takes_parts=True)
    outcomes = SimpleQueue()
    return Processes(LocalEngine(worker, Width(JOBS, JOBS), outcomes), outcomes, crew, print)


KINDS = [local, threads_only, processes]


@pytest.fixture(autouse=True)
def _looks_around_often(monkeypatch):
    monkeypatch.setattr("osssync.engines.local.LOOK_AROUND_S", 0.05)


@pytest.fixture
def worker(tmp_path):
    return ScriptedWorker(tmp_path)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def engine(request, worker, monkeypatch):
    """One of each kind; closed once, by the test or after it, whatever is left running."""
    made = request.param(worker, monkeypatch)
    yield made
    worker.release()
    if not worker.count("closed"):
        made.close()


def fetch_all(engine):
    """Every outcome there is to come."""
    outcomes, until_s = [], time.monotonic() + LONG_S
    while engine.outstanding:
        assert time.monotonic() < until_s, f"{engine.outstanding} tasks never came back"
        outcomes += engine.wait()
    return outcomes


def test_every_task_comes_back_once_and_as_it_was(engine):
    """In whatever order, however many at once: with what its worker has made of it."""
    submitted = mixed("do", 1000)
    engine.submit(submitted)
    before = engine.outstanding

    outcomes = fetch_all(engine)

    assert (1000, 0) == (before, engine.outstanding)
    assert submitted == sorted((one.task for one in outcomes), key=lambda one: one.object_number)
    assert all(one.moved_bytes == one.task.entry.size and one.note for one in outcomes)


def test_tasks_may_follow_outcomes_as_the_runner_has_it(engine):
    """Never more than the capacity at once; each outcome makes room for the next task."""
    left = mixed("nap", 300)
    outcomes = []

    while left or engine.outstanding:
        room = engine.capacity - engine.outstanding
        engine.submit(left[:room])
        left = left[room:]
        assert engine.outstanding <= engine.capacity
        outcomes += engine.wait()

    assert list(range(300)) == numbers(outcomes)


def test_an_engine_that_has_come_to_rest_begins_again(engine):
    """Nothing is lost between the last look for work and the wait for it."""
    outcomes = []

    for number in range(200):
        engine.submit(tasks("do", 1, Step.PART if number % 5 == 0 else Step.WHOLE, first=number))
        outcomes += fetch_all(engine)

    assert list(range(200)) == numbers(outcomes)


def test_it_has_room_for_more_than_it_runs(engine):
    """So that nobody waits for the runner."""
    assert engine.capacity > JOBS
    assert 0 == engine.outstanding


def test_no_task_is_no_work(engine):
    """An empty batch changes nothing."""
    engine.submit([])

    assert 0 == engine.outstanding
    assert [] == list(engine.wait())


def test_waiting_for_nothing_is_soon_over(engine, worker):
    """The runner has to look around, also while every task hangs."""
    engine.submit(mixed("hang", 6))
    wait_until(lambda: worker.count("begun") >= JOBS)
    begun_s = time.monotonic()

    outcomes = engine.wait()

    assert ([], 6) == (list(outcomes), engine.outstanding)
    assert time.monotonic() - begun_s < LONG_S / 4


def test_as_many_run_at_once_as_there_are_jobs(engine, worker):
    """Of each sort: those that wait keep no other one from its turn but by their number."""
    engine.submit(tasks("hang", 3 * JOBS))
    wait_until(lambda: worker.count("begun") == JOBS)
    engine.wait()
    most = worker.count("begun")

    worker.release()

    assert list(range(3 * JOBS)) == numbers(fetch_all(engine))
    assert JOBS == most


def test_what_waits_is_not_in_the_way_of_what_does_not(engine, worker):
    """All but one place taken, the rest is done in that one."""
    hanging = 1 if isinstance(engine, Processes) else JOBS - 1  # children share no queue
    engine.submit(tasks("hang", hanging))
    wait_until(lambda: worker.count("begun") == hanging)
    engine.submit(tasks("do", 50, first=100))
    outcomes = []
    while len(outcomes) < 50:
        outcomes += engine.wait()

    assert list(range(100, 150)) == numbers(outcomes)
    assert hanging == engine.outstanding


def test_stop_brings_back_those_who_wait_as_failures(engine, worker):
    """All of them, the queued ones too, and each once."""
    submitted = mixed("wait", 3 * JOBS)
    engine.submit(submitted)
    wait_until(lambda: worker.count("begun") >= JOBS)

    engine.stop()
    outcomes = fetch_all(engine)

    assert list(range(3 * JOBS)) == numbers(outcomes)
    assert {STOPPED} == {one.failure for one in outcomes}


def test_what_is_concluded_after_a_stop_is_done(engine):
    """FINISH and ABORT still come, and their outcomes too."""
    engine.stop()

    engine.submit(tasks("do", 3, Step.FINISH))

    assert [None] * 3 == [one.failure for one in fetch_all(engine)]


def test_flush_reaches_every_worker_and_its_failure_us(engine, worker):
    """Also before the first task, and again after a failure."""
    engine.flush()
    first = worker.count("flushed")
    engine.submit(mixed("do", 10))
    fetch_all(engine)

    worker.fill_disk()
    with pytest.raises(LocalFileError, match="the disk is full"):
        engine.flush()

    assert first >= 1


def test_effort_is_that_of_the_workers(engine):
    """Credential sets replaced, above all."""
    engine.submit(mixed("do", 10))
    fetch_all(engine)

    counted = engine.effort.rotations if hasattr(engine, "effort") else engine.rotations
    assert ScriptedWorker.rotations == counted


def test_close_waits_for_what_runs_and_drops_what_is_queued(engine, worker):
    """Then the worker is closed, and no thread of ours is left."""
    engine.submit(mixed("hang", 8 * JOBS))
    wait_until(lambda: worker.count("begun") >= JOBS)
    threading.Timer(0.1, worker.release).start()

    engine.close()

    begun = worker.count("begun")
    assert 1 <= worker.count("closed")
    assert begun < 8 * JOBS
    assert [] == [one.name for one in threading.enumerate() if one.name.startswith("osssync")]


def test_an_engine_that_did_nothing_closes(engine, worker):
    """A run may end before its first task."""
    engine.close()

    assert 1 == worker.count("closed")


def test_an_abandoned_engine_closes_though_a_task_hangs(engine, worker):
    """Its outcome is lost; everything that can end does."""
    engine.submit([*tasks("hang", 1), *tasks("hang", 1, Step.PART)])
    wait_until(lambda: worker.count("begun") == 2)
    begun_s = time.monotonic()

    engine.abandon()
    engine.close()

    assert time.monotonic() - begun_s < LONG_S / 4
    assert 1 <= worker.count("closed")
    worker.release()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("osssync")])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("step", [Step.WHOLE, Step.PART])
def test_a_worker_that_raises_is_not_a_hang(engine, step):
    """It must not. If it does, the runner hears of it, or every task comes back all the same."""
    engine.submit(tasks("do", 5, step))
    engine.submit(tasks("break", 1, step, first=5))
    engine.submit(tasks("do", 5, step, first=6))

    with contextlib.suppress(Catastrophe):
        assert list(range(11)) == numbers(fetch_all(engine))
