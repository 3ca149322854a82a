"""Entries come back from the spool as they went in, in order, whatever their names are."""

import errno
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.errors import DiskFullError, LocalFileError
from osssync.model import Entry, EntryKind
from osssync.spool import Spool

texts = st.text(alphabet=st.characters(categories=None), max_size=6)  # surrogates too
entries = st.builds(
    Entry,
    key=texts,
    size=st.integers(0, (1 << 63) - 1),
    mtime_ns=st.integers(-(1 << 63), (1 << 63) - 1),
    kind=st.sampled_from(EntryKind),
    etag=texts,
    storage_class=texts,
    note=texts,
)


@given(st.lists(entries, max_size=8))
def test_entries_come_back_as_they_went_in(put):
    """Field by field, line breaks, NULs and lone surrogates too; as often as asked."""
    with Spool() as spooled:
        for entry in put:
            spooled.append(entry)

        assert len(spooled) == len(put)
        assert list(spooled) == put
        assert list(spooled) == put


def test_more_may_be_appended_after_a_look():
    """A reading to the end leaves the position where the next entry goes."""
    with Spool() as spooled:
        spooled.append(Entry("a", 1, 2))
        list(spooled)
        spooled.append(Entry("b", 3, 4))

        assert [entry.key for entry in spooled] == ["a", "b"]


def test_the_file_has_no_name(tmp_path, monkeypatch):
    """So nobody can read it, and nothing is left by a process that was killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with Spool() as spooled:
        for number in range(5000):
            spooled.append(Entry(f"{number:08}" * 20, number, 0))

        assert list(tmp_path.iterdir()) == []
        assert len(spooled) == sum(1 for _ in spooled)


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EIO, LocalFileError)]
)
def test_a_full_directory_for_temporary_files_is_told_of(number, kind, monkeypatch):
    """With what to do about it; nothing is dropped from the list in silence."""

    class Broken:
        def write(self, _):
            raise OSError(number, os.strerror(number))

        def close(self):
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Broken())

    with Spool() as spooled, pytest.raises(kind, match="TMPDIR"):
        spooled.append(Entry("a", 1, 2))


def test_a_directory_that_cannot_be_written_to_is_told_of(tmp_path, monkeypatch):
    """Already when the spool is opened."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    with pytest.raises(LocalFileError, match="TMPDIR"):
        Spool()
