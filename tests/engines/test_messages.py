"""What processes tell each other arrives as it was."""

import pytest

from osssync.engines import messages
from osssync.model import (
    ByteRange,
    Effort,
    Entry,
    EntryKind,
    Failure,
    Outcome,
    PartReceipt,
    Pinned,
    Step,
    Task,
)

FILES = [
    Task(0, Step.WHOLE, Entry("a", 1, 2), "a"),
    Task(0, Step.WHOLE, Entry("d/", 0, 3, EntryKind.DIRECTORY), "d/"),
    Task(0, Step.WHOLE, Entry("b\udcff", 1 << 40, -1, etag='"e"', storage_class="IA"), "below/b"),
    Task(0, Step.WHOLE, Entry("l", 5, 2, note="a link"), "l"),
]
PARTS = [
    Task(0, Step.PART, Entry("p", 9, 2), "p", Pinned("id", 9, "e"), 3, ByteRange(4, 9)),
    Task(0, Step.FINISH, Entry("p", 9, 2), "p", receipts=(PartReceipt(1, ByteRange(0, 4), 5),)),
]


def sent(kind, *content):
    """The content of a message after its way."""
    found, *content = messages.unpack(messages.pack(kind, *content))
    assert kind == found
    return content


@pytest.mark.parametrize(
    ("pack", "unpack", "tasks"),
    [
        (messages.pack_files, messages.unpack_files, FILES),
        (messages.pack_parts, messages.unpack_parts, PARTS),
    ],
)
def test_tasks_arrive_with_their_numbers(pack, unpack, tasks):
    """All else is as it was, in order."""
    (packed,) = sent(messages.FILES, pack(7, tasks))

    expected = [messages.replace(task, object_number=7 + at) for at, task in enumerate(tasks)]
    assert expected == unpack(packed)


def test_outcomes_find_their_tasks():
    """Arrivals and all others; each task is answered once."""
    tasks = dict(enumerate([*FILES, *PARTS], 5))
    outcomes = [
        Outcome(task, moved_bytes=number, retries=2, note="note" * (number % 2))
        for number, task in tasks.items()
    ]
    failure = Failure("NetworkError", "why", 6, "Code", "id")
    outcomes[1] = Outcome(tasks[6], failure=failure)
    outcomes[2] = Outcome(tasks[7], restart=Entry("b", 2, 2))
    outcomes[4] = Outcome(tasks[9], receipt=PartReceipt(3, ByteRange(4, 9), 77))
    numbered = [
        messages.replace(one, task=messages.replace(one.task, object_number=number))
        for number, one in zip(tasks, outcomes, strict=True)
    ]
    effort = Effort(1, 2, 3, 4.5)

    kind, counts, *content = messages.unpack(messages.pack_outcomes(effort, numbered))
    left = dict(tasks)
    found = messages.unpack_outcomes(content, left)

    assert (messages.OUTCOMES, effort) == (kind, Effort(*counts))
    assert not left
    assert sorted(map(repr, outcomes)) == sorted(map(repr, found))


@pytest.mark.parametrize("failure", [None, Failure("DiskFullError", "full \udcff", 3)])
def test_why_a_flush_failed_arrives(failure):
    """Or that it did not."""
    (packed,) = sent(messages.FLUSHED, messages.pack_failure(failure))

    assert failure == messages.unpack_failure(packed)
