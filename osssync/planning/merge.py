"""Two sorted listings side by side: pairs of entries, and runs of files that are alike. Pure.

    source       a  b  c  d  │     │ f  g  h  │ i  j  k …     columns, cut wherever they were
    destination  a  b  c* │ d  e/  │ f  g  h  │            m
                 ╰─Alike╯ pair Alike pair ╰─Alike─╯ ╰─Lone─╯

Which files are alike somebody else tells (``diff.alike``); without that there are pairs only, and
they say the same.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import compress, islice, repeat
from operator import ge

from msgspec import Struct

from osssync.columns import Columns
from osssync.errors import OsssyncError
from osssync.keys import display
from osssync.model import Entry

Pair = tuple[Entry | None, Entry | None]
"""What the source and the destination have under one key; at least one of them has something."""

_LONGEST = 1 << 20
_FEW = 8
"""Fewer files than that are looked at one by one, and so many after a difference at first."""

CountAlike = Callable[[Columns, Columns], int]
"""How many plain files at the head of the one are the same in the other, and called the same."""


class Alike(Struct, frozen=True, eq=False):
    """Files that both sides have, one for one, with nothing to do about any."""

    source: Columns
    destination: Columns

    @property
    def pairs(self) -> Iterator[Pair]:
        """The same, one by one."""
        return zip(self.source, self.destination, strict=True)


class Lone(Struct, frozen=True, eq=False):
    """Files that only the source has."""

    source: Columns

    @property
    def pairs(self) -> Iterator[Pair]:
        """The same, one by one."""
        return zip(self.source, repeat(None))


class _Cursor:
    """Where the merge is in one listing."""

    __slots__ = ("_rest", "at", "columns", "key")

    def __init__(self, listing: Iterable[Columns]) -> None:
        self._rest = iter(listing)
        self.columns = Columns([], [], [])
        self.at = 0
        self.key: str | None = None  # of the entry it is at; None at the end
        self.advance(0)

    def advance(self, count: int = 1) -> None:
        """Leave so many entries behind, all of these columns."""
        self.at += count
        while self.at >= len(self.columns.keys):
            following = next(self._rest, None)
            if following is None:
                self.key = None
                return
            self.columns, self.at = following, 0
        self.key = self.columns.keys[self.at]

    def plain(self) -> int:
        """How many plain files come next, as far as these columns go."""
        return 0 if self.key is None else self.columns.plain(self.at)

    def head(self, count: int) -> Columns:
        """So many of what comes next."""
        return self.columns[self.at : self.at + count]

    def entry(self) -> Entry:
        """The entry it is at."""
        return self.columns[self.at]


class _Runs:
    """Looks for runs. A look in vain is never longer than twice what was found before it."""

    __slots__ = ("_count_alike", "_longest")

    def __init__(self, count_alike: CountAlike | None) -> None:
        self._count_alike = count_alike
        self._longest = _LONGEST

    def find(self, here: _Cursor, there: _Cursor, last: str) -> Alike | Lone | None:
        """The run that begins here, behind ``last``; None if there is none."""
        key, other = here.key, there.key
        if self._count_alike is None or key is None or key <= last:
            return None
        if key == other:
            return self._alike(here, there, self._count_alike)
        return self._lone(here, other) if other is None or key < other else None

    def _lone(self, here: _Cursor, other: str | None) -> Lone | None:
        """What only the source has before the destination's next key; None if that is little."""
        keys, size = here.columns.keys, here.plain()
        if other is not None:
            size = bisect_left(keys, other, here.at, here.at + size) - here.at
        if size < _FEW:
            return None
        source = here.head(size)
        count = _in_order(source.keys, size)
        if other is not None and source.keys[count - 1] >= other:  # the rest is in disorder
            return None
        return Lone(source[:count])

    def _alike(self, here: _Cursor, there: _Cursor, count_alike: CountAlike) -> Alike | None:
        """What both have from their present key on; None if that is little."""
        size = min(here.plain(), there.plain(), self._longest)
        if size < _FEW:
            return None
        source, destination = here.head(size), there.head(size)
        count = _in_order(source.keys, count_alike(source, destination))
        self._longest = min(2 * self._longest, _LONGEST) if count == size else _FEW
        return Alike(source[:count], destination[:count]) if count else None


def merge_join(
    source: Iterable[Columns],
    destination: Iterable[Columns],
    count_alike: CountAlike | None = None,
) -> Iterator[Pair | Alike | Lone]:
    """Pair the entries of two listings by key, in key order; None where a side has no such key.

    Both are read once and lazily, one piece of each ahead.

    Args:
        source: a listing in pieces, wherever they were cut.
        destination: likewise.
        count_alike: tells the files that come in runs; None: none do.

    Raises:
        OsssyncError: a listing is out of order or repeats a key. What was found so far is right.
    """
    here, there, runs = _Cursor(source), _Cursor(destination), _Runs(count_alike)
    last = ""  # the pairs are in order exactly if both listings are, so one look does for both
    while here.key is not None or there.key is not None:
        run = runs.find(here, there, last)
        if run is not None:
            last = run.source.keys[-1]
            yield run
            here.advance(len(run.source))
            if isinstance(run, Alike):
                there.advance(len(run.source))
            continue
        pair, key = _pair_at(here, there)
        if key <= last:
            raise _out_of_order(pair, last)
        last = key
        yield pair
        if pair[0] is not None:
            here.advance()
        if pair[1] is not None:
            there.advance()


def _pair_at(here: _Cursor, there: _Cursor) -> tuple[Pair, str]:
    """What stands under the lower of two keys, of which at least one is there; and that key."""
    key, other = here.key, there.key
    if key is None or (other is not None and other < key):
        entry = there.entry()
        return (None, entry), entry.key
    return (here.entry(), there.entry() if key == other else None), key


def _in_order(keys: list[str], count: int) -> int:
    """How many of the first ``count`` keys come in order, none of them twice."""
    disorder = compress(range(1, count), map(ge, keys, islice(keys, 1, None)))
    return next(disorder, count)


def _out_of_order(pair: Pair, last: str) -> OsssyncError:
    side = "destination" if pair[0] is None else "source"
    key = max(entry.key for entry in pair if entry is not None)
    fault = "repeats" if key == last else f"is out of order after '{display(last)}' at"
    return OsssyncError(
        f"{side} listing {fault} '{display(key)}'; nothing is decided on such a listing: "
        "run again, and report it if it happens twice"
    )
