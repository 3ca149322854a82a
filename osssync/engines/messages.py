"""What a process and its children tell each other: tasks one way, outcomes the other, in batches.

    parent ─▶ child    WIDTH brief, long · TASKS [task, …] · STOP · FLUSH · CLOSE
    child  ─▶ parent   OUTCOMES effort, [outcome, …] · FLUSHED why not · WARNING text

A small object's task and its success are plain tuples, because ``marshal`` packs those in a tenth
of the time that ``pickle`` takes for our classes, and there may be thousands a second. All else is
pickled. Both ends are one program at one moment: nothing here outlives a run or leaves the machine.
"""

import marshal
from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple, replace

from osssync.model import Effort, Entry, EntryKind, Failure, Outcome, Step, Task

TASKS, WIDTH, STOP, FLUSH, CLOSE = "tasks", "width", "stop", "flush", "close"
OUTCOMES, FLUSHED, WARNING = "outcomes", "flushed", "warning"

_FILE = EntryKind.FILE


def pack(kind: str, *content: Any) -> bytes:  # noqa: ANN401 - what ``marshal`` takes
    """One message."""
    return marshal.dumps((kind, *content))


def unpack(message: bytes) -> tuple[Any, ...]:
    """Its kind and content. Only for what a process of ours has packed."""
    return marshal.loads(message)  # type: ignore[no-any-return]  # noqa: S302 - our own child's


def pack_task(number: int, task: Task) -> object:
    """A task that is to be called ``number``; the parent keeps the task itself."""
    entry = task.entry
    if task.step is not Step.WHOLE:
        return _pickled(replace(task, object_number=number))
    kind = None if entry.kind is _FILE else entry.kind.value
    more = (entry.etag, entry.storage_class, entry.note)
    target = None if task.target == entry.key else task.target
    return (number, target, (entry.key, entry.size, entry.mtime_ns), kind, more)


def unpack_task(packed: Any) -> Task:  # noqa: ANN401 - whatever ``pack_task`` made
    """The task, its number in ``object_number``."""
    if isinstance(packed, bytes):
        task: Task = _unpickled(packed)
        return task
    number, target, what, kind, more = packed
    key, size, mtime_ns = what
    entry = Entry(key, size, mtime_ns, _FILE if kind is None else EntryKind(kind), *more)
    return Task(number, Step.WHOLE, entry, entry.key if target is None else target)


def pack_outcomes(effort: Effort, outcomes: Sequence[Outcome]) -> bytes:
    """What has become of tasks."""
    counts = (effort.rotations, effort.throttled, effort.fewest_jobs, effort.cpu_s)
    return pack(OUTCOMES, counts, [_pack_outcome(outcome) for outcome in outcomes])


def unpack_outcome(packed: Any, tasks: dict[int, Task]) -> Outcome:  # noqa: ANN401 - as above
    """An outcome of one of ``tasks``, which is taken out."""
    if isinstance(packed, tuple):
        number, moved_bytes, retries, note = packed
        return Outcome(tasks.pop(number), moved_bytes=moved_bytes, retries=retries, note=note)
    outcome: Outcome = _unpickled(packed)
    return replace(outcome, task=tasks.pop(outcome.task.object_number))


def pack_failure(failure: Failure | None) -> object:
    """Why a flush was none; None if it was."""
    return failure and astuple(failure)


def unpack_failure(packed: Any) -> Failure | None:  # noqa: ANN401 - as above
    """As ``pack_failure``."""
    return packed and Failure(*packed)


def _pack_outcome(outcome: Outcome) -> object:
    task = outcome.task
    if task.step is Step.WHOLE and outcome.failure is None and outcome.restart is None:
        return (task.object_number, outcome.moved_bytes, outcome.retries, outcome.note)
    return _pickled(outcome)


def _pickled(record: Task | Outcome) -> bytes:
    import pickle  # here: small objects never need it

    return pickle.dumps(record)


def _unpickled(packed: bytes) -> Any:  # noqa: ANN401 - what was pickled
    import pickle

    return pickle.loads(packed)  # noqa: S301 - our own process's
