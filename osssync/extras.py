"""What stands only at the destination: kept, or with ``--delete`` removed when all else is done.

merge ─▶ see ─▶ spool (a file: memory stays flat) … all transfers over ─▶ verdict of the guards
                                                   ─ "" ─▶ remove ─▶ removed, or why not
                                                   └ why nothing is deleted
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from types import TracebackType
from typing import Self

from osssync.columns import Columns
from osssync.config import DeleteSettings
from osssync.filters import Filters
from osssync.local.namesakes import Namesakes
from osssync.model import Entry
from osssync.planning.deletes import DeleteGuards, Doomed, Facts, parse_max_delete, verdict
from osssync.spool import Spool
from osssync.transfer.remove import Removal, Remover


class Extras:
    """The destination entries that the source lacks. Belongs to the thread of the runner.

    Args:
        settings: whether to delete, and what must hold before.
        filters: excluded entries are never deleted.

    Raises:
        UsageError: a ``max_delete`` that cannot be.
        LocalFileError: there is no room for temporary files.
    """

    def __init__(self, settings: DeleteSettings, filters: Filters) -> None:
        limit = parse_max_delete(settings.max_delete)
        self._guards = DeleteGuards(limit, settings.allow_empty_source)
        self._doomed = Doomed(filters)
        self._spool = Spool() if settings.wanted else None
        self._complete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._spool is not None:
            self._spool.close()

    def see(self, source: Entry | None, destination: Entry | None) -> None:
        """Take one pair of the merge."""
        if self._spool is not None:
            for entry in self._doomed.see(source, destination):
                self._spool.append(entry)

    def see_run(self, source: Columns, destination: Columns | None) -> None:
        """Take a run of pairs of plain files, where no filter leaves anything out.

        Whether a directory goes, only the first of them can tell, and what a link leads to only
        the last; all else about them is their number.

        Args:
            source: what is there.
            destination: the same there, one for one; None: nothing.
        """
        if self._spool is None:
            return
        last = len(source) - 1
        for place in range(0, last + 1, last or 1):
            self.see(source[place], None if destination is None else destination[place])
        if last:
            self._doomed.see_between(last - 1, at_destination=destination is not None)

    def end(self, namesakes: Namesakes | None = None) -> None:
        """Both listings were read to their end.

        Args:
            namesakes: of a destination that may ignore case: what is a file or directory of the
                source there, whatever its case, is no extra.
        """
        if self._spool is not None:
            for entry in self._doomed.end():
                self._spool.append(entry)
            if namesakes is not None and namesakes.matter:
                self._spare(namesakes)
        self._complete = True

    def _spare(self, namesakes: Namesakes) -> None:
        """Leave out what the source has in another case. Only now are all its names known."""
        if self._spool is None:
            return
        doomed, self._spool = self._spool, Spool()
        with doomed:
            for entry in doomed:
                if namesakes.is_of_source(entry.key):
                    self._doomed.spare()
                else:
                    self._spool.append(entry)

    def objection(self, failures: int) -> str:
        """Why nothing may be deleted, in words for the user; "" if there is nothing against it."""
        return verdict(self._guards, self.facts(failures))

    def facts(self, failures: int) -> Facts:
        """What the guards ask for, after so many failures of the run."""
        return self._doomed.facts(
            failures=failures,
            source_complete=self._complete,
            destination_complete=self._complete,
        )

    def __len__(self) -> int:
        return len(self._spool or ())

    def __iter__(self) -> Iterator[Entry]:
        """What is to be deleted, directories after what is in them."""
        return iter(self._spool or ())

    def remove(
        self, open_remover: Callable[[], Remover], stopped: Callable[[], bool]
    ) -> Iterator[Removal]:
        """Delete them until ``stopped``; ask ``objection`` first.

        Raises:
            OsssyncError: it makes no sense to go on.
        """
        if not self._spool:
            return
        with closing(open_remover()) as remover:
            yield from remover.remove(_until(stopped, self._spool))


def _until(stopped: Callable[[], bool], entries: Spool) -> Iterator[Entry]:
    for entry in entries:
        if stopped():
            return
        yield entry
