"""Columns are the sequence of the entries they were made of."""

from hypothesis import given
from hypothesis import strategies as st

from osssync.columns import NO_ENTRIES, Columns, New, Unchanged, one_by_one
from osssync.model import Action, ActionKind, Entry, EntryKind

entries = st.lists(
    st.builds(
        Entry,
        st.text(max_size=3),
        st.integers(0, 5),
        st.integers(0, 5),
        st.sampled_from(EntryKind),
        st.sampled_from(("", '"e"')),
        st.sampled_from(("", "IA")),
        st.sampled_from(("", "note")),
    ),
    max_size=12,
)
bounds = st.none() | st.integers(-14, 14)


@given(entries, bounds, bounds)
def test_columns_are_the_entries_they_were_made_of(rows, start, stop):
    """One by one, in a loop, from the end, and in part; nothing of an entry is lost."""
    columns = Columns.of(rows)

    assert rows == list(columns)
    assert rows == [columns[index] for index in range(len(columns))]
    assert rows[::-1] == [columns[-1 - index] for index in range(len(columns))]
    assert rows[start:stop] == list(columns[start:stop])
    assert rows[start:stop] == [*map(columns[start:stop].__getitem__, range(len(rows[start:stop])))]


@given(entries)
def test_plain_files_are_counted_up_to_what_is_not_one(rows):
    """A directory, a link, a note: each is looked at on its own."""
    columns = Columns.of(rows)

    for start in range(len(rows)):
        plain = rows[start : start + columns.plain(start)]
        following = rows[start + len(plain) : start + len(plain) + 1]
        assert all(entry.kind is EntryKind.FILE and not entry.note for entry in plain)
        assert all(entry.kind is not EntryKind.FILE or entry.note for entry in following)


@given(entries, st.integers(0, 4))
def test_below_a_prefix_keys_are_shorter_and_all_else_is_the_same(rows, cut):
    """Odd entries carry their own key, and it is cut as well."""
    below = Columns.of(rows).below(cut)

    assert [(row.key[cut:], row.note, row.etag) for row in rows] == [
        (entry.key, entry.note, entry.etag) for entry in below
    ]
    assert below.keys == [entry.key for entry in below]


def test_columns_are_equal_if_their_entries_are():
    """However they came into columns; and never to something else."""
    rows = [Entry("a", 1, 2), Entry("d/", 0, 0, EntryKind.DIRECTORY)]
    other_way = Columns(["a", "d/"], [1, 0], [2, 0], odd={1: rows[1]})

    assert Columns.of(rows) == other_way
    assert Columns.of(rows) != other_way[:1]
    assert Columns.of(rows) != rows
    assert list(NO_ENTRIES) == []


def test_new_files_are_as_many_transfers():
    """Each under its own key."""
    rows = [Entry("a", 1, 2), Entry("b/c", 1, 2)]

    expected = [Action(ActionKind.TRANSFER, row, "why", row.key) for row in rows]

    assert expected == list(New(Columns.of(rows), "why"))
    skips = Unchanged(Columns.of(rows), "why")
    assert [*expected, *skips, expected[0]] == list(
        one_by_one([New(Columns.of(rows), "why"), skips, expected[0]])
    )


def test_unchanged_files_are_as_many_skips():
    """Whoever wants to hear of each hears the same as if they had been decided one by one."""
    rows = [Entry("a", 1, 2), Entry("b", 1, 2)]

    skips = Unchanged(Columns.of(rows), "why")

    assert len(skips) == len(rows)
    assert [Action(ActionKind.SKIP, row, "why") for row in rows] == list(skips)
