"""What an earlier run began: what is proven is not sent again, nothing is left by chance."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from msgspec.structs import replace as changed

from osssync.config import TransferSettings
from osssync.model import (
    ByteRange,
    Direction,
    Entry,
    EntryKind,
    Failure,
    Outcome,
    PartReceipt,
    Pinned,
    Step,
    Task,
    Unfinished,
)
from osssync.planning.assembly import Assembly
from osssync.planning.split import clean_up_task, first_task, fresh_step, part_size_of

PART = 100 * 1024
ENTRY = Entry("key", 3 * PART + 5, 7, etag='"A"')
PINNED = Pinned("id", ENTRY.size, etag='"A"')
BROKEN = Failure("NetworkError", "cut off", 3)
STOPPED = Failure("InterruptedRunError", "interrupted", 5)
SETTINGS = TransferSettings(jobs=4, part_size=PART, bigfile_threshold=PART)


def receipt(number, size=ENTRY.size, part_size=PART):
    """The receipt of a part as it is cut."""
    start = (number - 1) * part_size
    return PartReceipt(number, ByteRange(start, min(start + part_size, size)), number, f"e{number}")


def unfinished(*numbers, **changes):
    """What the journal remembers, with the receipts of some parts."""
    receipts = tuple(receipt(number) for number in numbers)
    return changed(Unfinished("target", ENTRY, PINNED, PART, receipts), **changes)


def begin(remembered, entry=ENTRY, transfer=SETTINGS, direction=Direction.DOWNLOAD):
    """The assembly as the runner makes it."""
    task = first_task(1, entry, "target", direction, transfer, remembered)
    return Assembly(
        task, part_size_of(entry, direction, transfer), fresh_step(entry, direction, transfer)
    )


def drain(assembly):
    """All tasks that can be submitted now."""
    tasks = []
    while (task := assembly.ready(100)) is not None:
        tasks.append(task)
    return tasks


def done(task):
    """The outcome of a part that arrived."""
    return Outcome(task, receipt=receipt(task.part_number), moved_bytes=len(task.byte_range))


def resumed(*numbers):
    """An assembly whose RESUME has proven some parts."""
    assembly = begin(unfinished(1, 2, 3, 4))
    (task,) = drain(assembly)
    proven = tuple(receipt(number) for number in numbers)
    assembly.feed(Outcome(task, pinned=PINNED, receipts=proven))
    return assembly


def test_what_the_journal_remembers_goes_to_a_worker_first():
    """RESUME carries version and receipts; nothing else is sent until it is back."""
    assembly = begin(unfinished(1, 3))

    (task,) = drain(assembly)

    assert (Step.RESUME, PINNED) == (task.step, task.pinned)
    assert (receipt(1), receipt(3)) == task.receipts
    assert assembly.left_behind


def test_only_what_is_not_proven_is_sent():
    """Then FINISH gets every part in order, the proven ones too; moved counts this run's alone."""
    assembly = resumed(3, 1)

    parts = drain(assembly)
    for task in parts:
        assembly.feed(done(task))
    (finish,) = drain(assembly)
    assembly.feed(Outcome(finish))

    assert [2, 4] == [task.part_number for task in parts]
    assert [()] * 2 == [task.receipts for task in parts]
    assert tuple(receipt(number) for number in (1, 2, 3, 4)) == finish.receipts
    assert (None, PART + 5) == (assembly.outcome.failure, assembly.outcome.moved_bytes)
    assert not assembly.left_behind


def test_if_everything_is_proven_it_is_finished_at_once():
    """Killed between the last part and the end, or the answer to a Complete was lost."""
    assembly = resumed(1, 2, 3, 4)

    (task,) = drain(assembly)

    assert (Step.FINISH, PINNED) == (task.step, task.pinned)
    assert 4 == len(task.receipts)


@pytest.mark.parametrize(
    "strange",
    [
        receipt(1, part_size=PART // 2),
        changed(receipt(2), number=1),
        changed(receipt(1), number=0),
        changed(receipt(1), number=5),
        PartReceipt(4, ByteRange(3 * PART, 4 * PART), 1),
    ],
)
def test_a_proven_part_that_is_cut_otherwise_does_not_count(strange):
    """It would leave a gap, or lie twice in the object."""
    assembly = begin(unfinished())
    (task,) = drain(assembly)

    assembly.feed(Outcome(task, pinned=PINNED, receipts=(strange,)))

    assert [1, 2, 3, 4] == [task.part_number for task in drain(assembly)]


@pytest.mark.parametrize(("size", "step"), [(ENTRY.size, Step.START), (5, Step.WHOLE)])
def test_if_nothing_can_be_gone_on_with_it_begins_afresh(size, step):
    """As if nothing had been there, in one request if the object is small by now."""
    assembly = begin(unfinished(1, 2), entry=changed(ENTRY, size=size))
    (task,) = drain(assembly)

    assembly.feed(Outcome(task))
    (afresh,) = drain(assembly)

    assert Task(1, step, changed(ENTRY, size=size), "target") == afresh
    assert not assembly.left_behind


def test_a_resume_that_fails_leaves_everything_for_another_day():
    """OSS could not be asked: nothing is known, so nothing is aborted."""
    assembly = begin(unfinished(1))
    (task,) = drain(assembly)

    assembly.feed(Outcome(task, failure=BROKEN))

    assert BROKEN == assembly.outcome.failure
    assert [] == drain(assembly)
    assert assembly.left_behind


def test_without_a_record_an_object_begins_as_ever():
    """And leaves nothing behind when it is whole or never began."""
    small, large = changed(ENTRY, size=5), ENTRY

    assert Step.WHOLE is first_task(1, small, "t", Direction.DOWNLOAD, SETTINGS).step
    assert Step.START is first_task(1, large, "t", Direction.DOWNLOAD, SETTINGS).step
    assert not begin(None).left_behind


@pytest.mark.parametrize(
    ("entry", "transfer"),
    [
        (changed(ENTRY, etag='"B"'), SETTINGS),
        (changed(ENTRY, size=ENTRY.size + 1), SETTINGS),
        (changed(ENTRY, mtime_ns=8), SETTINGS),
        (ENTRY, replace(SETTINGS, part_size=2 * PART)),
        (changed(ENTRY, kind=EntryKind.DIRECTORY, size=0), SETTINGS),
    ],
)
def test_receipts_count_only_for_the_same_version_cut_the_same_way(entry, transfer):
    """RESUME is still sent, so that what is there is put away or used without them."""
    task = first_task(1, entry, "target", Direction.DOWNLOAD, transfer, unfinished(1, 2))

    assert (Step.RESUME, PINNED, ()) == (task.step, task.pinned, task.receipts)


def test_an_object_that_is_kept_sends_nothing_more():
    """Its parts in flight come home; then it ends as stopped, and all of it is still there."""
    assembly = resumed(1)
    first, second, third = drain(assembly)
    assembly.feed(done(first))

    assembly.stop(STOPPED, keep=True)
    assembly.feed(done(second))
    assert assembly.outcome is None
    assembly.feed(Outcome(third, failure=BROKEN))

    assert [] == drain(assembly)
    assert BROKEN == assembly.outcome.failure
    assert assembly.left_behind


def test_an_object_whose_end_is_under_way_still_arrives_when_it_is_kept():
    """FINISH cannot be taken back; its success is a success."""
    assembly = resumed(1, 2, 3, 4)
    (finish,) = drain(assembly)

    assembly.stop(STOPPED, keep=True)
    assembly.feed(Outcome(finish))

    assert assembly.outcome.failure is None
    assert not assembly.left_behind


def test_an_abort_that_was_not_sent_yet_is_not_sent_when_it_is_kept():
    """The failure that ends a run is often the first of one object: the disk is full."""
    assembly = resumed(1, 2, 3)
    (task,) = drain(assembly)
    assembly.feed(Outcome(task, failure=BROKEN))

    assembly.stop(STOPPED, keep=True)

    assert [] == drain(assembly)
    assert BROKEN == assembly.outcome.failure
    assert assembly.left_behind


def test_without_keep_a_resumed_object_is_put_away():
    """As one that was begun in this run."""
    assembly = resumed(1)

    assembly.stop(STOPPED)
    (task,) = drain(assembly)
    assembly.feed(Outcome(task))

    assert (Step.ABORT, PINNED, ()) == (task.step, task.pinned, task.receipts)
    assert STOPPED == assembly.outcome.failure
    assert not assembly.left_behind


@pytest.mark.parametrize("failure", [None, BROKEN])
def test_what_is_not_wanted_any_more_is_put_away_by_one_task(failure):
    """Its object vanished from the source; if that fails, it is there for the next time."""
    task = clean_up_task(9, unfinished(1))
    assembly = Assembly(task, PART)

    assert [task] == drain(assembly)
    assembly.feed(Outcome(task, failure=failure))

    assert (Step.ABORT, PINNED, 9) == (task.step, task.pinned, task.object_number)
    assert failure == assembly.outcome.failure
    assert assembly.left_behind == (failure is not None)


class World:
    """Random workers: answers tasks in any order, and knows what stands at the destination."""

    def __init__(self, source, has_left):
        self.source = source
        self.exists = has_left  # a part file or an upload
        self.arrived = False
        self.sent = []
        self.in_flight = []

    def submit(self, task):
        self.sent.append(task)
        if task.step in (Step.ABORT, Step.FINISH, Step.START, Step.RESUME, Step.WHOLE):
            assert [] == self.in_flight
        self.in_flight.append(task)

    def answer(self):
        task = self.in_flight.pop(self.source.randrange(len(self.in_flight)))
        if self.source.random() < 0.12:
            return Outcome(task, failure=BROKEN)
        match task.step:
            case Step.START:
                self.exists = True
                return Outcome(task, pinned=PINNED)
            case Step.RESUME if self.source.random() < 0.3:
                self.exists = False
                return Outcome(task)
            case Step.RESUME:
                proven = tuple(one for one in task.receipts if self.source.random() < 0.7)
                return Outcome(task, pinned=PINNED, receipts=proven)
            case Step.PART:
                return done(task)
            case Step.ABORT:
                self.exists = False
            case _:
                self.exists, self.arrived = False, True
        return Outcome(task)


@settings(max_examples=400, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_happens_the_end_is_known(source):
    """Random failures, orders and stops, resumed or not.

    It ends once; it arrived exactly if it says so, with every part once; ``left_behind`` tells
    whether something is there; nothing is sent after it was stopped to be kept.
    """
    remembered = unfinished(*(n for n in (1, 2, 3, 4) if source.random() < 0.5))
    assembly = begin(remembered if source.random() < 0.7 else None)
    world = World(source, has_left=assembly.first.step is Step.RESUME)
    parallel = source.randrange(1, 5)
    stop_after = source.randrange(0, 16)
    keep = source.random() < 0.5
    kept_at = None

    for turn in range(100):
        while (task := assembly.ready(parallel)) is not None:
            world.submit(task)
        assert len(world.in_flight) <= parallel
        if turn == stop_after and assembly.outcome is None:
            assembly.stop(STOPPED, keep=keep)
            kept_at = len(world.sent) if keep else None
        elif world.in_flight:
            assembly.feed(world.answer())
        if assembly.outcome is not None and not world.in_flight:
            break

    outcome = assembly.outcome
    assert outcome is not None
    assert assembly.ready(parallel) is None
    assert (outcome.failure is None) == world.arrived
    assert assembly.left_behind == world.exists
    assert kept_at in (None, len(world.sent))
    numbers = [task.part_number for task in world.sent if task.step is Step.PART]
    assert len(set(numbers)) == len(numbers)
    if world.arrived:
        (finish,) = [task for task in world.sent if task.step is Step.FINISH]
        assert tuple(receipt(number) for number in (1, 2, 3, 4)) == finish.receipts
