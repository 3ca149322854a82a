"""The scan of a large tree in a process of its own, while this one reads the listing beside it.

    parent ═ root ═▶ scout ─▶ scan ─▶ columns ═ pipe ═▶ parent ─▶ merge
                                └─ gone before its end: the parent goes on after the last key

One interpreter does one thing at a time, and a scan is half of what a sync does that has nothing
to transfer. What goes wrong in the scout is met again by the parent, which then says what it is.
"""

import contextlib
import marshal
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from osssync.columns import Columns
from osssync.config import Compare, Job, LocalAddress, expand
from osssync.engines.child import Child, Crew, can_fork, fork, leave_signals_to_parent
from osssync.engines.pipe import Pipe
from osssync.local.glance import files_of_few
from osssync.local.scan import Scan, scan_columns
from osssync.model import Entry, EntryKind

FEW = 100
"""Names that are looked at in a fifth of the time that a fork takes."""

_END = b""  # of a scan, in place of columns


@contextmanager
def scouted(job: Job, crew: Crew) -> Iterator[Scan]:
    """How to scan a tree: in a process of its own, if other processes work on this job as well.

    It is forked now, and idle until a tree is scanned; it scans one.

    Args:
        job: one with nothing to scan, or as good as nothing, needs no such process.
        crew: the others.
    """
    if crew.count < 2 or not can_fork() or _scans_little(job):
        yield scan_columns
        return
    scout = fork(_serve, crew.call())
    try:
        yield _Scouted(scout)
    finally:
        scout.end()


def _scans_little(job: Job) -> bool:
    """Whether the scan is over before a process would be there."""
    if isinstance(job.source, LocalAddress):
        return False  # the crew was recruited because there is much of it
    if not isinstance(job.destination, LocalAddress) or job.options.compare is Compare.ALWAYS:
        return True
    return files_of_few(str(expand(job.destination)), FEW) is not None


class _Scouted:
    """The scan of a tree, as the parent sees it. For one thread."""

    def __init__(self, scout: Child) -> None:
        self._scout = scout

    def __call__(
        self, root: str, *, follow_symlinks: bool, with_directories: bool
    ) -> Iterator[Columns]:
        """As ``scan_columns``, but what that raises at once is raised by the iterator."""
        with contextlib.suppress(OSError):  # it is gone; whoever reads will see
            self._scout.pipe.send_bytes(marshal.dumps((root, follow_symlinks, with_directories)))

        def scan_here() -> Iterator[Columns]:
            return scan_columns(
                root, follow_symlinks=follow_symlinks, with_directories=with_directories
            )

        return self._read(scan_here)

    def _read(self, scan_here: Callable[[], Iterator[Columns]]) -> Iterator[Columns]:
        last = ""
        with contextlib.suppress(OSError, EOFError):
            while (packed := self._scout.pipe.recv_bytes()) != _END:
                columns = _unpacked(packed)
                last = columns.keys[-1]
                yield columns
            return
        for columns in scan_here():
            yield columns[bisect_right(columns.keys, last) :]


def _serve(pipe: Pipe) -> None:
    leave_signals_to_parent()
    with contextlib.suppress(OSError, EOFError):  # without a parent there is nothing to do
        root, follow, directories = marshal.loads(pipe.recv_bytes())  # noqa: S302 - our own fork
        for columns in scan_columns(root, follow_symlinks=follow, with_directories=directories):
            if columns:
                pipe.send_bytes(_packed(columns))
        pipe.send_bytes(_END)
        pipe.recv_bytes()  # the parent ends us when it has read all


def _packed(columns: Columns) -> bytes:
    """Columns of a scan; keys may hold bytes that are no UTF-8, which few formats can."""
    odd = {
        index: (entry.key, entry.size, entry.mtime_ns, entry.kind.value, entry.note)
        for index, entry in columns.odd.items()
    }
    return marshal.dumps((columns.keys, columns.sizes, columns.mtimes_ns, odd))


def _unpacked(packed: bytes) -> Columns:
    keys, sizes, mtimes_ns, rows = marshal.loads(packed)  # noqa: S302 - of our own fork
    odd = {
        index: Entry(key, size, mtime_ns, EntryKind(kind), note=note)
        for index, (key, size, mtime_ns, kind, note) in rows.items()
    }
    return Columns(keys, sizes, mtimes_ns, odd=odd)
