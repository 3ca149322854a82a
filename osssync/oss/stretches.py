"""The pages of a listing in key order, several stretches of keys being read at once if that pays.

    |─ stretch ─|─ stretch ─|─ stretch ─ … ─|     the keys below a prefix, in their order
      ^ who lists is here     ^ read ahead, each with a request of its own, and kept

A page cannot be asked for before the one before it has told its token, so a listing read in one go
takes a round trip a page. But it may begin after any key. So the keys are cut into stretches, each
of which ends where the next begins; wherever a cut lies, the keys are the same and in the same
order. Cuts are made at marks, where folders begin: a look at what lies in a folder tells them.
Where there are no folders, or only small ones, nothing is cut. Nothing is looked at or cut before
who lists has waited for the third page; each wait doubles the number of stretches read at once.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/listobjectsv2, read 2026-09:
``start-after``, ``delimiter``.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator

from msgspec import Struct, field

from osssync.columns import NO_ENTRIES, Columns
from osssync.errors import InterruptedRunError, OsssyncError
from osssync.keys import is_utf8
from osssync.oss.errand import Errand
from osssync.oss.listing import Page

MOST_STRETCHES = 8
"""So many requests at once hide 30 ms from one who takes 4 ms for a page."""

PAGES_A_STRETCH = 4
"""About so many are in a stretch: fewer, and the look at what follows its end costs too much."""

PAGES_AHEAD = 6
"""Pages of one stretch that are kept until their turn comes; a page takes 0.4 MB."""

PAGES_A_LOOK = 8
"""So many pages are read for each look into a folder, at least: looks are requests, too."""

KEYS_A_NAME = 10
"""So many keys must lie under each name in a folder, or a look into it tells too few stretches."""

_NO_MORE = 1 << 60  # looks; so many pages there are not

NEWS_SHARE = 0.1
"""How much one page counts in what is known of the distance between marks."""

IDLE_SHARE = 0.2
"""The share of their time that who lists waits for pages, above which more is read at once."""


class Query(Struct, frozen=True):
    """A page to be asked for, in the words of ``Bucket.list_page``."""

    prefix: str
    start_after: str = ""
    token: str = ""
    delimiter: str = ""


Ask = Callable[[Query], Errand[Page]]


class _Stretch(Struct):
    """Keys after ``position`` up to and with ``end`` (None: all others), read page by page."""

    position: str = ""
    end: str | None = None
    token: str = ""
    request: Errand[Page] | None = None
    pages: deque[Columns] = field(default_factory=deque)
    last_page: Columns = field(default_factory=lambda: NO_ENTRIES)
    is_read: bool = False
    marks: list[str] = field(default_factory=list)  # between position and end, in order
    known: tuple[str, ...] = ()  # folders on its path whose marks are known, or too many
    folder: str = ""  # the one looked into last
    look_token: str = ""  # of the next page of that look

    def go_on(self, ask: Ask, prefix: str) -> None:
        """Ask for the next page if there is one, and a place for it."""
        if self.is_read or self.request is not None or len(self.pages) >= PAGES_AHEAD:
            return
        start_after = "" if self.token else self.position
        self.request = ask(Query(prefix, start_after, self.token))

    def take(self) -> tuple[float, int]:
        """Keep the page that was asked for, waiting for it if need be.

        Returns:
            How much of a page it was, and how many marks lie in it.

        Raises:
            OsssyncError: it could not be had.
        """
        if self.request is None:
            return 0.0, 0
        page, self.request = self.request.result(), None
        self.token, self.is_read = page.next_token, not page.next_token
        entries, passed = page.entries, 0
        if self.end is not None and entries and _in_order(entries.keys[-1]) >= _in_order(self.end):
            self.is_read, passed = True, 1
            entries = entries[: bisect_right(entries.keys, _in_order(self.end), key=_in_order)]
        if entries:
            self.position = entries.keys[-1]
            self.pages.append(entries)
            self.last_page = entries
            behind = bisect_right(self.marks, _in_order(self.position), key=_in_order)
            del self.marks[:behind]
            passed += behind
        return len(entries) / max(1, len(page.entries)), passed

    def cut(self, marks: int) -> "_Stretch":
        """End it at its mark of that number, counted from 1; what is behind is another stretch."""
        mark = self.marks[marks - 1]
        rest = _Stretch(mark, self.end, marks=self.marks[marks:], known=self.known)
        rest.folder, rest.look_token = self.folder, self.look_token
        self.end, self.look_token = mark, ""
        del self.marks[marks - 1 :]
        return rest

    def unknown_folders(self, prefix: str) -> list[str]:
        """Folders that all of the page before lies in, the innermost first."""
        if not self.last_page:
            return []
        self.known = tuple(one for one in self.known if self.position.startswith(one))
        first, folder = self.last_page.keys[0], prefix
        folders = [prefix]
        while (end := self.position.find("/", len(folder)) + 1) > 0:
            folder = self.position[:end]
            if not first.startswith(folder):
                break
            folders.append(folder)
        return [one for one in reversed(folders) if one not in self.known]

    def add_marks(self, look: Page) -> None:
        """Take the folders that a look has told, as far as they lie in what is not read yet."""
        self.look_token = look.next_token
        first = _in_order(self.position)
        fresh = [mark for mark in look.prefixes if is_utf8(mark) and _in_order(mark) > first]
        if self.end is not None:
            last = _in_order(self.end)
            beyond = [mark for mark in fresh if _in_order(mark) >= last]
            if beyond:
                del fresh[-len(beyond) :]
                self.look_token = ""
        self.marks = sorted({*self.marks, *fresh}, key=_in_order)


def _in_order(key: str) -> bytes:
    """What a listing is sorted by; surrogates stand for bytes that are no UTF-8."""
    return key.encode("utf-8", "surrogateescape")


def _names_in(folder: str, page: Columns) -> int:
    """How many names right in the folder a page has."""
    start = len(folder)
    return len({key[start:].partition("/")[0] for key in page.keys})


class Stretches:
    """One listing below a prefix. Belongs to the thread that iterates over its pages, once.

    Args:
        ask: sends a query; what it returns may be under way with others.
        prefix: of all keys.
        most: how many stretches may be read at once; asked again and again.
        clock: seconds.
    """

    def __init__(
        self,
        ask: Ask,
        prefix: str,
        most: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._prefix = prefix
        self._most = most
        self._clock = clock
        self._stretches: deque[_Stretch] = deque([_Stretch()])
        self._wanted = 1  # stretches to be read at once
        self._marks_a_page = 1.0
        self._pages_read = 0
        self._looks = 0
        self._look: Errand[Page] | None = None
        self._looked_for: _Stretch | None = None

    def pages(self) -> Iterator[Columns]:
        """The entries of one page after the other, none empty.

        Raises:
            InterruptedRunError: told to stop.
            OsssyncError: a page could not be had.
        """
        turn_s = self._clock()
        while self._stretches:
            front = self._stretches[0]
            front.go_on(self._ask, self._prefix)
            if not front.pages:
                began_s = self._clock()
                self._take(front)
                ended_s = self._clock()
                if self._pages_read > 2 and ended_s - began_s > IDLE_SHARE * (ended_s - turn_s):
                    self._wanted = max(1, min(2 * self._wanted, MOST_STRETCHES, self._most()))
                turn_s = ended_s
            self._read_ahead()
            if front.pages:
                yield front.pages.popleft()
            elif front.is_read:
                self._stretches.popleft()

    def _read_ahead(self) -> None:
        for stretch in self._stretches:
            if stretch.request is not None and stretch.request.join(0):
                self._take(stretch)
            stretch.go_on(self._ask, self._prefix)
        self._finish_look()
        while len(self._stretches) < self._wanted:  # those read already hold pages, too
            if not self._cut():
                self._begin_look()
                return

    def _cut(self) -> bool:
        """Make one stretch more, as near to whoever lists as it can be; whether there is one."""
        number = max(1, round(PAGES_A_STRETCH * self._marks_a_page))
        for index, stretch in enumerate(self._stretches):
            if not stretch.is_read and len(stretch.marks) >= number:
                rest = stretch.cut(number)
                self._stretches.insert(index + 1, rest)
                rest.go_on(self._ask, self._prefix)
                if self._looked_for is stretch:
                    self._looked_for = rest
                return True
        return False

    def _take(self, stretch: _Stretch) -> None:
        share, passed = stretch.take()
        self._pages_read += 1
        if self._looks:
            self._marks_a_page += (passed - share * self._marks_a_page) * NEWS_SHARE

    def _begin_look(self) -> None:
        """Ask for marks, unless that has been done too often for what has been read."""
        if self._look is not None or self._looks * PAGES_A_LOOK > self._pages_read:
            return
        for stretch in self._stretches:
            query = self._look_into(stretch)
            if query is not None:
                self._looks += 1
                self._look, self._looked_for = self._ask(query), stretch
                return

    def _look_into(self, stretch: _Stretch) -> Query | None:
        """The look that would tell marks of a stretch: up its present path, level by level."""
        if stretch.is_read:
            return None
        if stretch.look_token:
            return Query(stretch.folder, token=stretch.look_token, delimiter="/")
        if stretch.marks or not is_utf8(stretch.position):
            return None
        for folder in stretch.unknown_folders(self._prefix):
            stretch.known = (*stretch.known, folder)
            names = _names_in(folder, stretch.last_page)
            if names * KEYS_A_NAME <= len(stretch.last_page):
                self._marks_a_page = float(max(1, names - 1))
                stretch.folder = folder
                return Query(folder, start_after=stretch.position, delimiter="/")
        return None

    def _finish_look(self) -> None:
        if self._look is None or self._looked_for is None or not self._look.join(0):
            return
        look, stretch = self._look, self._looked_for
        self._look = self._looked_for = None
        try:
            page = look.result()
        except InterruptedRunError:
            raise
        except OsssyncError:  # may be forbidden where the listing is not, which needs no marks
            self._looks = _NO_MORE
            return
        stretch.add_marks(page)
