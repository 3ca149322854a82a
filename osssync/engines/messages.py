"""What a process and its children tell each other: tasks one way, outcomes the other, in batches.

    parent ─▶ child    WIDTH brief, long · FILES files · PARTS parts · STOP · FLUSH · CLOSE
    child  ─▶ parent   OUTCOMES effort, arrived, others · FLUSHED why not · WARNING text

Small objects, and those that arrived, travel in columns of plain values, because ``marshal`` packs
those in a tenth of the time that ``pickle`` takes for our classes, and there may be thousands a
second. All else is pickled. Both ends are one program at one moment: nothing here outlives a run
or leaves the machine.
"""

import marshal
from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple, replace

from osssync.model import Effort, Entry, EntryKind, Failure, Outcome, Step, Task

FILES, PARTS, WIDTH = "files", "parts", "width"
STOP, FLUSH, CLOSE = "stop", "flush", "close"
OUTCOMES, FLUSHED, WARNING = "outcomes", "flushed", "warning"

_FILE, _WHOLE = EntryKind.FILE, Step.WHOLE


def pack(kind: str, *content: Any) -> bytes:  # noqa: ANN401 - what ``marshal`` takes
    """One message."""
    return marshal.dumps((kind, *content))


def unpack(message: bytes) -> tuple[Any, ...]:
    """Its kind and content. Only for what a process of ours has packed."""
    return marshal.loads(message)  # type: ignore[no-any-return]  # noqa: S302 - our own child's


def pack_files(first: int, tasks: Sequence[Task]) -> object:
    """Tasks of one request each, to be called ``first`` and so on; the parent keeps the tasks."""
    entries = [task.entry for task in tasks]
    return (
        first,
        [None if task.target == task.entry.key else task.target for task in tasks],
        [entry.key for entry in entries],
        [entry.size for entry in entries],
        [entry.mtime_ns for entry in entries],
        [None if entry.kind is _FILE else entry.kind.value for entry in entries],
        [entry.etag for entry in entries],
        [entry.storage_class for entry in entries],
        [entry.note for entry in entries],
    )


def unpack_files(packed: Any) -> list[Task]:  # noqa: ANN401 - what ``pack_files`` made
    """The tasks, their numbers in ``object_number``."""
    first, targets, keys, sizes, mtimes_ns, kinds, *more = packed
    kinds = [_FILE if kind is None else EntryKind(kind) for kind in kinds]
    entries = map(Entry, keys, sizes, mtimes_ns, kinds, *more)
    return [
        Task(number, _WHOLE, entry, entry.key if target is None else target)
        for number, (entry, target) in enumerate(zip(entries, targets, strict=True), first)
    ]


def pack_parts(first: int, tasks: Sequence[Task]) -> object:
    """Other tasks, likewise."""
    return _pickled(
        [replace(task, object_number=number) for number, task in enumerate(tasks, first)]
    )


def unpack_parts(packed: bytes) -> list[Task]:
    """As ``unpack_files``."""
    tasks: list[Task] = _unpickled(packed)
    return tasks


def pack_outcomes(effort: Effort, outcomes: Sequence[Outcome]) -> bytes:
    """What has become of tasks."""
    counts = (effort.rotations, effort.throttled, effort.fewest_jobs, effort.cpu_s)
    arrived = [one for one in outcomes if _has_arrived(one)]
    columns = (
        [one.task.object_number for one in arrived],
        [one.moved_bytes for one in arrived],
        [one.retries for one in arrived],
        [one.note for one in arrived],
    )
    others = [one for one in outcomes if not _has_arrived(one)]
    return pack(OUTCOMES, counts, columns, others and _pickled(others))


def unpack_outcomes(packed: Sequence[Any], tasks: dict[int, Task]) -> list[Outcome]:
    """Outcomes of some of ``tasks``, which are taken out."""
    columns, others = packed
    outcomes = [
        Outcome(tasks.pop(number), moved_bytes=moved_bytes, retries=retries, note=note)
        for number, moved_bytes, retries, note in zip(*columns, strict=True)
    ]
    if others:
        pickled: list[Outcome] = _unpickled(others)
        outcomes += [replace(one, task=tasks.pop(one.task.object_number)) for one in pickled]
    return outcomes


def pack_failure(failure: Failure | None) -> object:
    """Why a flush was none; None if it was."""
    return failure and astuple(failure)


def unpack_failure(packed: Any) -> Failure | None:  # noqa: ANN401 - as above
    """As ``pack_failure``."""
    return packed and Failure(*packed)


def _has_arrived(outcome: Outcome) -> bool:
    """Whether it says no more than that an object of one request arrived."""
    is_well = outcome.failure is None and outcome.restart is None
    return is_well and outcome.task.step is _WHOLE


def _pickled(records: Sequence[Task] | Sequence[Outcome]) -> bytes:
    import pickle  # here: small objects never need it

    return pickle.dumps(records)


def _unpickled(packed: bytes) -> Any:  # noqa: ANN401 - what was pickled
    import pickle

    return pickle.loads(packed)  # noqa: S301 - our own process's
