"""What a killed run was writing that no journal knows: the next run of the same job removes it."""

import os
from pathlib import Path

import pytest

from osssync.emulator.faults import Effect
from osssync.errors import LocalFileError
from osssync.keys import part_file_name
from osssync.local.files import DestinationRoot
from osssync.local.ledger import Ledger
from osssync.local.part_names import PartNames
from tests.faults.programs import ended, start, wait_until
from tests.faults.traces import part_files

MIB = 1 << 20
JOBS = 4
MTIME_NS = 1_700_000_000 * 10**9


def ledgers():
    """All files of all ledgers of this test's state directory."""
    root = Path(os.environ["XDG_STATE_HOME"]) / "osssync" / "ledgers"
    return [path for path in root.rglob("*") if path.is_file()]


def killed_while_streaming(emulator, tmp_path, prefix, *words):
    """A run that dies while it streams objects to their part files; their names."""
    for number in range(JOBS):
        emulator.objects.put("bucket", f"{prefix}/d/{number}", os.urandom(2 * MIB))
    emulator.faults.inject(Effect.DELAY, operation="GetObject", delay_s=30)
    out = tmp_path / "out"
    process = start(emulator, "sync", f"oss://bucket/{prefix}", out, "--jobs", JOBS, *words)
    wait_until(lambda: JOBS == len(part_files(tmp_path)), process)
    process.kill()
    ended(process)
    emulator.faults.clear()
    return part_files(tmp_path)


@pytest.mark.parametrize("words", [(), ("--processes", "2")], ids=["one", "two"])
def test_what_was_streamed_goes_though_its_objects_are_gone(emulator, tmp_path, words):
    """No source is left that would lead the next run to the part files: its ledger does."""
    prefix = f"gone{len(words)}"
    killed_while_streaming(emulator, tmp_path, prefix, *words)
    for number in range(JOBS):
        emulator.objects.delete("bucket", f"{prefix}/d/{number}")
    emulator.objects.put("bucket", f"{prefix}/other", b"other")

    code, said = ended(start(emulator, "sync", f"oss://bucket/{prefix}", tmp_path / "out", *words))

    assert 0 == code, said
    assert [] == part_files(tmp_path)
    assert b"other" == (tmp_path / "out" / "other").read_bytes()
    assert [] == ledgers()


def test_another_job_removes_nothing(emulator, tmp_path):
    """It cannot know whether the run that is writing these files lives."""
    left = killed_while_streaming(emulator, tmp_path, "mine")
    emulator.objects.put("bucket", "theirs/other", b"other")

    code, said = ended(start(emulator, "sync", "oss://bucket/theirs", tmp_path / "out"))

    assert (0, left) == (code, part_files(tmp_path)), said


def test_a_run_that_ends_leaves_no_ledger(emulator, tmp_path):
    """Streamed or in memory: what is in place is not told of."""
    emulator.objects.put("bucket", "ends/small", b"small")
    emulator.objects.put("bucket", "ends/streamed", os.urandom(2 * MIB))

    code, said = ended(start(emulator, "sync", "oss://bucket/ends", tmp_path / "out"))

    assert (0, []) == (code, ledgers()), said


# --- the ledger ---


@pytest.fixture
def names(tmp_path):
    return PartNames("job", str(tmp_path / "state" / "ledgers"), "run1")


def die(root):
    """End as a killed process does: nothing is tidied up."""
    root._ledger.close = lambda: None
    root._arriving.clear()
    root.close()


def die_while_writing(root, *components):
    """End with a part file of this target half written; its name."""

    def write():
        with root.new_file(components, MTIME_NS) as part:
            part.write_at(b"half", 0)
            die(root)

    with pytest.raises(LocalFileError):
        write()
    return root._names.of(components)


def test_only_what_is_named_goes(tmp_path, names):
    """Files of other salts, of journaled objects and of the user lie beside it, and stay."""
    out = tmp_path / "out"
    root = DestinationRoot(out, names)
    journaled = root.create_part(("d", "large"), 3)
    mine = die_while_writing(root, "d", "f")
    for name in (part_file_name("0" * 16), "f", ".osssync-mine.part"):
        (out / "d" / name).write_bytes(b"precious")
    before = {path.name for path in (out / "d").iterdir()}

    DestinationRoot(out, PartNames(names.salt, names.ledgers, "run2")).close()

    assert {mine} == before - {path.name for path in (out / "d").iterdir()}
    assert (out / "d" / journaled).exists()


def test_a_killed_small_write_is_told_of_too(tmp_path, names, monkeypatch):
    """Between its part file and its name lie microseconds, thousands of times a second."""
    root = DestinationRoot(tmp_path / "out", names)
    monkeypatch.setattr("osssync.local.files._rename", lambda *_: die(root))
    monkeypatch.setattr("osssync.local.files.Ledger.done", lambda *_: None)
    root.write_small(("f",), b"data", MTIME_NS)
    assert 1 == len(part_files(tmp_path))
    monkeypatch.undo()

    DestinationRoot(tmp_path / "out", PartNames(names.salt, names.ledgers, "run2")).close()

    assert [] == part_files(tmp_path)


def test_a_process_of_the_same_run_is_left_alone(tmp_path, names):
    """Its part files are being written."""
    root = DestinationRoot(tmp_path / "out", names)
    with root.new_file(("f",), MTIME_NS):
        DestinationRoot(tmp_path / "out", names)._remove_left()

        assert 1 == len(part_files(tmp_path))
    root.close()


def test_a_child_sweeps_nothing(tmp_path, names):
    """What an earlier run left under some name may be a brother's new file by then."""
    root = DestinationRoot(tmp_path / "out", names)
    name = die_while_writing(root, "f")

    child = PartNames(names.salt, names.ledgers, "run2", sweeps=False)
    DestinationRoot(tmp_path / "out", child).close()

    assert [name] == part_files(tmp_path)


def test_what_cannot_be_removed_is_tried_again(tmp_path, names, monkeypatch):
    """A ledger lives until all it names is gone."""
    out = tmp_path / "out"
    root = DestinationRoot(out, names)
    die_while_writing(root, "f")

    def refuse(*_):
        raise LocalFileError("read-only")

    monkeypatch.setattr(DestinationRoot, "discard", refuse)
    DestinationRoot(out, PartNames(names.salt, names.ledgers, "run2")).close()
    monkeypatch.undo()
    assert 1 == len(part_files(tmp_path))

    DestinationRoot(out, PartNames(names.salt, names.ledgers, "run3")).close()

    assert [] == part_files(tmp_path)
    assert not Path(names.ledgers).exists()


@pytest.mark.parametrize(
    "damage",
    [b"", b"\x05", b"\xff\xff" + b"x" * 9, b"\x02\x00\xff\xff", b"\x05\x00../..", bytes(9000)],
)
def test_a_damaged_ledger_harms_nothing(tmp_path, names, damage):
    """It is read as far as it makes sense, and goes; nothing outside the destination is touched."""
    Path(names.ledgers).mkdir(parents=True)
    Path(names.ledgers, "old-1").write_bytes(damage)
    (tmp_path / "precious").write_bytes(b"precious")

    DestinationRoot(tmp_path / "out", names).close()

    assert b"precious" == (tmp_path / "precious").read_bytes()
    assert not Path(names.ledgers).exists()


def test_what_is_written_together_is_noted_together(tmp_path):
    """As many pages as it takes, each whole; what no page holds is left out."""
    ledger = Ledger(str(tmp_path / "ledgers"), "run")
    targets = [f"{number}{'x' * 1000}".encode() for number in range(6)]

    first = ledger.note([*targets, b"y" * 5000])
    ledger.done(ledger.note([b"a", b"bc"]))
    ledger.note([b"d"])
    seen = []
    Ledger(str(tmp_path / "ledgers"), "next").sweep(lambda target: seen.append(target) or True)

    assert 2 == len(first)
    assert [*targets, b"d"] == seen


def test_slots_are_used_again(tmp_path):
    """A run of a million objects keeps a file of as many pages as were written at once."""
    ledger = Ledger(str(tmp_path / "ledgers"), "run")
    for number in range(100):
        slots = [ledger.note([f"{number}{letter}".encode()]) for letter in "ab"]
        for slot in slots:
            ledger.done(slot)

    (path,) = (tmp_path / "ledgers").iterdir()
    assert path.stat().st_size <= 2 * 4096
    ledger.close()
    assert not (tmp_path / "ledgers").exists()


def test_without_a_place_for_it_a_run_goes_on(tmp_path):
    """A state directory that takes nothing costs this, and no transfer."""
    (tmp_path / "file").write_bytes(b"")

    with DestinationRoot(tmp_path / "out", PartNames("job", str(tmp_path / "file" / "x"))) as root:
        root.write_small(("f",), b"data", MTIME_NS)

    assert b"data" == (tmp_path / "out" / "f").read_bytes()
