"""Decisions about many files at once are those about each of them, whatever else is in the way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from msgspec.structs import replace as changed

from osssync.columns import Columns, New, Unchanged, one_by_one
from osssync.config import (
    Compare,
    DeleteSettings,
    Job,
    LocalAddress,
    Options,
    OssAddress,
    TransferSettings,
)
from osssync.decisions import decide_all
from osssync.errors import OsssyncError, UnsafeKeyError
from osssync.extras import Extras
from osssync.filters import Filters, RuleFlag
from osssync.model import Action, ActionKind, Direction, Entry, EntryKind
from osssync.planning.deletes import Doomed
from osssync.planning.diff import decide
from osssync.ranges import MAX_OBJECT_BYTES
from osssync.trees import Trees

S = 1_000_000_000
ADDRESSES = {
    Direction.DOWNLOAD: (OssAddress("b", ""), LocalAddress("/d")),
    Direction.UPLOAD: (LocalAddress("/d"), OssAddress("b", "")),
    Direction.COPY: (OssAddress("b", ""), OssAddress("c", "")),
}
ODD = (EntryKind.DIRECTORY, EntryKind.LINK, EntryKind.UNUSABLE)
FILTERS = (Filters(), Filters.from_flags([(RuleFlag.EXCLUDE, "*-*")]))

paths = st.lists(st.text(alphabet="aA-.0é日😀", min_size=1, max_size=2), min_size=1, max_size=3)
names = st.sets(paths.map("/".join), max_size=40)
rarely = st.sampled_from((False,) * 9 + (True,))


def _in_order(entries):
    return sorted(entries, key=lambda entry: entry.key.encode())


@st.composite
def trees(draw):
    """Two listings that are much the same: other sizes, times and kinds, more and fewer keys."""
    here, there = {}, {}
    only_here = draw(st.sampled_from((None, None, "", "a", "A", "0")))  # what begins so
    for name in draw(names):
        entry = other = Entry(name, 5, 7 * S)
        if draw(rarely):
            other = Entry(name, draw(st.sampled_from((5, 6))), draw(st.integers(6, 8)) * S + 1)
        if draw(rarely):
            kind = draw(st.sampled_from(ODD))
            other = Entry(name + "/" * (kind is EntryKind.DIRECTORY), 0, 0, kind, note="odd")
        if draw(rarely):
            entry, other = other, entry
        for side, one in ((here, entry), (there, other)):
            is_missing = side is there and only_here is not None and name.startswith(only_here)
            if not (is_missing or draw(rarely)):
                side[one.key] = one
    return _in_order(here.values()), _in_order(there.values())


@st.composite
def cut(draw, entries):
    """The listing in columns, cut at random."""
    cuts = sorted(draw(st.lists(st.integers(0, len(entries)), max_size=3)))
    return [Columns.of(entries[a:b]) for a, b in pairwise([0, *cuts, len(entries)])]


def _job(direction, compare=Compare.TIME, filters=FILTERS[0]):
    options = replace(
        Options(), compare=compare, filters=filters, deletes=DeleteSettings(wanted=True)
    )
    return Job(*ADDRESSES[direction], options=options)


def _trees(source, destination, *, ignores_case=False, target_of=None, keeps_plain_keys=False):
    return Trees(
        source=lambda: iter(source),
        destination=lambda: iter(destination),
        target_of=target_of or (lambda entry: entry.key),
        look=lambda entry: entry,
        open_steps=lambda: pytest.fail("nothing is moved"),
        open_remover=lambda _stop: pytest.fail("nothing is removed"),
        ignores_case=lambda: ignores_case,
        keeps_plain_keys=keeps_plain_keys,
    )


def _one_by_one(here, there, job):
    """The same by looking at each key of two dictionaries."""
    options, direction, doomed = job.options, job.direction, Doomed(job.options.filters)
    sides = {entry.key: entry for entry in here}, {entry.key: entry for entry in there}
    actions, extras = [], []
    for key in sorted(sides[0].keys() | sides[1].keys(), key=str.encode):
        entry, existing = sides[0].get(key), sides[1].get(key)
        extras += doomed.see(entry, existing)
        if entry is None or (entry.kind is EntryKind.DIRECTORY and direction is Direction.UPLOAD):
            continue
        excluded = options.filters.decide(entry)
        if excluded is None:
            action = decide(entry, existing, options.compare, direction)
            target = key if action.kind is ActionKind.TRANSFER else ""
            actions.append(changed(action, target=target))
        else:
            actions.append(Action(ActionKind.EXCLUDE, entry, excluded))
    extras += doomed.end()
    facts = doomed.facts(failures=0, source_complete=True, destination_complete=True)
    return actions, extras, facts


@given(
    st.data(),
    trees(),
    st.sampled_from(Direction),
    st.sampled_from(Compare),
    st.sampled_from(FILTERS),
)
def test_decisions_and_extras_are_those_of_each_pair(data, listings, direction, compare, filters):
    """Kind, entry and reason of each, in order; what is to be deleted, and what guards ask for."""
    here, there = listings
    job = _job(direction, compare, filters)
    expected_actions, expected_extras, expected_facts = _one_by_one(here, there, job)

    with Extras(job.options.deletes, filters) as extras:
        keeps = data.draw(st.booleans())
        given_trees = _trees(data.draw(cut(here)), data.draw(cut(there)), keeps_plain_keys=keeps)
        actions = list(one_by_one(decide_all(job, given_trees, extras)))
        doomed = list(extras)
        facts = extras.facts(failures=0)

    assert expected_actions == actions
    assert expected_extras == doomed
    assert expected_facts == facts


MANY = [Entry(f"d/{number:03}", 5, 7 * S) for number in range(300)]


def _decisions(job, source, destination, **how):
    with Extras(job.options.deletes, job.options.filters) as extras:
        trees_of_columns = _trees([Columns.of(source)], [Columns.of(destination)], **how)
        return list(decide_all(job, trees_of_columns, extras))


@pytest.mark.parametrize("direction", [Direction.DOWNLOAD, Direction.UPLOAD])
def test_what_is_unchanged_is_one_decision(direction):
    """However many files: this is what makes a sync with nothing to do quick."""
    (decision,) = _decisions(_job(direction), MANY, MANY)

    assert isinstance(decision, Unchanged)
    assert (300, "unchanged") == (len(decision), decision.reason)


def test_of_what_is_new_each_file_is_named():
    """One that can have no name there is refused, all others are transferred."""

    def target_of(entry):
        if entry.key == "d/007":
            raise UnsafeKeyError("no name for it")
        return f"below/{entry.key}"

    decisions = _decisions(_job(Direction.DOWNLOAD), MANY, [], target_of=target_of)

    expected = [Action(ActionKind.TRANSFER, one, "new", f"below/{one.key}") for one in MANY]
    expected[7] = Action(ActionKind.REFUSE, MANY[7], "no name for it")
    assert expected == decisions


@pytest.mark.parametrize("direction", Direction)
def test_what_is_new_is_one_decision_where_every_key_keeps(direction):
    """However many files: nothing is to be asked of any of them."""
    (decision,) = _decisions(_job(direction), MANY, [], keeps_plain_keys=True)

    assert isinstance(decision, New)
    expected = [Action(ActionKind.TRANSFER, one, "new", one.key) for one in MANY]
    assert expected == list(decision)


@pytest.mark.parametrize(
    "odd",
    [
        changed(MANY[7], size=TransferSettings().bigfile_threshold),
        changed(MANY[7], key="d/007\\"),
        changed(MANY[7], key="d/007é"),
        changed(MANY[7], kind=EntryKind.DIRECTORY, key="d/007/"),
    ],
    ids=lambda odd: odd.key,
)
def test_new_files_of_which_one_is_odd_are_decided_about_one_by_one(odd):
    """One that travels in parts, or whose key is in doubt: the same decisions about each."""
    files = [*MANY[:7], odd, *MANY[8:]]

    decisions = _decisions(_job(Direction.DOWNLOAD), files, [], keeps_plain_keys=True)

    assert files == [action.entry for action in one_by_one(decisions)]
    assert any(isinstance(one, Action) and one.entry == odd for one in decisions)


def test_of_what_is_new_no_file_is_larger_than_an_object_can_be():
    """Another of them is transferred all the same."""
    large = changed(MANY[7], size=MAX_OBJECT_BYTES + 1)

    decisions = _decisions(_job(Direction.UPLOAD), [*MANY[:7], large, *MANY[8:]], [])

    assert ["d/007"] == [one.entry.key for one in decisions if one.kind is ActionKind.REFUSE]
    assert len(MANY) == len(decisions)


def test_where_case_is_ignored_new_files_are_compared_by_their_names():
    """The second of two that would be one file is refused."""
    keys = [*(f"A{n:02}" for n in range(20)), "Z", "a07"]

    decisions = _decisions(
        _job(Direction.DOWNLOAD), [Entry(key, 5, 7 * S) for key in keys], [], ignores_case=True
    )

    assert ["a07"] == [one.entry.key for one in decisions if one.kind is ActionKind.REFUSE]


@pytest.mark.parametrize("direction", Direction)
def test_guards_are_told_of_all_that_is_new(direction):
    """How many files there are, and which directories of the destination they keep."""
    here = MANY[:200]
    there = [Entry("d/", 0, 0, EntryKind.DIRECTORY), changed(MANY[0], key="d/100x"),
             Entry("e/", 0, 0, EntryKind.DIRECTORY)]  # fmt: skip
    job = _job(direction)

    with Extras(job.options.deletes, job.options.filters) as extras:
        trees_of_columns = _trees([Columns.of(here)], [Columns.of(there)])
        actions = list(decide_all(job, trees_of_columns, extras))
        found = actions, list(extras), extras.facts(failures=0)

    assert _one_by_one(here, there, job) == found


def test_filters_look_at_each_file():
    """Some of what is unchanged may be excluded."""
    decisions = _decisions(_job(Direction.DOWNLOAD, filters=FILTERS[1]), MANY, MANY)

    assert len(MANY) == len(decisions)


def test_where_case_is_ignored_unchanged_files_are_compared_by_their_names():
    """Two keys that are one file there: the second is refused, though both seem to exist."""
    both = [Entry(key, 5, 7 * S) for key in (*(f"A{n:02}" for n in range(20)), "Z", "a07")]

    decisions = _decisions(_job(Direction.DOWNLOAD), both, both, ignores_case=True)

    assert ["a07"] == [one.entry.key for one in decisions if one.kind is ActionKind.REFUSE]
    assert len(both) == len(decisions)


def test_a_listing_that_breaks_off_is_an_error_after_what_came_before():
    """Never an early end: deletes rely on that."""

    def breaks_off():
        yield Columns.of(MANY[:100])
        raise OsssyncError("no answer")

    job, heard = _job(Direction.DOWNLOAD), []
    with Extras(job.options.deletes, job.options.filters) as extras:
        given_trees = _trees(breaks_off(), [Columns.of(MANY)])
        with pytest.raises(OsssyncError, match="no answer"):
            heard.extend(decide_all(job, given_trees, extras))

    assert MANY[:100] == [action.entry for action in one_by_one(heard)]
