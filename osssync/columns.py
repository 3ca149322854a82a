"""Entries of a listing in columns: what is equal is compared without making an entry of it.

                0        1        2      …
    keys        "a.txt"  "b/c"    "d/"       in key order
    sizes       5        17       0
    mtimes_ns   …
    odd                           Entry("d/", 0, 0, DIRECTORY)

Nearly all that a run sees are plain files, and nearly all of those are what they were. Whoever
does not care takes ``Columns`` for the sequence of entries that it is.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import overload

from msgspec.structs import replace

from osssync.model import Action, ActionKind, Entry, EntryKind


class Columns(Sequence[Entry]):
    """Consecutive entries of one listing. Nobody changes it, nor the lists it was made of.

    Args:
        keys: of all entries.
        sizes: bytes; of those that are odd, whatever it is.
        mtimes_ns: likewise.
        etags: one for each, or none at all.
        storage_classes: likewise.
        odd: by their index, in its order: the entries that are more than a plain file.
    """

    __slots__ = ("_etags", "_odd", "_odd_places", "_storage_classes", "keys", "mtimes_ns", "sizes")

    def __init__(
        self,
        keys: list[str],
        sizes: list[int],
        mtimes_ns: list[int],
        *,
        etags: list[str] | None = None,
        storage_classes: list[str] | None = None,
        odd: Mapping[int, Entry] | None = None,
    ) -> None:
        self.keys = keys
        self.sizes = sizes
        self.mtimes_ns = mtimes_ns
        self._etags = etags or []
        self._storage_classes = storage_classes or []
        self._odd = odd or {}
        self._odd_places = list(self._odd)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Columns":
        """These entries, in columns."""
        rows = list(entries)
        return cls(
            [entry.key for entry in rows],
            [entry.size for entry in rows],
            [entry.mtime_ns for entry in rows],
            etags=[entry.etag for entry in rows],
            storage_classes=[entry.storage_class for entry in rows],
            odd={index: entry for index, entry in enumerate(rows) if not _is_plain(entry)},
        )

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> "Columns": ...
    def __getitem__(self, index: int | slice) -> "Entry | Columns":
        if isinstance(index, slice):
            return self._cut(index)
        if index < 0:
            index += len(self.keys)
        if index in self._odd:
            return self._odd[index]
        etag = self._etags[index] if self._etags else ""
        storage_class = self._storage_classes[index] if self._storage_classes else ""
        return Entry(
            self.keys[index], self.sizes[index], self.mtimes_ns[index],
            EntryKind.FILE, etag, storage_class,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Entry]:
        plain = map(
            Entry, self.keys, self.sizes, self.mtimes_ns, repeat(EntryKind.FILE),
            self._etags or repeat(""), self._storage_classes or repeat(""),
        )  # fmt: skip
        if not self._odd:
            return plain
        return (self._odd.get(index, entry) for index, entry in enumerate(plain))

    def __eq__(self, other: object) -> bool:
        """Whether the entries are the same, however they are kept."""
        return isinstance(other, Columns) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # nobody needs it, and it would take a long time

    @property
    def odd(self) -> Mapping[int, Entry]:
        """By their index, in its order: what is more than a plain file."""
        return self._odd

    def plain(self, start: int) -> int:
        """How many entries from that index on are plain files, one after the other."""
        if not self._odd_places:
            return len(self.keys) - start
        following = bisect_left(self._odd_places, start)
        if following == len(self._odd_places):
            return len(self.keys) - start
        return self._odd_places[following] - start

    def but(self, odd: Mapping[int, Entry]) -> "Columns":
        """The same entries, but these instead of the plain files at their indexes."""
        return Columns(
            self.keys,
            self.sizes,
            self.mtimes_ns,
            etags=self._etags,
            storage_classes=self._storage_classes,
            odd=odd,
        )

    def below(self, start: int) -> "Columns":
        """The same entries without so many characters at the start of their keys."""
        if not start:
            return self
        return Columns(
            [key[start:] for key in self.keys],
            self.sizes,
            self.mtimes_ns,
            etags=self._etags,
            storage_classes=self._storage_classes,
            odd={
                index: replace(entry, key=entry.key[start:]) for index, entry in self._odd.items()
            },
        )

    def _cut(self, part: slice) -> "Columns":
        places = range(*part.indices(len(self.keys)))
        if places == range(len(self.keys)):
            return self
        odd = self._odd
        if odd:
            odd = {new: odd[old] for new, old in enumerate(places) if old in odd}
        return Columns(
            self.keys[part],
            self.sizes[part],
            self.mtimes_ns[part],
            etags=self._etags[part],
            storage_classes=self._storage_classes[part],
            odd=odd,
        )


NO_ENTRIES = Columns([], [], [])


class _Many:
    """A decision about consecutive files; ``Action``s for whoever asks.

    Args:
        files: of the source; plain ones.
        reason: in words for the user.
    """

    __slots__ = ("files", "reason")

    def __init__(self, files: Columns, reason: str) -> None:
        self.files = files
        self.reason = reason

    def __len__(self) -> int:
        return len(self.files)


class Unchanged(_Many):
    """To skip them, all for one reason."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Action]:
        return (Action(ActionKind.SKIP, entry, self.reason) for entry in self.files)


class New(_Many):
    """To transfer them, each in one request and under the key it has."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Action]:
        for entry in self.files:
            yield Action(ActionKind.TRANSFER, entry, self.reason, entry.key)


Decision = Action | Unchanged | New
"""What planning says: about one entry, or about many of which nothing else is to be said."""


def skips_one_by_one(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """The same decisions, each skip by itself."""
    for decision in decisions:
        if isinstance(decision, Unchanged):
            yield from decision
        else:
            yield decision


def transfers_one_by_one(decisions: Iterable[Decision]) -> Iterator[Action | Unchanged]:
    """The same decisions, each transfer by itself."""
    for decision in decisions:
        if isinstance(decision, New):
            yield from decision
        else:
            yield decision


def one_by_one(decisions: Iterable[Decision]) -> Iterator[Action]:
    """The same decisions, each about one entry."""
    for decision in decisions:
        if isinstance(decision, Action):
            yield decision
        else:
            yield from decision


def _is_plain(entry: Entry) -> bool:
    return entry.kind is EntryKind.FILE and not entry.note
