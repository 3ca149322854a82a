"""A file appears whole or not at all, never outside the root; a source that changes is noticed."""

import contextlib
import errno
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from osssync.checksums import crc64
from osssync.errors import (
    DiskFullError,
    LocalFileError,
    SourceChangedError,
    UnsafeKeyError,
)
from osssync.keys import is_part_file
from osssync.local import directories, durability, files, part_file, system_calls
from osssync.local import source as source_module
from osssync.local.directories import Directories
from osssync.local.files import DestinationRoot, SmallFile
from osssync.local.part_names import PartNames
from osssync.local.source import SourceFile
from osssync.model import ByteRange, Entry, EntryKind

MTIME_NS = 1_234_567_890_000_000_000


@pytest.fixture
def root(tmp_path):
    with DestinationRoot(tmp_path / "root") as opened:
        yield opened


@pytest.fixture
def below(tmp_path):
    return tmp_path / "root"


def _names(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def _fail(monkeypatch, name, number, *modules):
    """Make a system call fail for the modules under test alone, as the system would."""

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    fake = type("FakeOs", (), {"__getattr__": lambda _, attribute: getattr(os, attribute)})()
    setattr(fake, name, refuse)
    for module in modules or (files, part_file, durability):
        monkeypatch.setattr(module, "os", fake)


def _descriptors():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


# --- small files ---


def test_a_small_file_is_written_with_its_time(root, below):
    """Content and time are right, missing directories are made, and nothing else is left."""
    root.write_small(("a", "b", "f"), b"hello", MTIME_NS)

    assert (below / "a" / "b" / "f").read_bytes() == b"hello"
    assert (below / "a" / "b" / "f").stat().st_mtime_ns == MTIME_NS
    assert _names(below) == ["a", "a/b", "a/b/f"]


def test_several_are_written_together(root, below):
    """One that cannot be is told, spoils no other, and leaves nothing behind."""
    (below / "b").mkdir()
    wanted = [("d", "a"), ("b",), ("d", "c"), ("x" * 300,)]
    files = [SmallFile(components, bytes(components[-1], "ascii"), MTIME_NS)
             for components in wanted]  # fmt: skip

    assert [True, False, True, False] == root.write_together(files)

    assert ["b", "d", "d/a", "d/c"] == _names(below)
    assert b"c" == (below / "d" / "c").read_bytes()
    assert MTIME_NS == (below / "d" / "c").stat().st_mtime_ns


@pytest.mark.parametrize("data", [b"", bytearray(b"xyz"), memoryview(b"xyz")[1:]])
def test_any_buffer_can_be_written(root, below, data):
    """Empty ones too."""
    root.write_small(("f",), data, MTIME_NS)

    assert (below / "f").read_bytes() == bytes(data)


def test_a_short_write_is_continued(root, below, monkeypatch):
    """The system may take fewer bytes than it was given."""
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, bytes(data[:3]), at))

    root.write_small(("f",), b"0123456789", MTIME_NS)

    assert (below / "f").read_bytes() == b"0123456789"


def test_a_new_file_has_the_permissions_of_the_umask(root, below):
    """As any program's new file has."""
    before = os.umask(0o027)
    try:
        root.write_small(("d", "f"), b"", MTIME_NS)
    finally:
        os.umask(before)

    assert (below / "d" / "f").stat().st_mode & 0o777 == 0o640
    assert (below / "d").stat().st_mode & 0o777 == 0o750


def test_a_file_is_replaced_whole(root, below):
    """A reader of the old one keeps the old one: it is replaced, not overwritten."""
    root.write_small(("f",), b"old content", MTIME_NS)
    with (below / "f").open("rb") as reader:
        root.write_small(("f",), b"new", MTIME_NS)

        assert reader.read() == b"old content"
    assert (below / "f").read_bytes() == b"new"


def test_a_link_in_the_files_place_is_replaced_and_not_written_through(root, below, tmp_path):
    """What the link pointed at is untouched."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (below / "f").symlink_to(outside)

    root.write_small(("f",), b"new", MTIME_NS)

    assert not (below / "f").is_symlink()
    assert (below / "f").read_bytes() == b"new"
    assert outside.read_bytes() == b"precious"


def test_a_cached_parent_costs_five_system_calls_a_file(root, monkeypatch):
    """Open, write, time, close, rename: the hot path of a million small files."""
    root.write_small(("d", "first"), b"x", MTIME_NS)
    calls = []
    for name in ("open", "mkdir", "stat", "fstat", "pwrite", "utime", "close", "rename", "dup"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, _n=name, _r=real, **k: calls.append(_n) or _r(*a, **k)
        )

    root.write_small(("d", "second"), b"x", MTIME_NS)

    monkeypatch.undo()
    assert calls == ["open", "pwrite", "utime", "close", "rename"]


# --- nothing leaves the root ---


@pytest.mark.parametrize("target", ["../outside", "inside", "nowhere"])
def test_a_link_in_the_path_is_never_followed(root, below, tmp_path, target):
    """Not even one that stays inside, nor one that dangles."""
    (tmp_path / "outside").mkdir()
    (below / "inside").mkdir()
    (below / "link").symlink_to(target)

    with pytest.raises(UnsafeKeyError, match="symbolic link"):
        root.write_small(("link", "f"), b"x", MTIME_NS)
    with pytest.raises(UnsafeKeyError, match="symbolic link"):
        root.create_part(("link", "deeper", "f"), 5)
    with pytest.raises(UnsafeKeyError, match="symbolic link"):
        root.make_directory(("link",))

    assert _names(tmp_path) == ["outside", "root", "root/inside", "root/link"]


def test_a_file_in_a_directorys_place_is_a_clash(root, below):
    """Objects "a" and "a/b" cannot both be files."""
    root.write_small(("a",), b"x", MTIME_NS)

    with pytest.raises(UnsafeKeyError, match="a file where a directory"):
        root.write_small(("a", "b"), b"x", MTIME_NS)

    assert _names(below) == ["a"]


def test_a_directory_in_a_files_place_is_a_clash_and_leaves_no_debris(root, below):
    """For small files and for published ones."""
    root.make_directory(("a",))

    with pytest.raises(UnsafeKeyError, match="a directory where a file"):
        root.write_small(("a",), b"x", MTIME_NS)
    part = root.create_part(("a",), 3)
    with pytest.raises(UnsafeKeyError, match="a directory where a file"):
        root.publish(("a",), part, MTIME_NS)

    assert _names(below) == ["a"]


def test_the_root_itself_may_be_a_link_and_is_made_with_its_parents(tmp_path):
    """The user named it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    with DestinationRoot(tmp_path / "link" / "x" / "y") as root:
        root.write_small(("f",), b"x", MTIME_NS)

    assert (tmp_path / "real" / "x" / "y" / "f").read_bytes() == b"x"


def test_a_root_that_is_a_file_is_refused(tmp_path):
    """With the path and what is wrong."""
    (tmp_path / "file").touch()

    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(LocalFileError, match="a file stands where a directory is needed"):
            DestinationRoot(path)


def test_only_part_files_can_be_named_by_a_part_name(root, below):
    """A damaged journal must not make us publish or remove something else."""
    (below / "precious").touch()

    for call in (
        lambda name: root.discard(("f",), name),
        lambda name: root.publish(("f",), name, MTIME_NS),
        lambda name: root.open_part(("f",), name),
    ):
        for name in ("precious", "../precious", ""):
            with pytest.raises(ValueError, match="not the name of an unfinished file"):
                call(name)

    assert _names(below) == ["precious"]


# --- large files ---


def test_a_file_is_invisible_while_it_comes(root, below):
    """It is in place, with its time, when all of it has come."""
    with root.new_file(("d", "f"), MTIME_NS) as part:
        part.write_at(b"01234", 0)
        part.write_at(memoryview(b"56789"), 5)
        assert not (below / "d" / "f").exists()

    assert (below / "d" / "f").read_bytes() == b"0123456789"
    assert (below / "d" / "f").stat().st_mtime_ns == MTIME_NS
    assert _names(below) == ["d", "d/f"]


def test_a_file_that_does_not_come_to_its_end_is_none(root, below):
    """What was there stays, and nothing else is left."""
    root.write_small(("f",), b"old", MTIME_NS)

    def write():
        with root.new_file(("f",), MTIME_NS) as part:
            part.write_at(b"new", 0)
            raise RuntimeError("no more comes")

    with pytest.raises(RuntimeError, match="no more comes"):
        write()

    assert (below / "f").read_bytes() == b"old"
    assert _names(below) == ["f"]


def test_a_file_that_comes_after_the_end_is_none(root, below):
    """A thread that was left behind by its run must not give a name to what is another run's."""

    def write():
        with root.new_file(("f",), MTIME_NS) as part:
            part.write_at(b"late", 0)
            root.close()
            assert _names(below) == []

    with pytest.raises(LocalFileError, match="after the run"):
        write()

    assert _names(below) == []


def test_a_large_file_is_invisible_until_it_is_published(root, below):
    """Its part file lies beside the target, has the full size, and becomes it."""
    name = root.create_part(("d", "f"), 10)

    assert is_part_file(name)
    assert (below / "d" / name).stat().st_size == 10
    with root.open_part(("d", "f"), name) as part:
        part.write_at(b"56789", 5)
        part.write_at(memoryview(b"01234"), 0)
    assert not (below / "d" / "f").exists()

    root.publish(("d", "f"), name, MTIME_NS)

    assert (below / "d" / "f").read_bytes() == b"0123456789"
    assert (below / "d" / "f").stat().st_mtime_ns == MTIME_NS
    assert _names(below) == ["d", "d/f"]


def test_parts_may_be_written_from_many_threads(root, below):
    """Each at its own offset, each with its own descriptor."""
    name = root.create_part(("f",), 64 * 1000)

    def write(number):
        with root.open_part(("f",), name) as part:
            part.write_at(bytes([number]) * 1000, number * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    root.publish(("f",), name, MTIME_NS)

    assert (below / "f").read_bytes() == b"".join(bytes([n]) * 1000 for n in range(64))


def test_the_content_is_durable_before_the_name_is(root, monkeypatch):
    """Or a power cut could leave the name with zeros."""
    order = []
    for name in ("utime", "fsync", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, _n=name, _r=real, **k: order.append(_n) or _r(*a, **k)
        )
    part = root.create_part(("f",), 1)

    root.publish(("f",), part, MTIME_NS)

    monkeypatch.undo()
    assert order == ["utime", "fsync", "rename"]


def test_space_is_reserved_when_a_part_file_is_made(root, below):
    """A full disk shows before the download and not after it."""
    size = 1 << 20
    name = root.create_part(("f",), size)

    assert (below / name).stat().st_blocks * 512 >= size


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_without_preallocation_a_part_file_still_has_its_size(root, below, monkeypatch, number):
    """Some network file systems reserve nothing."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(system_calls, "_call", refuse)

    name = root.create_part(("f",), 12345)

    assert (below / name).stat().st_size == 12345


class Slow:
    """A clock by which whatever is measured takes ten seconds."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        self.now_s += 10.0
        return self.now_s


LARGE = 64 << 20


@pytest.mark.parametrize("is_slow", [True, False])
def test_space_is_reserved_where_that_costs_no_time(root, below, monkeypatch, is_slow):
    """Where every page would be made now (tmpfs), only the first ones are; the size is right."""
    clock = Slow() if is_slow else lambda: 0.0
    monkeypatch.setattr(system_calls.time, "perf_counter", clock)

    part = below / root.create_part(("f",), LARGE)

    assert (part.stat().st_size, part.stat().st_blocks * 512 >= LARGE) == (LARGE, not is_slow)


@pytest.mark.parametrize("blocks", [0, 1 << 30])
def test_where_space_is_not_reserved_it_is_looked_for(root, below, monkeypatch, blocks):
    """A full disk shows at once; a file system without limits (no blocks at all) is never full."""
    monkeypatch.setattr(system_calls.time, "perf_counter", Slow())
    nearly_full = SimpleNamespace(f_blocks=blocks, f_bfree=1, f_frsize=4096)
    monkeypatch.setattr(os, "fstatvfs", lambda _: nearly_full)

    with pytest.raises(DiskFullError) if blocks else contextlib.nullcontext():
        root.create_part(("f",), LARGE)

    assert len(_names(below)) == (not blocks)


@pytest.mark.parametrize("size", [0, 1])
def test_a_part_file_may_be_tiny(root, below, size):
    """An empty one needs no reservation."""
    name = root.create_part(("f",), size)
    root.publish(("f",), name, MTIME_NS)

    assert (below / "f").stat().st_size == size


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_when_the_space_is_reserved(root, below, monkeypatch, number):
    """And the part file is removed."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(system_calls, "_call", refuse)

    with pytest.raises(DiskFullError, match="run again"):
        root.create_part(("f",), 1 << 40)

    assert _names(below) == []


def test_a_file_larger_than_the_limit_is_refused_by_the_real_system(root, below):
    """EFBIG, through the real fallocate."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(LocalFileError, match="choose another directory"):
            root.create_part(("f",), 1_000_000)
        with pytest.raises(LocalFileError, match="choose another directory"):
            root.write_small(("g",), bytes(200_000), MTIME_NS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    assert _names(below) == []


def test_discarding_leaves_nothing_and_can_be_repeated(root, below):
    """Also where the directory was never made; it is not made for this."""
    name = root.create_part(("f",), 5)

    root.discard(("f",), name)
    root.discard(("f",), name)
    root.discard(("never", "made", "f"), name)

    assert _names(below) == []


def test_publishing_what_is_gone_is_an_error(root, below):
    """Somebody removed the part file; the target is as it was."""
    root.write_small(("f",), b"old", MTIME_NS)
    name = root.create_part(("f",), 5)
    (below / name).unlink()

    with pytest.raises(LocalFileError, match="cannot publish"):
        root.publish(("f",), name, MTIME_NS)
    with pytest.raises(LocalFileError, match="unfinished file"):
        root.open_part(("f",), name)

    assert (below / "f").read_bytes() == b"old"


# --- failures leave no debris ---


_ADVICE = {
    errno.ENOSPC: (DiskFullError, "free some"),
    errno.EDQUOT: (DiskFullError, "quota"),
    errno.EIO: (LocalFileError, "system's log"),
    errno.EROFS: (LocalFileError, "read-only"),
    errno.EACCES: (LocalFileError, "permission"),
}


@pytest.mark.parametrize("call", ["pwrite", "utime", "rename"])
@pytest.mark.parametrize("number", _ADVICE)
def test_a_failing_small_write_leaves_the_old_file_and_no_debris(
    root, below, monkeypatch, call, number
):
    """At every step; the message names the path and says what to do."""
    kind, advice = _ADVICE[number]
    root.write_small(("d", "f"), b"old", MTIME_NS)
    before = _descriptors()
    _fail(monkeypatch, call, number)

    with pytest.raises(kind, match=advice) as caught:
        root.write_small(("d", "f"), b"new", MTIME_NS)

    monkeypatch.undo()
    assert str(below / "d" / "f") in str(caught.value)
    assert os.strerror(number) in str(caught.value)
    assert type(caught.value) is kind
    assert (below / "d" / "f").read_bytes() == b"old"
    assert _names(below) == ["d", "d/f"]
    assert _descriptors() == before


@pytest.mark.parametrize("call", ["utime", "fsync", "rename"])
def test_a_failing_publish_leaves_the_old_file_and_no_debris(root, below, monkeypatch, call):
    """What could not be made durable is not kept."""
    root.write_small(("f",), b"old", MTIME_NS)
    name = root.create_part(("f",), 3)
    before = _descriptors()
    _fail(monkeypatch, call, errno.EIO)

    with pytest.raises(LocalFileError, match="cannot publish"):
        root.publish(("f",), name, MTIME_NS)

    monkeypatch.undo()
    assert (below / "f").read_bytes() == b"old"
    assert _names(below) == ["f"]
    assert _descriptors() == before


def test_an_interrupt_leaves_no_debris(root, below, monkeypatch):
    """Ctrl-C is no OSError, and is passed on."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_all", interrupt)

    with pytest.raises(KeyboardInterrupt):
        root.write_small(("f",), b"x", MTIME_NS)

    assert _names(below) == []


def test_a_failing_part_write_keeps_the_part_file(root, below, monkeypatch):
    """The range may be fetched again; whoever gives up discards it."""
    name = root.create_part(("f",), 3)
    with root.open_part(("f",), name) as part:
        _fail(monkeypatch, "pwrite", errno.ENOSPC)
        with pytest.raises(DiskFullError):
            part.write_at(b"abc", 0)
        monkeypatch.undo()

    assert _names(below) == [name]


def test_too_many_open_files_say_which_limit_to_raise(root, monkeypatch):
    """The one local failure that more workers cause."""
    _fail(monkeypatch, "open", errno.EMFILE)

    with pytest.raises(LocalFileError, match="ulimit -n"):
        root.write_small(("f",), b"x", MTIME_NS)


def test_a_name_the_file_system_refuses_says_so(root):
    """The real system, with a name that keys would already have refused."""
    with pytest.raises(LocalFileError, match="exclude it or rename"):
        root.write_small(("x" * 300,), b"x", MTIME_NS)
    with pytest.raises(LocalFileError, match="exclude it or rename"):
        root.write_small(("x" * 300, "f"), b"x", MTIME_NS)


def test_a_message_is_safe_to_print(root, monkeypatch):
    """Names come from strangers."""
    _fail(monkeypatch, "rename", errno.EIO)

    with pytest.raises(LocalFileError) as caught:
        root.write_small(("evil\x1b[2J\nname",), b"x", MTIME_NS)

    assert str(caught.value).isprintable()


# --- directories ---


def test_a_directory_is_made_and_may_exist(root, below):
    """Repeating it is harmless."""
    root.make_directory(("a", "b"))
    root.make_directory(("a", "b"))

    assert _names(below) == ["a", "a/b"]


def test_a_directory_removed_meanwhile_is_made_again(root, below):
    """Although its descriptor was kept open."""
    root.write_small(("a", "b", "f"), b"1", MTIME_NS)
    (below / "a" / "b" / "f").unlink()
    (below / "a" / "b").rmdir()
    (below / "a").rmdir()

    root.write_small(("a", "b", "f"), b"2", MTIME_NS)
    root.write_small(("a", "c", "f"), b"3", MTIME_NS)

    assert _names(below) == ["a", "a/b", "a/b/f", "a/c", "a/c/f"]


def test_a_directory_below_a_removed_one_is_made_too(root, below):
    """The kept descriptor is of the parent, and leads nowhere."""
    root.write_small(("a", "f"), b"1", MTIME_NS)
    (below / "a" / "f").unlink()
    (below / "a").rmdir()

    root.make_directory(("a", "b"))

    assert _names(below) == ["a", "a/b"]


def test_two_threads_that_open_one_directory_leave_one_descriptor(tmp_path, monkeypatch):
    """The second finds the first one's and lets it go."""
    before = _descriptors()
    kept = Directories(str(tmp_path))
    real = directories._open_or_make

    def overtaken(*arguments, **how):
        monkeypatch.undo()
        with kept.open(("a",), create=True):
            return real(*arguments, **how)

    monkeypatch.setattr(directories, "_open_or_make", overtaken)

    with kept.open(("a",), create=True):
        pass
    kept.close()

    assert _descriptors() == before


def test_a_failed_open_keeps_no_directory_in_use(tmp_path, monkeypatch):
    """Or its descriptor would never be closed."""
    before = _descriptors()
    root = DestinationRoot(tmp_path)
    root.make_directory(("d",))
    _fail(monkeypatch, "open", errno.EMFILE)
    with pytest.raises(LocalFileError):
        root.write_small(("d", "f"), b"x", MTIME_NS)
    monkeypatch.undo()

    root.close()

    assert _descriptors() == before


# --- what a killed run left ---


def test_the_name_of_a_part_file_follows_from_run_and_target(tmp_path):
    """The next run finds it; another job or another target never gets the same."""
    names = []
    for salt, target in (("job", "f"), ("job", "f"), ("job", "g"), ("other", "f"), ("jobf", "")):
        with DestinationRoot(tmp_path / "root", PartNames(salt)) as root:
            names.append(root.create_part((target or "f",), 1))

    assert names[0] == names[1]
    assert len(set(names)) == 4


@pytest.mark.parametrize("size", [3, 0])
def test_what_a_killed_run_left_is_replaced_and_not_written_into(root, below, size):
    """Who still has the old file open keeps it; the new one has the new size and nothing old."""
    name = root.create_part(("f",), 5)
    (below / name).write_bytes(b"stale")
    with (below / name).open("rb") as kept:
        assert root.create_part(("f",), size) == name

        assert kept.read() == b"stale"
    assert (below / name).read_bytes() == bytes(size)


def test_a_small_file_replaces_what_a_killed_run_left(root, below):
    """Nothing stays for ever."""
    root.create_part(("f",), 5)

    root.write_small(("f",), b"x", MTIME_NS)

    assert _names(below) == ["f"]
    assert (below / "f").read_bytes() == b"x"


def test_a_link_in_a_part_files_place_is_removed_and_not_followed(root, below, tmp_path):
    """Whoever planted it gains nothing."""
    name = root.create_part(("f",), 5)
    (tmp_path / "outside").write_bytes(b"precious")
    (below / name).unlink()
    (below / name).symlink_to(tmp_path / "outside")

    assert root.find_part(("f",), name, 8) is None
    root.create_part(("f",), 8)

    assert not (below / name).is_symlink()
    assert (tmp_path / "outside").read_bytes() == b"precious"


def test_what_is_found_can_be_compared(root, below):
    """The CRC of each range, also of one that is longer than the buffer; short where it ends."""
    data = os.urandom(part_file._READ_BYTES + 77)
    name = root.create_part(("f",), len(data))
    (below / name).write_bytes(data)

    with root.find_part(("f",), name, len(data)) as part:
        assert part.crc64_of(ByteRange(0, len(data))) == crc64(data)
        assert part.crc64_of(ByteRange(5, 9)) == crc64(data[5:9])
        assert part.crc64_of(ByteRange(len(data) - 2, len(data) + 5)) == crc64(data[-2:])


@pytest.mark.parametrize("what", ["missing", "no directory", "size", "fifo", "directory", "linked"])
def test_only_a_plain_file_of_the_right_size_is_found(root, below, what):
    """Everything else is nothing, and no descriptor stays open."""
    name = root.create_part(("d", "f"), 5)
    path, size, target = below / "d" / name, 5, ("d", "f")
    if what in {"missing", "fifo", "directory"}:
        path.unlink()
    if what == "no directory":
        target = ("e", "f")
    elif what == "size":
        size = 6
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    elif what == "linked":
        os.link(path, below / "another")
    before = _descriptors()

    assert root.find_part(target, name, size) is None

    assert _descriptors() == before


def test_many_directories_need_few_descriptors(tmp_path):
    """The recent ones are kept open, the others are opened again."""
    with DestinationRoot(tmp_path) as root:
        root.write_small(("f",), b"", MTIME_NS)
        before = len(_descriptors())
        for number in range(300):
            root.write_small((f"d{number}", "sub", "f"), b"", MTIME_NS)

        assert len(_descriptors()) <= before + 70
        for number in range(300):
            root.write_small((f"d{number}", "sub", "g"), b"", MTIME_NS)

    assert len(list(tmp_path.rglob("g"))) == 300


def test_a_directory_in_use_stays_open_although_others_push_it_out(tmp_path):
    """A descriptor that was closed and reused would write into another directory."""
    kept = Directories(str(tmp_path), kept_open=1)
    with kept.open(("a",), create=True) as directory:
        for name in ("b", "c", "d"):
            with kept.open((name,), create=True):
                pass

        assert os.path.samestat(os.fstat(directory.fd), (tmp_path / "a").stat())
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(directory.fd)
    kept.close()


def test_threads_share_directories_without_a_mix_up(tmp_path, monkeypatch):
    """Every file lands where it belongs while two descriptors are kept for twenty directories."""
    monkeypatch.setattr(directories, "_KEPT_OPEN", 2)
    start = threading.Barrier(8)
    with DestinationRoot(tmp_path) as root:
        root._directories._kept_open = 2

        def write(thread):
            start.wait()
            for number in range(100):
                where = f"d{(number * 7 + thread) % 20}"
                root.write_small((where, f"{thread}-{number}"), where.encode(), MTIME_NS)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 800
    assert all(path.read_text() == path.parent.name for path in written)


def test_closing_leaves_no_descriptor(tmp_path):
    """Neither of directories nor of file systems to flush."""
    before = _descriptors()
    root = DestinationRoot(tmp_path)
    root.write_small(("a", "b", "f"), b"", MTIME_NS)
    root.create_part(("c", "f"), 1)
    root.close()

    assert _descriptors() == before


# --- flush and stat ---


@pytest.fixture
def synced(monkeypatch):
    devices = []
    monkeypatch.setattr(
        durability, "sync_file_system", lambda fd: devices.append(os.fstat(fd).st_dev)
    )
    return devices


def test_one_sync_covers_all_files_since_the_last(root, below, synced):
    """Durability is batched; without news there is nothing to sync."""
    for number in range(5):
        root.write_small(("d", f"{number}"), b"", MTIME_NS)
    root.publish(("e",), root.create_part(("e",), 1), MTIME_NS)

    root.flush()
    root.flush()
    root.make_directory(("new",))
    root.flush()

    assert synced == [below.stat().st_dev] * 2


def test_a_failed_flush_is_told_and_tried_again(root, monkeypatch):
    """What is not on disk is not called done."""
    root.write_small(("f",), b"", MTIME_NS)

    def refuse(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(durability, "sync_file_system", refuse)

    for _ in range(2):
        with pytest.raises(LocalFileError, match="cannot flush"):
            root.flush()


def test_the_real_sync_works_and_reports_a_bad_descriptor(root):
    """Through the C library's syncfs, errno included."""
    root.write_small(("f",), b"x", MTIME_NS)
    root.flush()

    with pytest.raises(OSError, match="Bad file descriptor"):
        system_calls.sync_file_system(-1)


def test_without_the_c_librarys_functions_python_does_it(tmp_path, monkeypatch):
    """A C library without syncfs and fallocate is slower and not wrong."""
    synced = []
    monkeypatch.setattr(system_calls, "_function", lambda *_: None)
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))

    with DestinationRoot(tmp_path) as root:
        root.publish(("f",), root.create_part(("f",), 77), MTIME_NS)
        root.flush()

    assert (tmp_path / "f").stat().st_size == 77
    assert synced == [True]


def test_stat_says_what_is_there_without_following(root, below):
    """A file, a directory, a link, nothing, and nothing below nothing."""
    root.write_small(("d", "f"), b"abc", MTIME_NS)
    (below / "link").symlink_to("d/f")

    assert root.stat(("d", "f")) == Entry("d/f", 3, MTIME_NS)
    directory = root.stat(("d",))
    assert directory is not None
    assert (directory.key, directory.kind) == ("d/", EntryKind.DIRECTORY)
    link = root.stat(("link",))
    assert link is not None
    assert (link.key, link.kind) == ("link", EntryKind.LINK)
    assert root.stat(("nothing",)) is None
    assert root.stat(("no", "thing")) is None
    assert _names(below) == ["d", "d/f", "link"]


# --- the source ---


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"0123456789")
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return path


def test_a_source_knows_its_version_and_its_bytes(source):
    """Size, time and inode of the opening; any range, in either way of reading."""
    with SourceFile(source) as file:
        assert (file.size, file.mtime_ns, file.inode) == (10, MTIME_NS, source.stat().st_ino)
        assert file.read_at(4, 3) == b"3456"
        assert file.read_at(0, 10) == b""
        buffer = bytearray(b"-----")
        file.read_into(memoryview(buffer)[1:4], 7)
        assert buffer == b"-789-"
        assert file.unchanged()


def test_a_short_read_is_continued(source, monkeypatch):
    """The system may give fewer bytes than it was asked for."""
    pread, preadv = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, n, at: pread(fd, min(n, 3), at))
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: preadv(fd, [views[0][:3]], at))

    with SourceFile(source) as file:
        buffer = bytearray(10)
        file.read_into(buffer, 0)

        assert file.read_at(10, 0) == buffer == b"0123456789"


def test_a_source_that_shrinks_is_noticed_while_it_is_read(source):
    """It says where it ends now; no zeros are made up."""
    with SourceFile(source) as file:
        os.truncate(source, 6)

        with pytest.raises(SourceChangedError, match="ends at 6 B"):
            file.read_at(5, 4)
        with pytest.raises(SourceChangedError, match="ends at 6 B"):
            file.read_into(bytearray(5), 4)
        assert not file.unchanged()


def test_an_edit_that_puts_the_time_back_is_noticed(source):
    """Nobody can set the ctime; its clock may tick only every few milliseconds."""
    with SourceFile(source) as file:
        while source.stat().st_ctime_ns == file.ctime_ns:
            source.write_bytes(b"9876543210")
            os.utime(source, ns=(MTIME_NS, MTIME_NS))

        assert (10, MTIME_NS) == (source.stat().st_size, source.stat().st_mtime_ns)
        assert not file.unchanged()


@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_is_gone_is_still_the_one_that_was_opened(source, replaced):
    """Its last name takes the ctime along, and nothing of its bytes."""
    with SourceFile(source) as file:
        if replaced:
            source.with_name("other").write_bytes(b"other")
            source.with_name("other").replace(source)
        else:
            source.unlink()

        assert file.unchanged()


def test_an_edit_of_the_same_size_is_noticed_by_its_time(source):
    """The nanoseconds differ."""
    with SourceFile(source) as file:
        os.utime(source, ns=(MTIME_NS, MTIME_NS + 1))

        assert not file.unchanged()


def test_a_source_that_is_gone_has_changed(tmp_path):
    """The worker looks again and finds it deleted."""
    with pytest.raises(SourceChangedError, match="gone"):
        SourceFile(tmp_path / "gone")


def test_a_source_that_became_something_else_has_changed(tmp_path):
    """A directory, or a named pipe, which must not block."""
    os.mkfifo(tmp_path / "pipe")
    before = _descriptors()

    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(SourceChangedError, match="no longer a file"):
            SourceFile(path)
    assert _descriptors() == before


def test_a_link_is_followed_only_when_told(source, tmp_path):
    """--no-follow-symlinks holds at the last moment too."""
    (tmp_path / "link").symlink_to(source)

    with SourceFile(tmp_path / "link") as file:
        assert file.size == 10
    with pytest.raises(LocalFileError):
        SourceFile(tmp_path / "link", follow_symlinks=False)


def test_reading_without_changing_the_access_time_falls_back(source, monkeypatch):
    """Only owners may ask for O_NOATIME."""
    flags_seen = []
    real = os.open

    def strangers_open(path, flags, *more, **how):
        flags_seen.append(bool(flags & os.O_NOATIME))
        if flags & os.O_NOATIME:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return real(path, flags, *more, **how)

    monkeypatch.setattr(os, "open", strangers_open)

    with SourceFile(source) as file:
        assert file.read_at(1, 0) == b"0"
    assert flags_seen == [True, False]


def test_a_read_that_fails_is_a_local_error(source, monkeypatch):
    """With the path and what to do."""
    with SourceFile(source) as file:
        _fail(monkeypatch, "pread", errno.EIO, source_module)

        with pytest.raises(LocalFileError, match="system's log") as caught:
            file.read_at(1, 0)
        monkeypatch.undo()
    assert str(source) in str(caught.value)


def test_closing_a_source_twice_is_harmless(source):
    """And never closes a descriptor that others got meanwhile."""
    file = SourceFile(source)
    file.close()
    with source.open("rb") as other:
        file.close()

        assert other.read(1) == b"0"


def test_a_relative_path_is_a_source_too(source, monkeypatch):
    """As the user typed it."""
    monkeypatch.chdir(source.parent)

    with SourceFile(Path("source")) as file:
        assert file.size == 10
