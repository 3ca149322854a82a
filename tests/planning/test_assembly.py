"""Large objects step by step: whatever fails, in whatever order, every object ends exactly once."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from osssync.model import Entry, Failure, Outcome, PartReceipt, Pinned, Step, Task
from osssync.planning.assembly import Assembly
from osssync.ranges import cut

PART = 100
BROKEN = Failure("NetworkError", "cut off", 3)
STOPPED = Failure("InterruptedRunError", "the run ended early", 5)
NEWER = Entry("key", 7, 8)


def begin(size=3 * PART + 5, step=Step.START):
    """An object at its beginning."""
    return Assembly(Task(1, step, Entry("key", size, 7), "target"), PART)


def succeed(task):
    """The outcome of a task that went well."""
    match task.step:
        case Step.START:
            return Outcome(task, pinned=Pinned("id", task.entry.size))
        case Step.PART:
            receipt = PartReceipt(task.part_number, task.byte_range, task.part_number)
            return Outcome(task, receipt=receipt, moved_bytes=len(task.byte_range))
        case Step.WHOLE:
            return Outcome(task, moved_bytes=task.entry.size)
        case _:
            return Outcome(task)


def fail(task, failure=BROKEN, restart=None):
    """The outcome of a task that did not."""
    return Outcome(task, failure=failure, restart=restart)


def drain(assembly, parallel=100):
    """All tasks that can be submitted now."""
    tasks = []
    while (task := assembly.ready(parallel)) is not None:
        tasks.append(task)
    return tasks


def started(size=3 * PART + 5):
    """An object whose START went well."""
    assembly = begin(size)
    (task,) = drain(assembly)
    assembly.feed(succeed(task))
    return assembly


class Simulation:
    """A runner with one object and a world that Hypothesis controls; remembers all it saw."""

    def __init__(self, data, assembly, parallel):
        self._data = data
        self._assembly = assembly
        self._parallel = parallel
        self._flying = []
        self._stop_at = data.draw(st.none() | st.integers(0, 12), "stop after so many outcomes")
        self._keep = data.draw(st.booleans(), "keep what is there")
        self.tasks = []
        self.failed = []
        self.fed = 0
        self.ends = 0
        self.stopped = False

    def go(self):
        """Until nothing is in flight and nothing can be submitted."""
        while True:
            over = self._assembly.outcome is not None
            if self.fed == self._stop_at and not self.stopped and not over:
                self.stopped = True
                self._assembly.stop(STOPPED, keep=self._keep)
                self.ends += self._assembly.outcome is not None
            self._submit()
            if not self._flying:
                return self._assembly.outcome
            self._answer()

    def _submit(self):
        room = self._data.draw(st.integers(0 if self._flying else 1, 4), "tasks submitted at once")
        for _ in range(room):
            task = self._assembly.ready(self._parallel)
            if task is None:
                return
            assert self._assembly.outcome is None, "a task of an object that is over"
            self.tasks.append(task)
            self._flying.append(task)
            assert len(self._flying) <= self._parallel

    def _answer(self):
        index = self._data.draw(st.integers(0, len(self._flying) - 1), "which comes home")
        task = self._flying.pop(index)
        fails = self._data.draw(st.integers(0, 9), "fate") == 0
        outcome = fail(task) if fails else succeed(task)
        if fails:
            self.failed.append(task)
        before = self._assembly.outcome
        self._assembly.feed(outcome)
        self.fed += 1
        self.ends += before is None and self._assembly.outcome is not None


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 8 * PART), st.integers(1, 6))
def test_every_object_ends_once_and_leaves_nothing_by_chance(data, size, parallel):
    """Random outcomes in random order, stopped at a random moment: the laws of an object hold."""
    step = data.draw(st.sampled_from([Step.START, Step.WHOLE]))
    simulation = Simulation(data, begin(size, step), parallel)

    outcome = simulation.go()

    steps = [task.step for task in simulation.tasks]
    parts = [task for task in simulation.tasks if task.step is Step.PART]
    assert 1 == simulation.ends
    assert outcome.task.step is step
    assert len({task.part_number for task in parts}) == len(parts), "a part was sent twice"
    assert all(steps.count(one) <= 1 for one in (Step.START, Step.WHOLE, Step.FINISH, Step.ABORT))
    if outcome.failure is None:
        finish = simulation.tasks[-1]
        assert size == outcome.moved_bytes
        if step is Step.START:
            assert tuple(cut(size, PART)) == tuple(one.byte_range for one in finish.receipts)
            assert list(range(1, len(parts) + 1)) == [one.number for one in finish.receipts]
        return
    assert simulation.failed or simulation.stopped
    is_there = Step.START in steps and simulation.tasks[0] not in simulation.failed
    kept = simulation.stopped and simulation._keep
    if is_there and not kept:
        assert Step.ABORT is steps[-1], "what was begun was not put away"


@given(st.integers(1, 30 * PART), st.integers(1, 40))
def test_parts_are_the_object_cut_in_order_and_lazily(size, parallel):
    """Parts come in order, cover every byte once, and no more than ``parallel`` at a time."""
    assembly = started(size)
    seen = []
    while tasks := drain(assembly, parallel):
        assert len(tasks) <= parallel
        seen += tasks
        for task in tasks:
            assembly.feed(succeed(task))

    *parts, finish = seen

    assert [(n, r) for n, r in enumerate(cut(size, PART), 1)] == [
        (task.part_number, task.byte_range) for task in parts
    ]
    assert (Step.FINISH, None) == (finish.step, assembly.outcome.failure)


def test_finish_waits_for_the_last_part():
    """While one part is out there is no FINISH; its receipts are in order, however they came."""
    assembly = started()
    tasks = drain(assembly)
    for task in reversed(tasks[:-1]):
        assembly.feed(succeed(task))
    early = drain(assembly)
    assembly.feed(succeed(tasks[-1]))

    (finish,) = drain(assembly)

    assert [] == early
    assert [1, 2, 3, 4] == [receipt.number for receipt in finish.receipts]


def test_a_failed_part_waits_for_the_others_before_abort():
    """A part that fails stops new ones; ABORT comes only when all that are out are home."""
    assembly = started()
    one, two = assembly.ready(2), assembly.ready(2)

    assembly.feed(fail(one))
    meanwhile = drain(assembly)
    assembly.feed(succeed(two))
    (abort,) = drain(assembly)
    assembly.feed(succeed(abort))

    assert ([], Step.ABORT) == (meanwhile, abort.step)
    assert BROKEN == assembly.outcome.failure


def test_the_first_failure_is_the_one_reported():
    """Later failures, those of being stopped among them, do not hide what went wrong first."""
    assembly = started()
    one, two = assembly.ready(2), assembly.ready(2)
    assembly.feed(fail(one))
    assembly.feed(fail(two, changed(BROKEN, message="later")))
    assembly.stop(STOPPED)

    (abort,) = drain(assembly)
    assembly.feed(succeed(abort))

    assert "cut off" == assembly.outcome.failure.message


def test_an_own_failure_says_more_than_the_reason_of_a_stop():
    """Stopped while a part is out: if that part then fails, it is the part's reason that counts."""
    assembly = started()
    part = assembly.ready(1)
    assembly.stop(STOPPED)
    assembly.feed(fail(part))

    (abort,) = drain(assembly)
    assembly.feed(succeed(abort))

    assert BROKEN == assembly.outcome.failure


def test_an_object_stopped_before_it_began_needs_no_abort():
    """Nothing was submitted, so nothing is put away."""
    assembly = begin()

    assembly.stop(STOPPED)

    assert (STOPPED, []) == (assembly.outcome.failure, drain(assembly))


def test_what_finishes_despite_a_stop_has_succeeded():
    """A WHOLE or FINISH that was out when the run ended and arrived is transferred."""
    for assembly in (begin(5, Step.WHOLE), started(5)):
        while (task := assembly.ready(1)).step not in (Step.WHOLE, Step.FINISH):
            assembly.feed(succeed(task))
        assembly.stop(STOPPED)
        assembly.feed(succeed(task))

        assert (None, 5) == (assembly.outcome.failure, assembly.outcome.moved_bytes)


def test_an_abort_that_fails_is_said():
    """What stays behind (and is billed) stands in the message, with the reason of both failures."""
    assembly = started()
    assembly.feed(fail(assembly.ready(1)))

    assembly.feed(fail(assembly.ready(1), Failure("AccessDeniedError", "no permission", 7)))

    message = assembly.outcome.failure.message
    assert ("NetworkError", 3) == (
        assembly.outcome.failure.error,
        assembly.outcome.failure.exit_code,
    )
    assert "cut off; what was begun stays behind: no permission" == message
    assert assembly.left_behind


def test_a_changed_source_is_put_away_before_it_begins_again():
    """The entry to begin again with is known only after the ABORT."""
    assembly = started()
    assembly.feed(fail(assembly.ready(1), restart=NEWER))
    early = assembly.outcome

    assembly.feed(succeed(assembly.ready(1)))

    assert (None, NEWER) == (early, assembly.outcome.restart)


def test_retries_and_bytes_of_all_steps_are_summed():
    """The object's outcome holds the sums over START, parts and FINISH."""
    assembly = begin()
    while assembly.outcome is None:
        assembly.feed(changed(succeed(assembly.ready(1)), retries=2))

    assert (305, 2 * 6) == (assembly.outcome.moved_bytes, assembly.outcome.retries)
