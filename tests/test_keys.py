"""A key never becomes a file outside the destination, nor a name OSS would not keep."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.errors import UnsafeKeyError
from osssync.keys import (
    LONGEST_PLAIN_PREFIX,
    are_plain,
    display,
    is_part_file,
    join,
    part_file_name,
    relative_directory,
    relative_path,
    upload_key,
)

PART = ".osssync-0123456789abcdef.part"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", ("a",)),
        ("a/b/c.txt", ("a", "b", "c.txt")),
        ("...", ("...",)),
        ("a/..b/.c", ("a", "..b", ".c")),
        ("日本/ファイル", ("日本", "ファイル")),
        ("new\nline\x1b", ("new\nline\x1b",)),
        ("back\\slash", ("back\\slash",)),
        ("x" * 255, ("x" * 255,)),
        ("é" * 127, ("é" * 127,)),
        (f"{PART}/x", (PART, "x")),
        (f"{PART}x", (f"{PART}x",)),
    ],
)
def test_an_honest_key_becomes_its_components(key, expected):
    """Whatever Linux takes as a name is kept as it is."""
    assert relative_path(key) == expected


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("/", "absolute"),
        ("..", "leave"),
        ("a/../../b", "leave"),
        ("a/..", "leave"),
        (".", "directory itself"),
        ("a/./b", "directory itself"),
        ("a//b", "empty name"),
        ("a/", "empty name"),
        ("a\0b", "NUL"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("/".join(["d" * 250] * 17), "4095"),
        ("\udcff", "Unicode"),
        ("\ud800x", "Unicode"),
        (PART, "reserved"),
        (f"a/{PART}", "reserved"),
    ],
)
def test_a_key_that_can_be_no_file_is_refused_with_its_reason(key, reason):
    """Each kind of bad key is told apart, and shown in a form that is safe to print."""
    with pytest.raises(UnsafeKeyError) as caught:
        relative_path(key)

    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.text(alphabet="./a\\\0\nb", max_size=12))
def test_no_accepted_key_leaves_its_directory(key):
    """Against the operating system's own idea of a normal path."""
    try:
        components = relative_path(key)
    except UnsafeKeyError:
        return

    assert "/".join(components) == key
    assert posixpath.normpath(posixpath.join("/root", key)) == f"/root/{key}"
    assert "\0" not in key


def test_a_directory_key_ends_in_exactly_one_slash():
    """The slash marks it and is no component."""
    assert relative_directory("a/b/") == ("a", "b")

    for key in ("", "/", "a", "a//", "../", "/a/", "./"):
        with pytest.raises(UnsafeKeyError):
            relative_directory(key)


@pytest.mark.parametrize(
    ("prefix", "expected"), [("", "k"), ("a", "a/k"), ("a/", "a/k"), ("a//", "a//k"), ("/", "/k")]
)
def test_a_prefix_means_the_same_with_and_without_its_slash(prefix, expected):
    """Contents map to contents."""
    assert join(prefix, "k") == expected


def test_a_key_of_exactly_1023_bytes_is_kept():
    """The limit counts UTF-8 bytes, prefix included."""
    assert upload_key("p", "é" * 510 + "x") == "p/" + "é" * 510 + "x"


@pytest.mark.parametrize(
    ("prefix", "relative", "reason"),
    [
        ("", "", "empty"),
        ("p", "é" * 511, "1024 bytes"),
        ("", "/a", "begins with"),
        ("/p", "a", "begins with"),
        ("", "\\a", "begins with"),
        ("", ".", "resolve"),
        ("", "..", "resolve"),
        ("", "a\udcff", "UTF-8"),
    ],
)
def test_a_name_oss_would_not_keep_is_refused_with_its_reason(prefix, relative, reason):
    """Found here, before a byte of the file is read."""
    with pytest.raises(UnsafeKeyError) as caught:
        upload_key(prefix, relative)

    assert reason in str(caught.value)


def test_odd_but_legal_keys_are_uploaded():
    """OSS keeps these, so they are nobody else's business."""
    for key in ("a//b", "a/../b", "...", "a\\b", "sp ace", "new\nline", "?#%+&"):
        assert upload_key("", key) == key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("plain/日本 語", "plain/日本 語"),
        ("wide\u3000space", "wide\u3000space"),
        ("a\nb\r\t", r"a\nb\r\t"),
        ("\x1b[2Jx", r"\x1b[2Jx"),
        ("\u202egnp", r"\u202egnp"),
        ("\udcff", r"\udcff"),
        ("\u2028", r"\u2028"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_a_displayed_key_cannot_move_the_cursor_or_forge_a_line(key, expected):
    """Control, formatting and stray characters are escaped; writing systems are not."""
    assert display(key) == expected


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_a_displayed_key_is_one_encodable_line(key):
    """Any text at all can be logged."""
    shown = display(key)

    assert len(f"{shown}.".splitlines()) == 1
    shown.encode()


def test_part_files_are_known_by_their_names_alone():
    """A scan leaves out ours and nothing that merely resembles them."""
    assert part_file_name("0123456789abcdef") == PART
    assert is_part_file(PART)
    for name in ("", PART[1:], PART + "\n", PART.upper(), ".osssync-123.part", "x" + PART):
        assert not is_part_file(name)


def test_a_token_that_would_not_be_recognised_is_refused():
    """Or the file would stay as debris for ever."""
    with pytest.raises(ValueError, match="16 lower case"):
        part_file_name("../../etc/passwd")


COMPONENT = st.sampled_from(
    ["", ".", "..", "a", "..b", ".osssync-", PART, "x" * 254, "é", "\n", "b\\"]
)
KEYS = st.lists(st.lists(COMPONENT, min_size=1, max_size=3).map("/".join), min_size=1, max_size=4)


@given(KEYS | st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_plain_keys_are_names_here_and_at_oss(keys):
    """What is said of all of them at once holds for each: nobody refuses any."""
    if are_plain(keys):
        for key in keys:
            assert "/".join(relative_path(key)) == key
            for prefix in ("", "p" * LONGEST_PLAIN_PREFIX):
                assert upload_key(prefix, key) == prefix + "/" * bool(prefix) + key


def test_common_keys_are_plain():
    """A run of them is looked at once."""
    assert are_plain(["a", "d000/f000001", "x" * 255, ".hidden", "..b/...", "new\nline", "a b+%41"])


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "a/..",
        "../a",
        "./a",
        PART,
        f"d/{PART}",
        "x" * 256,
        "a\0",
        "a\\",
        "é",
    ],
)
def test_a_doubtful_key_is_not_plain_among_others(key):
    """Then each of them is looked at."""
    assert not are_plain([key])
    assert not are_plain(["a", key, "b"])
