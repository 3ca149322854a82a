"""Several stretches of a listing at once are the listing: the same keys, in the same order."""

import random

import pytest

from osssync.columns import Columns
from osssync.errors import AccessDeniedError, InterruptedRunError, ServerFaultError
from osssync.model import Entry
from osssync.oss import stretches
from osssync.oss.listing import Page
from osssync.oss.stretches import MOST_STRETCHES, PAGES_AHEAD, Stretches

LATE, READY = True, False


def in_order(key):
    return key.encode("utf-8", "surrogateescape")


class Bucket:
    """Answers queries as OSS does, a few keys a page, and counts them.

    Its clock stands still but while somebody waits for an answer that is late.
    """

    def __init__(self, keys, page_size=10, punctuality=(LATE,)):
        self.keys = sorted(keys, key=in_order)
        self.page_size = page_size
        self.punctuality = punctuality
        self.queries = []
        self.broken = {}
        self.now_s = 0.0

    def ask(self, query):
        f"{query.prefix}{query.start_after}".encode()  # or it could not be sent
        self.queries.append(query)
        is_late = self.punctuality[len(self.queries) % len(self.punctuality)]
        return Answer(self, query, is_late=is_late)

    def page(self, query):
        after = in_order(query.token or query.start_after)
        entries, prefixes, last = [], [], after
        for key in self.keys:
            if in_order(key) <= last or not key.startswith(query.prefix):
                continue
            if len(entries) + len(prefixes) == self.page_size:
                return Page(
                    Columns.of(entries), tuple(prefixes), last.decode("utf-8", "surrogateescape")
                )
            cut = key.find("/", len(query.prefix)) if query.delimiter else -1
            if cut < 0:
                entries.append(Entry(key, 1, 1))
                last = in_order(key)
            else:
                prefixes.append(key[: cut + 1])
                last = in_order(key[: cut + 1]) + b"\xff\xff"
        return Page(Columns.of(entries), tuple(prefixes), "")

    def stretches(self, prefix="", most=MOST_STRETCHES):
        return Stretches(self.ask, prefix, lambda: most, lambda: self.now_s)

    def list(self, prefix="", most=MOST_STRETCHES):
        return [entry.key for page in self.stretches(prefix, most).pages() for entry in page]

    @property
    def looks(self):
        return [query for query in self.queries if query.delimiter]


class Answer:
    """An errand whose page is there at once, or only when it is waited for."""

    def __init__(self, bucket, query, *, is_late):
        self.bucket, self.query, self.is_late = bucket, query, is_late

    def join(self, _seconds):
        self.is_late, was_late = False, self.is_late
        return not was_late

    def result(self):
        error = self.bucket.broken.get(self.query.delimiter or self.query.start_after)
        if error is not None:
            raise error
        if self.is_late:  # who asked before whether it is there came in time
            self.bucket.now_s += 1.0
        return self.bucket.page(self.query)


def tree(folders, files):
    return [f"d{folder:03}/f{file:03}" for folder in range(folders) for file in range(files)]


def any_bucket(chance):
    """Paths of a few letters, so that keys are folders of others, end in "/" or are not UTF-8."""
    letters = chance.choice(["ab/", "abé😀\udcff/", "ab\x01/"])

    def name():
        return "".join(chance.choice(letters) for _ in range(chance.randint(1, 3)))

    def path():
        return "/".join(name() for _ in range(chance.randint(1, 4))) + chance.choice(["", "/"])

    keys = {path() for _ in range(chance.randint(10, 150))}
    return Bucket(keys, chance.randint(1, 4), [chance.random() < 0.7 for _ in range(5)])


@pytest.mark.parametrize("seed", range(50))
def test_any_listing_is_the_same_as_when_it_is_read_in_one_go(seed, monkeypatch):
    """Whatever the keys, the size of pages, who is late and how many are asked at once."""
    for name in ("PAGES_A_STRETCH", "PAGES_A_LOOK", "KEYS_A_NAME"):
        monkeypatch.setattr(stretches, name, 1)  # so that as many cuts are made as can be
    chance = random.Random(seed)

    for _ in range(8):
        bucket, prefix = any_bucket(chance), chance.choice(["", "", "a/", "b/"])
        expected = [key for key in bucket.keys if key.startswith(prefix)]

        assert bucket.list(prefix, chance.randint(1, 8)) == expected


@pytest.mark.parametrize("pages", [0, 1, 2, 3])
def test_a_short_listing_costs_no_request_more(pages):
    """However slow the answers are; an empty bucket is one page, too."""
    bucket = Bucket(tree(pages, 10))

    assert bucket.list() == bucket.keys
    assert len(bucket.queries) == max(1, pages)


def test_a_listing_that_nobody_waits_for_is_read_in_one_go():
    """Where the answers are faster than who lists there is nothing to gain."""
    bucket = Bucket(tree(50, 10), punctuality=(READY,))
    listed = []

    for page in bucket.stretches().pages():
        listed += page
        bucket.now_s += 10.0

    assert len(listed) == 500
    assert len(bucket.queries) == 50


def test_one_stretch_at_a_time_is_read_in_one_go():
    """Who may send one request at once sends no others."""
    bucket = Bucket(tree(50, 10))

    assert bucket.list(most=1) == bucket.keys
    assert len(bucket.queries) == 50


def test_a_slow_listing_is_waited_for_a_fraction_of_its_pages():
    """The clock counts the answers that were not there in time; a few requests are the price."""
    bucket = Bucket(tree(200, 10))

    assert bucket.list() == bucket.keys
    assert bucket.now_s < 200 / 3
    assert len(bucket.queries) < 200 * 1.5
    assert 1 <= len(bucket.looks) < 200 / 4


@pytest.mark.parametrize(
    "keys",
    [
        [f"f{number:04}" for number in range(1000)],
        [f"d{number:04}/f" for number in range(1000)],
        [f"d{number // 20:02}/e{number // 10 % 2}/f{number}" for number in range(1000)],
    ],
    ids=["files only", "a file a folder", "two folders a folder"],
)
def test_where_looks_tell_nothing_they_are_few(keys):
    """At most one for eight pages."""
    bucket = Bucket(keys)

    assert bucket.list() == bucket.keys
    assert len(bucket.looks) <= 100 / 8 + 1


def test_what_is_kept_is_bounded():
    """Who lists slowly after a wait does not find the whole bucket in memory."""
    bucket = Bucket(tree(1000, 10))
    listing = bucket.stretches()
    most_kept = 0

    for _ in listing.pages():
        kept = sum(len(stretch.pages) for stretch in listing._stretches)
        most_kept = max(most_kept, kept)

    assert 2 <= most_kept <= MOST_STRETCHES * PAGES_AHEAD


def test_a_stretch_that_is_longer_than_it_was_thought_is_not_read_to_its_end():
    """It waits with its pages until it is its turn."""
    bucket = Bucket(
        tree(4, 10) + [f"e{folder}/f{file:04}" for folder in range(9) for file in range(1000)]
    )
    listing = bucket.stretches()
    most_kept = 0

    for _ in listing.pages():
        kept = max((len(stretch.pages) for stretch in listing._stretches), default=0)
        most_kept = max(most_kept, kept)

    assert 2 <= most_kept <= PAGES_AHEAD


def test_a_page_that_cannot_be_had_ends_the_listing_with_its_error():
    """A stretch that is missing must never look like no keys."""
    bucket = Bucket(tree(100, 10))
    bucket.list()
    starts = [query.start_after for query in bucket.queries if query.start_after]
    middle = next(start for start in starts if start.endswith("/"))
    bucket.broken[middle] = ServerFaultError("broken")

    with pytest.raises(ServerFaultError):
        bucket.list()


def test_a_look_that_is_forbidden_leaves_the_listing_as_it_is():
    """A policy may allow the listing and not the look, which nobody has asked for."""
    bucket = Bucket(tree(100, 10))
    bucket.broken["/"] = AccessDeniedError("no delimiters")

    assert bucket.list() == bucket.keys
    assert len(bucket.looks) == 1


def test_a_stop_during_a_look_stops():
    """It is not taken for a look that is forbidden."""
    bucket = Bucket(tree(100, 10))
    bucket.broken["/"] = InterruptedRunError("stop")

    with pytest.raises(InterruptedRunError):
        bucket.list()
