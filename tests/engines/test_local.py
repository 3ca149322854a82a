"""What is particular to the engine of one process: who does what, and how many there are."""

import threading
from contextlib import closing

import pytest

from osssync.engines.local import LocalEngine
from osssync.model import Step, Width
from tests.engines.scripted_worker import ScriptedWorker, fetch, tasks
from tests.faults.programs import wait_until

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def worker(tmp_path):
    return ScriptedWorker(tmp_path)


def ours():
    """Our threads that are there now."""
    return sorted(one.name for one in threading.enumerate() if one.name.startswith("osssync"))


def test_an_engine_without_work_has_no_thread(worker):
    """Neither for fibers nor for parts."""
    with closing(LocalEngine(worker, Width(8, 8))):
        assert [] == ours()


def test_brief_tasks_share_one_thread(worker):
    """However many wait at once."""
    with closing(LocalEngine(worker, Width(200, 200))) as engine:
        engine.submit(tasks("hang", 200))
        wait_until(lambda: worker.count("begun") == 200)
        during = ours()
        worker.release()
        outcomes = fetch(engine, 200)

    assert ["osssync-fibers"] == during
    assert {"osssync-fibers"} == {one.note for one in outcomes}


def test_parts_have_threads_of_their_own_no_more_than_are_needed(worker):
    """One task starts one; many start as many as there are jobs."""
    with closing(LocalEngine(worker, Width(3, 3))) as engine:
        engine.submit(tasks("do", 1, Step.PART))
        one = fetch(engine, 1)
        after_one = ours()
        engine.submit(tasks("nap", 50, Step.PART, first=1))
        many = fetch(engine, 50)
        after_many = ours()

    assert ["osssync-worker-0"] == after_one
    assert [f"osssync-worker-{n}" for n in range(3)] == after_many
    assert {one.note for one in [*one, *many]} <= set(after_many)


def test_both_sorts_run_side_by_side(worker):
    """Small objects do not wait for parts, nor parts for small objects."""
    with closing(LocalEngine(worker, Width(2, 2))) as engine:
        engine.submit([*tasks("hang", 2), *tasks("hang", 2, Step.PART, first=2)])
        wait_until(lambda: worker.count("begun") == 4)
        worker.release()

        assert 4 == len(fetch(engine, 4))


def test_engines_of_one_process_do_not_mix(tmp_path):
    """Two runs at once, as programs that import us may have them."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    workers = [ScriptedWorker(tmp_path / name) for name in "ab"]
    with (
        closing(LocalEngine(workers[0], Width(2, 2))) as one,
        closing(LocalEngine(workers[1], Width(2, 2))) as other,
    ):
        one.submit(tasks("hang", 2))
        other.submit(tasks("nap", 20, first=100))
        outcomes = fetch(other, 20)
        workers[0].release()

        assert {100 + n for n in range(20)} == {each.task.object_number for each in outcomes}
        assert {0, 1} == {each.task.object_number for each in fetch(one, 2)}
