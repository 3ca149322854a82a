"""Names where case does not count: which are one file, and whether a directory is such a place."""

import os
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.keys import part_file_name
from osssync.local import case, namesakes
from osssync.local.case import folded, ignores_case
from osssync.local.namesakes import Namesakes

PROBE = part_file_name("0123456789abcdef")


# --- folding ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A/x", "a/X"),
        ("ÄRGER", "ärger"),
        ("caf\u00e9", "CAFE\u0301"),  # composed and not
        ("stra\u00dfe", "STRASSE"),
        ("\u017f", "S"),  # long s
        ("\u0131", "I"),  # dotless i: vfat compares in upper case
        ("\u03c3", "\u03c2"),  # both sigmas
        ("\u212a", "k"),  # Kelvin
        ("a\u00adb", "ab"),  # ext4 and APFS skip what cannot be seen
        ("a\ufe0f", "A"),
        ("\u304c", "\u304b\u3099"),  # GA, as one and as KA with its mark
        ("name.", "NAME"),  # vfat drops these
        ("dir. /x", "dir/x"),
    ],
)
def test_what_some_file_system_takes_for_one_is_folded_together(one, other):
    """Each pair is one file on vfat, APFS, NTFS or ext4 with casefold."""
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "b"), ("a/b", "ab"), ("\uff21", "A"), ("\u2460", "1"), ("a.b", "ab"), (" a", "a"),
     ("\u30cf", "\u30d0"), ("e", "\u00e9"), ("\u00f8", "o")],
)  # fmt: skip
def test_what_every_file_system_tells_apart_stays_apart(one, other):
    """Nothing is refused that looks alike only to people."""
    assert folded(one) != folded(other)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_folding_is_blind_to_what_case_functions_do(key):
    """Whatever case or composition a name is given, it is folded as before; twice is once."""
    expected = folded(key)

    for other in (key.casefold(), *map(unicodedata.normalize, ("NFC", "NFD"), (key, key))):
        assert expected == folded(other)
    assert expected == folded(expected)


# --- looking ---


class BlindToCase:
    """The part of ``os.path`` that looks at names, on a file system that ignores case."""

    def lexists(self, path):
        folder, name = os.path.split(path)
        return name.lower() in {one.name.lower() for one in Path(folder).iterdir()}


@pytest.fixture
def blind(monkeypatch):
    """Every directory ignores case, as far as this module can see."""
    fake = type("FakeOs", (), {"__getattr__": lambda _, name: getattr(os, name)})()
    fake.path = BlindToCase()
    monkeypatch.setattr(case, "os", fake)


@pytest.mark.parametrize("names", [[], ["File"], ["1", "2"], ["1", "ärger"], [PROBE]])
def test_a_directory_that_ignores_case_is_found_out(tmp_path, blind, names):
    """By one of its names, or by a file made for the purpose, of which nothing is left."""
    for name in names:
        (tmp_path / name).write_bytes(b"")

    assert ignores_case(str(tmp_path), PROBE)
    assert sorted({*names} - {PROBE}) == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("names", [[], ["File"], ["File", "fILE"], ["1"]])
def test_a_directory_that_tells_case_apart_is_found_out(tmp_path, names):
    """This machine's; both cases of one name prove nothing else."""
    for name in names:
        (tmp_path / name).write_bytes(b"")

    assert not ignores_case(str(tmp_path), PROBE)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_two_links_to_one_file_are_two_names(tmp_path):
    """The same inode in both cases is no proof where both names are listed."""
    (tmp_path / "File").write_bytes(b"")
    os.link(tmp_path / "File", tmp_path / "fILE")

    assert not ignores_case(str(tmp_path), PROBE)


def test_a_rehearsal_writes_nothing(tmp_path, blind, monkeypatch):
    """Without a name for the file that proves it, only names that are there are looked at."""
    monkeypatch.setattr(case.os, "open", None, raising=False)

    assert not ignores_case(str(tmp_path))
    (tmp_path / "File").write_bytes(b"")
    assert ignores_case(str(tmp_path))


def test_where_nothing_can_be_seen_nothing_is_said(tmp_path):
    """A directory that is missing, and one that is a file: whoever writes there says it better."""
    (tmp_path / "file").write_bytes(b"")

    assert not ignores_case(str(tmp_path / "missing"), PROBE)
    assert not ignores_case(str(tmp_path / "file"), PROBE)


# --- remembering ---


def names_of(keys, *, ignores=True):
    """What each key hears that takes its name, in order."""
    with Namesakes(lambda: ignores) as names:
        heard = []
        for key in keys:
            names.see(key)
            heard.append(names.take(key))
        return heard


def test_the_second_hears_of_the_first():
    """At any level; a directory may be shared."""
    keys = ["A/x", "A/y", "B", "a/X", "a/z", "b", "b/c"]

    assert ["", "", "", "A/x", "", "B", ""] == names_of(keys)


def test_where_case_counts_nothing_is_remembered(monkeypatch):
    """No table is filled, and no file is made."""
    monkeypatch.setattr(tempfile, "TemporaryFile", None)

    assert ["", ""] == names_of(["A", "a"], ignores=False)


@given(st.lists(st.text("aAbB/", max_size=5), unique=True))
def test_a_key_hears_of_the_first_of_its_kind(keys):
    """As a dict by the folded key would have it."""
    first = {}
    expected = []
    for key in keys:
        holder = first.setdefault(folded(key), key)
        expected.append("" if holder == key else holder)

    assert expected == names_of(keys)


def test_many_names_are_kept_apart(monkeypatch):
    """Through many enlargements of the table, full names and slots of one hash included."""
    monkeypatch.setattr(namesakes, "_SLOTS", 2)
    keys = [f"d{number % 7}/Key{number}" for number in range(5000)]

    heard = names_of([*keys, *(key.upper() for key in keys)])

    assert [""] * 5000 == heard[:5000]
    assert keys == heard[5000:]


def test_two_names_of_one_hash_are_not_refused(monkeypatch):
    """The key itself is looked at, so chance refuses nothing."""
    monkeypatch.setattr(namesakes, "_hash", lambda _: 7)

    assert ["", "", "a"] == names_of(["a", "b", "A"])


def test_what_the_source_has_is_known_in_any_case():
    """Files, directories it has something in, and markers; taken or not."""
    with Namesakes(lambda: True) as names:
        for key in ("A/b/C", "M/", "Excluded"):
            names.see(key)

        assert all(map(names.is_of_source, ("a/B/c", "A/", "a/b/", "m/", "EXCLUDED")))
        assert not any(map(names.is_of_source, ("a", "a/b", "m", "c", "b/", "excluded/")))


def test_what_has_no_room_says_so(monkeypatch):
    """A directory for temporary files that is full is reported as such."""

    def refuse(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    with pytest.raises(namesakes.LocalFileError, match="TMPDIR"):
        names_of(["a"])
