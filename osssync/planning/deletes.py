"""Which destination entries the source lacks, and whether deleting them is safe. Pure.

    pairs of the merge ─▶ Doomed.see ─▶ entries to delete, a directory after what is in it
                              │ counts
                              ▼
                            Facts ─▶ verdict ─▶ "" or why nothing is deleted

Whatever the source has counts as present: transferred, skipped, excluded, refused or unusable.
Excluded entries of the destination are never deleted, nor is what a sync cannot have made there:
devices, names that are no keys. A directory, or a marker object, goes only if the source has
nothing below it and nothing stays in it.
"""

import re
from collections.abc import Iterator

from msgspec import Struct, field

from osssync.errors import UsageError
from osssync.filters import Filters
from osssync.keys import display
from osssync.model import Entry, EntryKind

_LIMIT = r"([0-9]{1,18})(%?)"


class Limit(Struct, frozen=True):
    """The most a run may delete: entries, or hundredths of the destination if ``is_percent``."""

    amount: int
    is_percent: bool = False

    def __str__(self) -> str:
        return f"{self.amount}{'%' if self.is_percent else ''}"

    def allows(self, doomed: int, seen: int) -> bool:
        """Whether ``doomed`` of ``seen`` entries may be deleted."""
        if self.is_percent:
            return doomed * 100 <= self.amount * seen
        return doomed <= self.amount


NO_LIMIT = Limit(100, is_percent=True)
DEFAULT_LIMIT = Limit(50, is_percent=True)
"""More than half is rarely what was meant; a wrong source is, and so is a source not mounted."""


def parse_max_delete(text: str) -> Limit:
    """Read ``--max-delete``: ``100`` entries, ``10%`` of the destination, or ``off``.

    Raises:
        UsageError: neither.
    """
    if text == "off":
        return NO_LIMIT
    match = re.fullmatch(_LIMIT, text)
    if match is None:
        raise UsageError(f"--max-delete {text!r}: give a number like 100, a share like 10%, or off")
    limit = Limit(int(match[1]), is_percent=bool(match[2]))
    if limit.is_percent and limit.amount > 100:
        raise UsageError(f"--max-delete {text}: give 0% to 100%")
    return limit


class DeleteGuards(Struct, frozen=True):
    """What has to hold before anything is deleted, as far as the user may change it."""

    max_delete: Limit = DEFAULT_LIMIT
    allow_empty_source: bool = False


class Facts(Struct, frozen=True):
    """What a run knows when its transfers are over. The defaults forbid every delete.

    Directories and markers do not count as found, so a source of nothing else is empty.
    ``destination_seen`` are those that the filters let through: a share of all would grow with
    what the run has nothing to do with. ``unread_…`` is the key of a directory that could not
    be listed, "" if there is none.
    """

    source_found: int = 0
    destination_seen: int = 0
    doomed: int = 0
    failures: int = 0
    source_complete: bool = False
    destination_complete: bool = False
    unread_source: str = ""
    unread_destination: str = ""


def verdict(guards: DeleteGuards, facts: Facts) -> str:
    """Why nothing may be deleted, for the user, or "" if all that is doomed may be.

    Where nothing is doomed there is nothing to refuse.
    """
    if not facts.doomed:
        return ""
    reason = _unsafe(facts) or _unlikely(guards, facts)
    return f"nothing was deleted, {facts.doomed} were to be: {reason}" if reason else ""


def _unsafe(facts: Facts) -> str:
    """What no flag overrides."""
    for side, complete, unread in (
        ("source", facts.source_complete, facts.unread_source),
        ("destination", facts.destination_complete, facts.unread_destination),
    ):
        if not complete:
            return f"the {side} was not listed to its end; run again"
        if unread:
            shown = display(unread)
            return (
                f"the directory '{shown}' of the {side} could not be listed, so what is in it is "
                f"not known; make it readable, or leave it out by --exclude '/{shown}'"
            )
    if facts.failures:
        return f"{facts.failures} failed in this run; see to them and run again"
    return ""


def _unlikely(guards: DeleteGuards, facts: Facts) -> str:
    """What is hardly ever meant; a flag overrides each."""
    if not facts.source_found and not guards.allow_empty_source:
        return "the source is empty; if it is meant to be, give --allow-empty-source"
    if not guards.max_delete.allows(facts.doomed, facts.destination_seen):
        return (
            f"that is more than --max-delete {guards.max_delete} allows, of "
            f"{facts.destination_seen} at the destination; if it is right, "
            f"give --max-delete {facts.doomed}"
        )
    return ""


class Doomed(Struct):
    """Picks what to delete out of the pairs of one merge, fed in key order; counts on the way.

    Memory is the directories above the present key.
    """

    filters: Filters = field(default_factory=Filters)
    source_found: int = 0
    destination_seen: int = 0
    doomed: int = 0
    unread_source: str = ""
    unread_destination: str = ""
    _waiting: list[Entry] = field(default_factory=list)  # directories, each in the one before
    _links: list[str] = field(default_factory=list)  # "link/" of the source, not followed

    def see(self, source: Entry | None, destination: Entry | None) -> Iterator[Entry]:
        """Take one pair; what is now known to be doomed. Exhaust it before the next pair."""
        for entry in (source, destination):
            if entry is not None:
                yield from self._leave(entry.key)
                self._pass_links(entry.key)
        if source is not None:
            self._see_source(source)
        if destination is None:
            return
        in_scope = self._see_destination(destination)
        if source is not None or not in_scope or self._must_stay(destination):
            self._waiting.clear()
        elif destination.kind is EntryKind.DIRECTORY:
            self._waiting.append(destination)
        else:
            self.doomed += 1
            yield destination

    def see_between(self, count: int, *, at_destination: bool) -> None:
        """Take so many pairs of plain files in scope, between two such that it sees."""
        self.source_found += count
        if at_destination:
            self.destination_seen += count

    def end(self) -> Iterator[Entry]:
        """Take the end of both listings; the last that are doomed."""
        return self._leave(None)

    def spare(self) -> None:
        """Let one of the doomed stay after all: it is the source's under another name."""
        self.doomed -= 1

    def facts(self, *, failures: int, source_complete: bool, destination_complete: bool) -> Facts:
        """What ``verdict`` asks for. The listings are complete if their merge ended by itself."""
        return Facts(
            source_found=self.source_found,
            destination_seen=self.destination_seen,
            doomed=self.doomed,
            failures=failures,
            source_complete=source_complete,
            destination_complete=destination_complete,
            unread_source=self.unread_source,
            unread_destination=self.unread_destination,
        )

    def _leave(self, key: str | None) -> Iterator[Entry]:
        """Close the directories that ``key`` is not in (None: all): nothing stayed in them."""
        while self._waiting and (key is None or not key.startswith(self._waiting[-1].key)):
            self.doomed += 1
            yield self._waiting.pop()

    def _see_source(self, source: Entry) -> None:
        self._waiting.clear()  # the source has something in each of them
        if source.kind is EntryKind.LINK:
            self._links.append(f"{source.key}/")
        if source.kind is not EntryKind.DIRECTORY:
            self.source_found += 1
        if not self.unread_source and self._is_unread(source):
            self.unread_source = source.key

    def _see_destination(self, destination: Entry) -> bool:
        """Count it if the filters let it through; whether they do."""
        in_scope = self.filters.decide(destination) is None
        self.destination_seen += in_scope
        if not self.unread_destination and self._is_unread(destination):
            self.unread_destination = destination.key
        return in_scope

    def _is_unread(self, entry: Entry) -> bool:
        is_directory = entry.kind is EntryKind.UNUSABLE and entry.key.endswith("/")
        return is_directory and self.filters.decide(entry) is None

    def _must_stay(self, destination: Entry) -> bool:
        """Whether it is none of ours, or lies below a link that may lead to the very same."""
        if destination.kind is EntryKind.UNUSABLE:
            return True
        return any(destination.key.startswith(link) for link in self._links)

    def _pass_links(self, key: str) -> None:
        # What is below a link sorts after it, others in between: "l", "l-x", "l/x".
        if self._links:
            self._links = [link for link in self._links if key < link or key.startswith(link)]
