"""A walk sees everything in key order and says why what cannot be used cannot."""

import contextlib
import os
import resource
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osssync.errors import LocalFileError, UsageError
from osssync.local.scan import scan
from osssync.model import Entry, EntryKind

FILE, DIRECTORY, UNUSABLE = EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.UNUSABLE


def _scan(root, *, follow=True, directories=False):
    return list(scan(root, follow_symlinks=follow, with_directories=directories))


def _keys(root, **how):
    return [entry.key for entry in _scan(root, **how)]


def _write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_entry_has_the_size_and_time_of_its_file(tmp_path):
    """To the nanosecond, and nothing else filled in."""
    file = _write(tmp_path / "d" / "f", "hello")
    os.utime(file, ns=(1, 1_234_567_890_123_456_789))

    assert _scan(tmp_path) == [Entry("d/f", 5, 1_234_567_890_123_456_789)]


def test_an_empty_root_has_no_entries(tmp_path):
    """Not even itself."""
    assert _scan(tmp_path, directories=True) == []


def test_a_directory_sorts_as_its_name_with_a_slash(tmp_path):
    """The order of keys, which is not the order of names."""
    for name in ("a0", "a/x", "a-b", "a/b/c", "a.txt", "B", "é", "日/本", "😀"):
        _write(tmp_path / name)

    assert _keys(tmp_path) == [
        "B", "a-b", "a.txt", "a/b/c", "a/x", "a0", "é", "日/本", "😀",
    ]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(paths=st.sets(st.text(alphabet="a-0/.é😀", min_size=1, max_size=6), max_size=12))
def test_any_tree_comes_in_utf8_byte_order(tmp_path_factory, paths):
    """Against sorting the encoded paths of all files that could be made."""
    root = tmp_path_factory.mktemp("tree")
    made = set()
    for path in paths:
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts):
            continue
        try:
            _write(root / path)
        except OSError:  # a file stands where this one needs a directory, or the reverse
            continue
        made.add(path)

    assert _keys(root) == sorted(made, key=lambda path: path.encode())


def test_directories_come_before_their_contents_when_asked_for(tmp_path):
    """Empty ones too; still in key order."""
    _write(tmp_path / "a" / "x")
    _write(tmp_path / "a-b")
    (tmp_path / "empty").mkdir()

    entries = _scan(tmp_path, directories=True)

    assert [(entry.key, entry.kind) for entry in entries] == [
        ("a-b", FILE),
        ("a/", DIRECTORY),
        ("a/x", FILE),
        ("empty/", DIRECTORY),
    ]


def test_links_are_followed_or_named(tmp_path):
    """Followed, they are what they point at; otherwise unusable, never dropped."""
    _write(tmp_path / "real" / "f", "12345")
    (tmp_path / "link-d").symlink_to("real")
    (tmp_path / "link-f").symlink_to("real/f")

    followed = [(entry.key, entry.size, entry.kind) for entry in _scan(tmp_path)]
    named = [(entry.key, entry.kind, entry.note) for entry in _scan(tmp_path, follow=False)]

    assert followed == [("link-d/f", 5, FILE), ("link-f", 5, FILE), ("real/f", 5, FILE)]
    assert named == [
        ("link-d", EntryKind.LINK, "a symbolic link, not followed"),
        ("link-f", EntryKind.LINK, "a symbolic link, not followed"),
        ("real/f", FILE, ""),
    ]


def test_a_root_that_is_a_link_is_always_followed(tmp_path):
    """The user named it."""
    _write(tmp_path / "real" / "f")
    (tmp_path / "link").symlink_to("real")

    assert _keys(tmp_path / "link", follow=False) == ["f"]


@pytest.mark.parametrize(
    ("target", "loop"),
    [(".", "d/loop/"), ("..", "d/loop/"), ("../../top", "d/loop/"), ("../..", "d/loop/top/")],
)
def test_a_loop_of_links_ends_in_one_unusable_entry(tmp_path, target, loop):
    """Its key ends in "/": what is below it was not listed."""
    root = tmp_path / "top"
    _write(root / "d" / "f")
    (root / "d" / "loop").symlink_to(target)

    unusable = [entry for entry in _scan(root) if entry.kind is UNUSABLE]

    assert [entry.key for entry in unusable] == [loop]
    assert "directory it lies in" in unusable[0].note


def test_two_directories_that_link_to_each_other_end(tmp_path):
    """A loop over two links is found at its second turn."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "to-b").symlink_to("../b")
    (tmp_path / "b" / "to-a").symlink_to("../a")

    assert _keys(tmp_path) == ["a/to-b/to-a/", "b/to-a/to-b/"]


def test_the_same_directory_linked_twice_is_no_loop(tmp_path):
    """Both names have its files."""
    _write(tmp_path / "real" / "f")
    (tmp_path / "x").symlink_to("real")
    (tmp_path / "y").symlink_to("real")

    assert _keys(tmp_path) == ["real/f", "x/f", "y/f"]


def test_a_dangling_link_is_unusable(tmp_path):
    """And so is one that points at itself."""
    (tmp_path / "nowhere").symlink_to("nothing")
    (tmp_path / "self").symlink_to("self")

    notes = {entry.key: (entry.kind, entry.note) for entry in _scan(tmp_path)}

    assert notes["nowhere"] == (UNUSABLE, "a symbolic link to nothing")
    assert notes["self"][0] is UNUSABLE
    assert "cannot be read" in notes["self"][1]


def test_special_files_are_unusable(tmp_path):
    """They are looked at and never opened: a named pipe would block."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(tmp_path)  # the name of a socket may have 107 bytes only
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        (tmp_path / "device").symlink_to("/dev/null")

        entries = _scan(tmp_path)

    assert [(entry.key, entry.kind, entry.note) for entry in entries] == [
        ("device", UNUSABLE, "a device, not a file"),
        ("pipe", UNUSABLE, "a named pipe, not a file"),
        ("socket", UNUSABLE, "a socket, not a file"),
    ]


def test_a_name_that_is_not_utf8_is_unusable_and_so_is_all_below_it(tmp_path):
    """Each file is named, so each can be counted."""
    for name in (b"bad\xfe", b"d\xff/inside", b"good"):
        _write(tmp_path / os.fsdecode(name))

    entries = {entry.key: entry.kind for entry in _scan(tmp_path)}

    assert entries == {"bad\udcfe": UNUSABLE, "d\udcff/inside": UNUSABLE, "good": FILE}


def test_a_directory_that_cannot_be_listed_is_one_unusable_entry(tmp_path, monkeypatch):
    """Its key ends in "/", it is not also a directory, and the walk goes on."""
    _write(tmp_path / "a")
    _write(tmp_path / "closed" / "x")
    _write(tmp_path / "z")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed/"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    entries = _scan(tmp_path, directories=True)

    assert [(entry.key, entry.kind, entry.note) for entry in entries] == [
        ("a", FILE, ""),
        ("closed/", UNUSABLE, "cannot be listed: Permission denied"),
        ("z", FILE, ""),
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_directory_without_permission_is_one_unusable_entry(tmp_path):
    """The same, with the real system."""
    _write(tmp_path / "closed" / "x")
    (tmp_path / "closed").chmod(0)

    try:
        entries = _scan(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)

    assert [(entry.key, entry.kind) for entry in entries] == [("closed/", UNUSABLE)]


def test_a_file_that_vanishes_while_it_is_listed_is_unusable(tmp_path, monkeypatch):
    """Named, since a listing must never be shorter than it seemed."""
    monkeypatch.setattr("osssync.local.scan.AT_ONCE", 1)
    for name in ("a", "b", "d/x"):
        _write(tmp_path / name)
    entries = scan(tmp_path, follow_symlinks=True, with_directories=False)

    first = next(entries)
    (tmp_path / "b").unlink()
    (tmp_path / "d" / "x").unlink()
    (tmp_path / "d").rmdir()
    rest = list(entries)

    assert first.key == "a"
    assert [(entry.key, entry.kind) for entry in rest] == [("b", UNUSABLE), ("d/", UNUSABLE)]
    assert rest[0].note == "vanished while it was listed"


def test_our_part_files_are_left_out(tmp_path):
    """And nothing else is: not a similar name, not a directory, not a hidden file."""
    part = ".osssync-0123456789abcdef.part"
    _write(tmp_path / part)
    _write(tmp_path / "d" / part)
    _write(tmp_path / "e" / part / "f")
    _write(tmp_path / f"{part}.txt")
    _write(tmp_path / ".hidden")

    assert _keys(tmp_path) == [".hidden", f"{part}.txt", f"e/{part}/f"]


@contextlib.contextmanager
def _nested(root, name, depth):
    """A file "leaf" below ``depth`` directories, removed step by step: rmtree would recurse."""
    here = Path.cwd()
    os.chdir(root)
    try:
        for _ in range(depth):
            Path(name).mkdir()
            os.chdir(name)
        Path("leaf").touch()
        os.chdir(here)
        yield
        os.chdir(root)
        for _ in range(depth):
            os.chdir(name)
        Path("leaf").unlink()
        for _ in range(depth):
            os.chdir("..")
            Path(name).rmdir()
    finally:
        os.chdir(here)


def test_a_deep_tree_is_walked_without_recursion(tmp_path):
    """1,500 levels, more than Python may recurse, and with few descriptors open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with _nested(tmp_path, "d", 1500):
        in_use = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 8, hard))
        try:
            keys = _keys(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert keys == ["d/" * 1500 + "leaf"]


def test_a_path_too_long_for_the_system_is_unusable(tmp_path):
    """Not an error of the whole walk."""
    with _nested(tmp_path, "d" * 250, 20):
        entries = _scan(tmp_path)

    assert [entry.kind for entry in entries] == [UNUSABLE]
    assert entries[0].note == "cannot be listed: File name too long"


def test_a_missing_root_is_an_error_at_once(tmp_path):
    """Not an empty listing, after which a sync would delete everything."""
    with pytest.raises(LocalFileError, match="missing"):
        scan(tmp_path / "missing", follow_symlinks=True, with_directories=False)


def test_a_root_that_is_a_file_is_a_usage_error(tmp_path):
    """The user gave the wrong address."""
    file = _write(tmp_path / "file")

    with pytest.raises(UsageError, match="is a file"):
        scan(file, follow_symlinks=True, with_directories=False)


def test_every_file_costs_one_stat(tmp_path, monkeypatch):
    """The hot path of a million files; a directory costs one more."""
    for number in range(20):
        _write(tmp_path / "d" / f"{number}")
    looked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: looked.append(path) or stat(path, **how))

    entries = _scan(tmp_path)

    assert len(entries) == 20
    assert len(looked) == 20 + 2
