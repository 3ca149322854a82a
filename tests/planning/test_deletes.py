"""What is deleted is what the source lacks, and nothing is where that is not known for certain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.columns import Columns
from osssync.errors import UsageError
from osssync.filters import Filters, RuleFlag
from osssync.model import Entry, EntryKind
from osssync.planning.deletes import (
    DEFAULT_LIMIT,
    NO_LIMIT,
    DeleteGuards,
    Doomed,
    Facts,
    Limit,
    parse_max_delete,
    verdict,
)
from osssync.planning.merge import merge_join

SAFE = Facts(
    source_found=10, destination_seen=10, doomed=5, source_complete=True, destination_complete=True
)
EVERYTHING_ALLOWED = DeleteGuards(NO_LIMIT, allow_empty_source=True)

limits = st.builds(Limit, st.integers(0, 100), st.booleans())
guards = st.builds(DeleteGuards, limits, st.booleans())
counts = st.integers(0, 6)
unread = st.sampled_from(["", "d/", "d/e\n/"])
facts = st.builds(
    Facts,
    source_found=counts,
    destination_seen=st.integers(6, 12),
    doomed=counts,
    failures=st.sampled_from([0, 0, 1]),
    source_complete=st.sampled_from([True, True, False]),
    destination_complete=st.sampled_from([True, True, False]),
    unread_source=unread,
    unread_destination=unread,
)


# --- the guards ---


@given(guards, facts)
def test_nothing_is_deleted_on_a_doubt(guards, facts):
    """Whatever else holds: an incomplete listing, a failure, or an unmeant source forbids it."""
    share = guards.max_delete.amount / 100 * facts.destination_seen
    most = share if guards.max_delete.is_percent else guards.max_delete.amount
    doubts = [
        not facts.source_complete,
        not facts.destination_complete,
        facts.unread_source != "",
        facts.unread_destination != "",
        facts.failures > 0,
        facts.source_found == 0 and not guards.allow_empty_source,
        facts.doomed > most + 1e-9,
    ]

    refused = verdict(guards, facts) != ""

    assert refused == (facts.doomed > 0 and any(doubts))


@given(facts)
def test_no_flag_overrides_a_listing_that_is_not_complete(facts):
    """Not even with every guard off that can be switched off."""
    certain = facts.source_complete and facts.destination_complete
    certain = certain and not (facts.unread_source or facts.unread_destination or facts.failures)

    refused = verdict(EVERYTHING_ALLOWED, facts) != ""

    assert refused == (facts.doomed > 0 and not certain)


def test_facts_that_nobody_filled_in_forbid_every_delete():
    """A forgotten argument must fail closed."""
    assert "not listed to its end" in verdict(EVERYTHING_ALLOWED, Facts(doomed=1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source_complete": False}, "the source was not listed to its end; run again"),
        ({"destination_complete": False}, "the destination was not listed to its end; run again"),
        ({"unread_source": "d/"}, "--exclude '/d/'"),
        ({"unread_destination": "d\x1b/"}, "'d\\x1b/' of the destination could not be listed"),
        ({"failures": 3}, "3 failed in this run"),
        ({"source_found": 0}, "--allow-empty-source"),
        ({"doomed": 6}, "more than --max-delete 50% allows, of 10 at the destination"),
        ({"doomed": 6}, "give --max-delete 6"),
    ],
)
def test_a_refusal_says_what_and_which_flag(change, words):
    """What is wrong, how many were to go, and what to do; nothing that moves a cursor."""
    changed = Facts(**{name: getattr(SAFE, name) for name in SAFE.__slots__} | change)

    reason = verdict(DeleteGuards(), changed)

    assert words in reason
    assert reason.startswith(f"nothing was deleted, {changed.doomed} were to be: ")
    assert reason.isprintable()


def test_exactly_the_limit_is_allowed():
    """More than the limit is refused, not as much."""
    assert verdict(DeleteGuards(), SAFE) == ""
    assert verdict(DeleteGuards(Limit(5)), SAFE) == ""
    assert verdict(DeleteGuards(Limit(4)), SAFE) != ""
    assert verdict(DeleteGuards(Limit(49, is_percent=True)), SAFE) != ""


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("0", Limit(0)),
        ("100", Limit(100)),
        ("10%", Limit(10, is_percent=True)),
        ("100%", NO_LIMIT),
        ("off", NO_LIMIT),
        (str(DEFAULT_LIMIT), DEFAULT_LIMIT),
        (str(Limit(7)), Limit(7)),
    ],
)
def test_limits_are_read_as_they_are_written(text, limit):
    """A count, a share, or off."""
    assert parse_max_delete(text) == limit


@pytest.mark.parametrize("text", ["", "-1", "1.5", "10 %", "101%", "all", "%", "\u0661", "1e3"])
def test_what_is_no_limit_is_refused(text):
    """A guard that is misread is none."""
    with pytest.raises(UsageError, match="--max-delete"):
        parse_max_delete(text)


# --- what is doomed ---

names = st.text(alphabet="ab-.", min_size=1, max_size=2)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
KINDS = (EntryKind.FILE, EntryKind.FILE, EntryKind.LINK, EntryKind.UNUSABLE, EntryKind.DIRECTORY)


@st.composite
def listings(draw):
    found = {}
    for path, kind in draw(st.lists(st.tuples(paths, st.sampled_from(KINDS)), max_size=12)):
        key = f"{path}/" if kind is EntryKind.DIRECTORY else path
        found[key] = Entry(key, 1, 0, kind)
    return [found[key] for key in sorted(found)]


def _doomed(source, destination, filters=None):
    doomed = Doomed(filters or Filters())
    entries = []
    for pair in merge_join([Columns.of(source)], [Columns.of(destination)]):
        entries += doomed.see(*pair)
    return [*entries, *doomed.end()], doomed


def _naive(source, destination, filters):
    """The same by looking at everything at once."""
    present = {entry.key for entry in source}
    links = [f"{entry.key}/" for entry in source if entry.kind is EntryKind.LINK]
    files, directories = set(), []
    for entry in destination:
        usable = entry.kind is not EntryKind.UNUSABLE and filters.decide(entry) is None
        below_link = any(entry.key.startswith(link) for link in links)
        if entry.key in present or not usable or below_link:
            continue
        if entry.kind is EntryKind.DIRECTORY:
            directories.append(entry.key)
        else:
            files.add(entry.key)
    gone = set(files)
    for directory in reversed(directories):  # the inner ones first
        staying = {entry.key for entry in destination} - gone - {directory}
        if not any(key.startswith(directory) for key in present | staying):
            gone.add(directory)
    return gone


FILTERS = [
    Filters(),
    Filters.from_flags([(RuleFlag.EXCLUDE, "*b")]),
    Filters.from_flags([(RuleFlag.EXCLUDE, "/a/")]),
    Filters.from_flags([(RuleFlag.INCLUDE, "a*")]),
    Filters(min_size=2),
]


@given(listings(), listings(), st.sampled_from(FILTERS))
def test_doomed_is_what_a_look_at_everything_says(source, destination, filters):
    """And each entry once, a directory after all that is in it."""
    entries, doomed = _doomed(source, destination, filters)
    keys = [entry.key for entry in entries]

    assert sorted(keys) == sorted(_naive(source, destination, filters))
    assert doomed.doomed == len(keys)
    for place, key in enumerate(keys):
        assert not any(later.startswith(key) for later in keys[place + 1 :] if key.endswith("/"))


@given(listings(), listings(), st.sampled_from(FILTERS))
def test_nothing_that_is_excluded_or_that_the_source_has_is_doomed(source, destination, filters):
    """The two promises by themselves, whatever kind the source's entry is of."""
    entries, _ = _doomed(source, destination, filters)

    assert [entry for entry in entries if filters.decide(entry) is not None] == []
    assert {entry.key for entry in entries} & {entry.key for entry in source} == set()


@given(listings(), listings())
def test_the_counts_are_those_of_the_listings(source, destination):
    """Directories make no source; without filters all of the destination counts."""
    _, doomed = _doomed(source, destination)
    facts = doomed.facts(failures=2, source_complete=True, destination_complete=False)

    found = sum(entry.kind is not EntryKind.DIRECTORY for entry in source)
    assert (facts.source_found, facts.destination_seen) == (found, len(destination))
    assert (facts.failures, facts.source_complete, facts.destination_complete) == (2, True, False)


def _file(key):
    return Entry(key, 1, 0)


def _directory(key):
    return Entry(key, 0, 0, EntryKind.DIRECTORY)


def _unread(key):
    return Entry(key, 0, 0, EntryKind.UNUSABLE, note="cannot be listed: Permission denied")


def test_a_directory_the_source_has_something_in_stays():
    """OSS lists no directories, so a key below one is all that says the source has it."""
    destination = [_directory("a/"), _directory("a/b/"), _file("a/b/old"), _directory("c/")]

    entries, _ = _doomed([_file("a/new")], destination)

    assert [entry.key for entry in entries] == ["a/b/old", "a/b/", "c/"]


def test_a_marker_that_holds_data_is_an_object_like_others():
    """Only empty markers stand for a directory."""
    entries, _ = _doomed([_file("a/x")], [_file("a/"), _file("a/x")])

    assert [entry.key for entry in entries] == ["a/"]


def test_what_lies_below_a_link_that_was_not_followed_stays():
    """The link may lead to the very same files; names that sort in between have no part in it."""
    link = Entry("l", 0, 0, EntryKind.LINK)

    entries, _ = _doomed([link], [_file("l-x"), _file("l/x"), _file("l0")])

    assert [entry.key for entry in entries] == ["l-x", "l0"]


def test_an_unread_directory_on_either_side_is_remembered_unless_it_is_excluded():
    """What is in it is not known; of an excluded one nobody wants to know."""
    excluding = Filters.from_flags([(RuleFlag.EXCLUDE, "/d/")])

    _, here = _doomed([_unread("d/")], [])
    _, there = _doomed([], [_unread("d/"), _unread("e/")])
    _, nowhere = _doomed([_unread("d/")], [_unread("d/")], excluding)

    assert (here.unread_source, here.unread_destination) == ("d/", "")
    assert (there.unread_source, there.unread_destination) == ("", "d/")
    assert (nowhere.unread_source, nowhere.unread_destination) == ("", "")


def test_a_share_is_of_what_the_filters_let_through():
    """Ten logs of ten are all of them, however many other files lie there."""
    only_logs = Filters.from_flags([(RuleFlag.INCLUDE, "*.log")])

    _, doomed = _doomed([_file("x.log")], [_file("a.log"), _file("b"), _file("c")], only_logs)

    assert (doomed.doomed, doomed.destination_seen) == (1, 1)


def test_memory_is_the_directories_above_the_present_key():
    """A million keys leave nothing behind."""
    doomed = Doomed()
    for number in range(1000):
        folder = f"{number:03}"
        for entry in (_directory(f"{folder}/"), _directory(f"{folder}/in/"), _file(f"{folder}/z")):
            list(doomed.see(None, entry))
        list(doomed.see(Entry(f"{folder}~", 0, 0, EntryKind.LINK), None))

    assert len(doomed._waiting) <= 2
    assert len(doomed._links) <= 1
