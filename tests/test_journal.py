"""The journal remembers what was committed, whatever happens to the process, the file, the disk."""

import contextlib
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from msgspec.structs import replace as changed

from osssync import database
from osssync.config import Job, LocalAddress, OssAddress, OssSettings, UsageError
from osssync.journal import (
    FILE_NAME,
    KEPT_RUNS,
    MIGRATIONS,
    Journal,
    NullJournal,
    PastRun,
    RunRecord,
    default_state_dir,
    job_key,
)
from osssync.model import (
    ByteRange,
    Entry,
    EntryKind,
    Failure,
    PartReceipt,
    Pinned,
    Totals,
    Unfinished,
)

ENTRY = Entry("dir/ключ", 1 << 41, 1_700_000_000_000_000_000, etag='"ABC"', storage_class="IA")
PINNED = Pinned("0004B9", 1 << 41, etag='"ABC"', mtime_ns=7, inode=2**63, headers_hash="00ff")
RUN = RunRecord("job", "oss://bucket/a", "/out", "download", 1_700_000_000_000_000_000)
FAILURE = Failure("NetworkError", "cut off", 3, "", "request")
PART = 8


def receipt(number):
    """A receipt whose checksums need all 64 bits, without a sign."""
    where = ByteRange((number - 1) * PART, number * PART)
    return PartReceipt(number, where, 2**64 - number, '"E"', object_crc64=2**63)


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state" / "osssync"


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def journal(state_dir, warnings):
    with Journal.open(state_dir, warnings.append) as opened:
        yield opened


def reopen(state_dir, warnings):
    return contextlib.closing(Journal.open(state_dir, warnings.append))


# --- unfinished objects ---


def test_an_unfinished_object_is_remembered_exactly(state_dir, journal, warnings):
    """Entry, pinned version, part size and receipts come back equal, in another process too."""
    journal.started("job", "target", ENTRY, PINNED, PART)
    for number in (3, 1):
        journal.part_done("job", "target", receipt(number))

    expected = Unfinished("target", ENTRY, PINNED, PART, (receipt(1), receipt(3)))
    assert expected == journal.unfinished("job", "target")
    with reopen(state_dir, warnings) as other:
        assert expected == other.unfinished("job", "target")
        assert (expected,) == other.all_unfinished("job")
    assert [] == warnings


@pytest.mark.parametrize("crc", [0, 1, 2**63 - 1, 2**63, 2**64 - 1, None], ids=lambda crc: f"{crc}")
def test_every_crc_comes_back_as_it_was(journal, crc):
    """SQLite's integers have a sign; ours have none, and a copied part has no CRC at all."""
    one = PartReceipt(1, ByteRange(0, 5), crc, object_crc64=crc)
    journal.started("job", "target", ENTRY, PINNED, PART)

    journal.part_done("job", "target", one)

    assert (one,) == journal.unfinished("job", "target").receipts


@pytest.mark.parametrize("name", ["new\nline", "nul\0byte", "stray \udcff", "🚀", "'; DROP TABLE"])
def test_any_name_can_be_remembered(journal, name):
    """Names are strangers' text: a key, a target, an address."""
    journal.started("job", name, changed(ENTRY, key=name), PINNED, PART)
    run_id = journal.begin_run(changed(RUN, source=name))
    journal.add_failure(run_id, name, changed(FAILURE, message=name))

    assert name == journal.unfinished("job", name).entry.key
    assert name == journal.runs(1)[0].record.source
    assert ((name, changed(FAILURE, message=name)),) == journal.failures(run_id)


def test_every_kind_of_entry_comes_back(journal):
    """The kind is an enum again, not its text."""
    for kind in EntryKind:
        journal.started("job", "target", changed(ENTRY, kind=kind), PINNED, PART)

        assert kind is journal.unfinished("job", "target").entry.kind


def test_beginning_again_forgets_the_parts_of_before(journal):
    """Receipts of an older version must never stand beside those of a newer one."""
    journal.started("job", "target", ENTRY, PINNED, PART)
    journal.part_done("job", "target", receipt(1))

    journal.started("job", "target", ENTRY, changed(PINNED, transfer_id="new"), PART)

    unfinished = journal.unfinished("job", "target")
    assert ("new", ()) == (unfinished.pinned.transfer_id, unfinished.receipts)


def test_what_is_proven_takes_the_place_of_what_was_known(journal):
    """In one transaction: a death in between must not cost the parts that were there."""
    journal.started("job", "target", ENTRY, PINNED, PART)
    for number in (1, 2, 3):
        journal.part_done("job", "target", receipt(number))
    proven = Unfinished("target", ENTRY, changed(PINNED, inode=5), PART, (receipt(1), receipt(3)))
    statements = []
    journal._connection.set_trace_callback(statements.append)

    journal.resumed("job", proven)

    journal._connection.set_trace_callback(None)
    assert proven == journal.unfinished("job", "target")
    assert 1 == statements.count("COMMIT")


def test_a_part_sent_again_replaces_its_receipt(journal):
    """The number is its name."""
    journal.started("job", "target", ENTRY, PINNED, PART)
    journal.part_done("job", "target", receipt(1))

    journal.part_done("job", "target", changed(receipt(1), crc64=5))

    assert (5,) == tuple(one.crc64 for one in journal.unfinished("job", "target").receipts)


def test_a_finished_object_leaves_nothing(state_dir, journal):
    """Neither it nor its parts; a late part of it brings nothing back."""
    journal.started("job", "target", ENTRY, PINNED, PART)
    journal.part_done("job", "target", receipt(1))

    journal.finished("job", "target")
    journal.finished("job", "target")
    journal.part_done("job", "target", receipt(2))

    assert journal.unfinished("job", "target") is None
    with contextlib.closing(sqlite3.connect(state_dir / FILE_NAME)) as raw:
        counts = [raw.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                  for name in ("object", "part")]  # fmt: skip
    assert [0, 0] == counts


def test_jobs_do_not_see_each_other(journal):
    """The same target in two jobs is two objects."""
    journal.started("one", "target", ENTRY, PINNED, PART)
    journal.started("two", "target", ENTRY, PINNED, PART)
    journal.finished("one", "target")

    assert () == journal.all_unfinished("one")
    assert ["target"] == [unfinished.target for unfinished in journal.all_unfinished("two")]


def test_a_record_that_makes_no_sense_is_none(state_dir, journal, warnings):
    """A bit may have flipped inside a text; the others are still found."""
    for target in ("bad entry", "bad pinned", "bad receipt", "good"):
        journal.started("job", target, ENTRY, PINNED, PART)
        journal.part_done("job", target, receipt(1))
    with contextlib.closing(sqlite3.connect(state_dir / FILE_NAME)) as raw:
        raw.execute("""UPDATE object SET entry = '{"kind":1}' WHERE target = '"bad entry"'""")
        raw.execute("""UPDATE object SET pinned = 'garbage' WHERE target = '"bad pinned"'""")
        raw.execute("UPDATE part SET receipt = '[]' WHERE object_id = 3")
        raw.commit()

    found = {one.target: one.receipts for one in journal.all_unfinished("job")}

    assert {"bad receipt": (), "good": (receipt(1),)} == found
    assert [] == warnings


# --- history ---


def test_a_run_is_remembered_with_its_end(journal):
    """Sums, exit code and what ended it; the newest first, as many as asked for."""
    totals = Totals(found=3, transferred=2, failed=1, moved_bytes=2**63, elapsed_s=1.5)
    first = journal.begin_run(RUN)
    second = journal.begin_run(changed(RUN, direction="upload"))
    journal.end_run(second, 99, 5, totals, FAILURE)

    expected = PastRun(second, changed(RUN, direction="upload"), 99, 5, totals, FAILURE)
    assert (expected, PastRun(first, RUN)) == journal.runs(10)
    assert (expected,) == journal.runs(1)


def test_failures_are_kept_in_order_and_by_run(state_dir, journal, warnings):
    """More than are written at once; those held back are written with the end of the run."""
    one, two = journal.begin_run(RUN), journal.begin_run(RUN)
    for number in range(600):
        journal.add_failure(one, f"key {number}", FAILURE)
    journal.add_failure(two, "another", FAILURE)

    journal.end_run(one, 1, 4, Totals(), None)

    with reopen(state_dir, warnings) as other:
        assert [f"key {number}" for number in range(600)] == [k for k, _ in other.failures(one)]
        assert (("another", FAILURE),) == other.failures(two)


def test_old_runs_are_forgotten_with_their_failures(state_dir, journal, monkeypatch):
    """Cron runs every minute; the file must not grow for ever."""
    monkeypatch.setattr("osssync.journal.KEPT_RUNS", 3)
    for number in range(6):
        journal.add_failure(journal.begin_run(RUN), f"{number}", FAILURE)
        journal.failures(0)

    assert [6, 5, 4] == [run.run_id for run in journal.runs(KEPT_RUNS)]
    with contextlib.closing(sqlite3.connect(state_dir / FILE_NAME)) as raw:
        assert [(4,), (5,), (6,)] == raw.execute("SELECT run_id FROM failure").fetchall()


# --- the file ---


def test_nobody_else_may_read_it(state_dir, journal):
    """Names of objects are nobody's business: directory 0700, every file 0600."""
    journal.begin_run(RUN)

    assert 0o700 == state_dir.stat().st_mode & 0o777
    modes = {path.name: path.stat().st_mode & 0o777 for path in state_dir.iterdir()}
    assert {0o600} == set(modes.values())
    assert FILE_NAME in modes


def test_a_directory_that_exists_keeps_its_mode(tmp_path, warnings):
    """The user may have named one that others use too."""
    tmp_path.chmod(0o755)

    with reopen(tmp_path, warnings):
        assert 0o755 == tmp_path.stat().st_mode & 0o777
        assert 0o600 == (tmp_path / FILE_NAME).stat().st_mode & 0o777


def damage_zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def damage_random(path):
    path.write_bytes(random.Random(3).randbytes(path.stat().st_size))


def damage_truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def damage_cut_in_a_page(path):
    os.truncate(path, path.stat().st_size - 1000)


def damage_header_only(path):
    os.truncate(path, 100)


def damage_middle(path):
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(random.Random(4).randbytes(path.stat().st_size // 4))


def damage_schema(path):
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP TABLE part")
        raw.commit()


def make_newer(path):
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def make_foreign(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE moz_places (url TEXT)")


def make_text(path):
    path.write_text("a diary, not a database\n" * 50)


DAMAGES = [
    damage_zeros,
    damage_random,
    damage_truncated,
    damage_cut_in_a_page,
    damage_header_only,
    damage_middle,
    damage_schema,
    make_newer,
    make_foreign,
    make_text,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_file_that_is_no_good_is_set_aside(state_dir, warnings, damage):
    """It is kept under another name that the warning tells, and a new one works at once."""
    with reopen(state_dir, warnings) as journal:
        for number in range(300):
            journal.started("job", f"{number}", ENTRY, PINNED, PART)
            journal.part_done("job", f"{number}", receipt(1))
    damage(state_dir / FILE_NAME)
    spoilt = (state_dir / FILE_NAME).read_bytes()

    with reopen(state_dir, warnings) as journal:
        found = journal.all_unfinished("job")
        journal.started("job", "new", ENTRY, PINNED, PART)

    (aside,) = state_dir.glob(f"{FILE_NAME}.damaged-*Z")
    assert () == found
    assert spoilt == aside.read_bytes()
    assert 1 == len(warnings)
    assert str(aside) in warnings[0]
    with reopen(state_dir, warnings) as journal:
        assert journal.unfinished("job", "new") is not None
    assert 1 == len(warnings)


def test_damage_twice_in_a_second_keeps_both_files(state_dir, warnings):
    """No damaged file replaces another."""
    for text in ("first", "second", "third"):
        state_dir.mkdir(parents=True, exist_ok=True)
        (state_dir / FILE_NAME).write_text(text * 100)
        reopen(state_dir, warnings).__enter__().close()

    kept = {path.read_text()[:5] for path in state_dir.glob(f"{FILE_NAME}.damaged-*")}
    assert {"first", "secon", "third"} == kept


def test_the_companions_go_with_a_damaged_file(state_dir, warnings):
    """An old write-ahead log beside a new file would be poison."""
    state_dir.mkdir(parents=True)
    for suffix in ("", "-wal", "-shm"):
        (state_dir / f"{FILE_NAME}{suffix}").write_text("nonsense" * 100)

    with reopen(state_dir, warnings):
        pass

    aside = [path.name for path in state_dir.glob(f"{FILE_NAME}.damaged-*")]
    assert 1 <= len(aside)
    with reopen(state_dir, warnings) as journal:
        assert () == journal.all_unfinished("job")
        assert journal.begin_run(RUN) == 1
    assert 1 == len(warnings)


def test_an_empty_file_is_a_new_journal(state_dir, warnings):
    """A process may be killed between making it and writing its first page."""
    state_dir.mkdir(parents=True)
    (state_dir / FILE_NAME).touch()

    with reopen(state_dir, warnings) as journal:
        assert 1 == journal.begin_run(RUN)
    assert [] == warnings


def test_statistics_of_the_curious_are_no_damage(state_dir, journal, warnings):
    """ANALYZE adds tables of its own."""
    journal.started("job", "target", ENTRY, PINNED, PART)
    with contextlib.closing(sqlite3.connect(state_dir / FILE_NAME)) as raw:
        raw.execute("ANALYZE")

    with reopen(state_dir, warnings) as other:
        assert 1 == len(other.all_unfinished("job"))
    assert [] == warnings


def test_an_older_file_is_brought_up_to_date(state_dir, warnings, monkeypatch):
    """A later version adds a script, and what was there stays."""
    with reopen(state_dir, warnings) as journal:
        journal.started("job", "target", ENTRY, PINNED, PART)
    more = (*MIGRATIONS, "CREATE TABLE later (x); CREATE INDEX i ON later (x);")
    monkeypatch.setattr("osssync.journal.MIGRATIONS", more)

    with reopen(state_dir, warnings) as journal:
        assert journal.unfinished("job", "target") is not None
    monkeypatch.undo()
    with reopen(state_dir, warnings) as journal:
        assert journal.unfinished("job", "target") is None
    assert ["newer" in warning for warning in warnings] == [True]


# --- where nothing can be written ---


def check_null(journal):
    """All methods work and nothing is found."""
    run_id = journal.begin_run(RUN)
    journal.add_failure(run_id, "key", FAILURE)
    journal.started("job", "target", ENTRY, PINNED, PART)
    journal.part_done("job", "target", receipt(1))
    assert journal.unfinished("job", "target") is None
    assert () == journal.all_unfinished("job")
    journal.finished("job", "target")
    journal.end_run(run_id, 1, 0, Totals(), None)
    assert (0, (), ()) == (run_id, journal.runs(5), journal.failures(run_id))
    journal.close()


@pytest.mark.parametrize("place", ["/proc/nowhere/osssync", "/dev/null/osssync", "/dev/null"])
def test_without_a_place_to_write_the_run_goes_on(warnings, place):
    """One warning that names the place and the flag; every method works and finds nothing."""
    journal = Journal.open(Path(place), warnings.append)

    assert isinstance(journal, NullJournal)
    check_null(journal)
    assert 1 == len(warnings)
    assert place in warnings[0]
    assert "--state-dir" in warnings[0]


@pytest.mark.needs("namespace")
@pytest.mark.parametrize("existing", [True, False])
def test_a_read_only_file_system_is_no_place_to_write(tmp_path, warnings, existing):
    """Found out when it is opened, not when the first object is to be remembered."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    if existing:
        with reopen(state_dir, warnings) as journal:
            journal.begin_run(RUN)
    program = (
        "import sys; from pathlib import Path; from osssync.journal import Journal;"
        "said = []; journal = Journal.open(Path(sys.argv[1]), said.append);"
        "print(type(journal).__name__, said)"
    )
    command = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && "$2" -c "$0" "$1"'

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, program, str(state_dir), sys.executable],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("NullJournal"), done
    assert "--state-dir" in done.stdout


def test_a_directory_of_another_user_is_not_trusted(state_dir, warnings, monkeypatch):
    """In /var/tmp anybody may have made it; its files could be replaced by links."""
    state_dir.mkdir(parents=True)
    me = os.geteuid()
    monkeypatch.setattr("osssync.database.os.geteuid", lambda: me + 1)

    journal = Journal.open(state_dir, warnings.append)

    monkeypatch.undo()
    assert isinstance(journal, NullJournal)
    assert "another user" in warnings[0]
    assert [] == list(state_dir.iterdir())


def test_a_disk_that_fills_ends_the_recording_and_not_the_run(journal, warnings):
    """SQLite's own full disk: one warning, then silence, and every method works."""
    journal._connection.execute("PRAGMA max_page_count = 16")
    for number in range(3000):
        journal.started("job", f"{number}", ENTRY, PINNED, PART)

    check_null(journal)
    assert 1 == len(warnings)
    assert "full" in warnings[0]


def test_a_file_removed_while_it_is_open_does_no_harm(state_dir, journal, warnings):
    """Somebody cleans up in the middle of a run."""
    journal.begin_run(RUN)
    for path in state_dir.iterdir():
        path.unlink()

    journal.started("job", "target", ENTRY, PINNED, PART)
    journal.close()

    with reopen(state_dir, warnings) as other:
        assert () == other.all_unfinished("job")


def test_a_file_that_another_program_holds_locked_is_given_up(state_dir, warnings, monkeypatch):
    """Nobody waits for ever."""
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    with reopen(state_dir, warnings) as journal:
        with contextlib.closing(sqlite3.connect(state_dir / FILE_NAME)) as other:
            other.execute("BEGIN IMMEDIATE")
            journal.started("job", "target", ENTRY, PINNED, PART)
            waiting = Journal.open(state_dir, warnings.append)

        assert isinstance(waiting, NullJournal)
        assert 2 == len(warnings)
        assert journal.unfinished("job", "target") is None


# --- other processes, and sudden death ---

WRITER = """
import itertools, sys
from pathlib import Path
from osssync.journal import Journal
from osssync.model import ByteRange, Entry, PartReceipt, Pinned

name, state_dir = sys.argv[1], Path(sys.argv[2])
journal = Journal.open(state_dir, sys.exit)
rounds = itertools.count() if sys.argv[3] == "0" else range(int(sys.argv[3]))
for number in rounds:
    target = f"{name}-{number}"
    journal.started("job", target, Entry(target, 24, 1), Pinned("id", 24), 8)
    print("started", target, flush=True)
    for part in (1, 2, 3):
        where = ByteRange(part * 8 - 8, part * 8)
        journal.part_done("job", target, PartReceipt(part, where, 2**64 - part))
        print("part", target, flush=True)
    if number % 2:
        print("finishing", target, flush=True)
        journal.finished("job", target)
        print("finished", target, flush=True)
"""


def start_writer(name, state_dir, rounds=0):
    command = [sys.executable, "-c", WRITER, name, str(state_dir), str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check_against(log, found):
    """What the journal holds against what was said to be written, line by line."""
    parts, finishing, finished = {}, set(), set()
    for word, target in (line.split() for line in log):
        if word == "part":
            parts[target] += 1
        elif word == "started":
            parts[target] = 0
        else:
            (finishing if word == "finishing" else finished).add(target)
    for target, count in parts.items():
        if target in finished:
            assert target not in found
        elif target not in finishing:
            assert count <= len(found[target].receipts) <= count + 1
    assert len(found) - len(parts) <= 1


def test_nothing_that_was_committed_is_lost_by_kill_nine(state_dir, warnings):
    """Twenty deaths at random moments of writing: the file opens, and holds all that was said."""
    source = random.Random(11)
    for round_number in range(20):
        writer = start_writer(f"{round_number}", state_dir)
        lines = [writer.stdout.readline() for _ in range(source.randrange(1, 60))]
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        # The last line may be cut short by the death.
        log = [line for line in lines if line.endswith("\n")]

        with reopen(state_dir, warnings) as journal:
            mine = f"{round_number}-"
            found = {one.target: one for one in journal.all_unfinished("job")
                     if one.target.startswith(mine)}  # fmt: skip
        check_against(log, found)
        assert log
    assert [] == warnings


def test_processes_may_share_the_file(state_dir, warnings):
    """Three write at once from the first moment on: nobody fails, nothing is mixed up."""
    writers = [start_writer(name, state_dir, rounds=40) for name in "abc"]
    logs = [writer.communicate(timeout=60)[0].splitlines() for writer in writers]

    assert [0, 0, 0] == [writer.returncode for writer in writers]
    with reopen(state_dir, warnings) as journal:
        found = {one.target: one for one in journal.all_unfinished("job")}
    assert {f"{name}-{number}" for name in "abc" for number in range(0, 40, 2)} == set(found)
    for log in logs:
        check_against(log, {k: v for k, v in found.items() if k[0] == log[0].split()[1][0]})
    assert [] == warnings


def test_two_that_find_the_same_damage_set_it_aside_once(state_dir):
    """The second must not take the new file of the first for the damaged one."""
    state_dir.mkdir(parents=True)
    (state_dir / FILE_NAME).write_bytes(b"rubbish" * 1000)
    program = (
        "import sys; from pathlib import Path; from osssync.journal import Journal;"
        "said = []; journal = Journal.open(Path(sys.argv[1]), said.append);"
        "print(len(said), type(journal).__name__)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(state_dir)],
                         stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip

    said = sorted(process.communicate(timeout=60)[0].strip() for process in processes)

    assert ["0 Journal"] * 3 + ["1 Journal"] == said
    assert 1 == len(list(state_dir.glob(f"{FILE_NAME}.damaged-*Z")))


# --- names of jobs and places ---

DOWN = Job(OssAddress("bucket", "a"), LocalAddress("/out"))


def test_a_job_keeps_its_key():
    """Written down, because the part files on users' disks are named by it."""
    assert "33d1" == job_key(DOWN)[:4]
    assert 32 == len(job_key(DOWN))


@pytest.mark.parametrize(
    "same",
    [
        Job(OssAddress("bucket", "a/"), LocalAddress("/out")),
        Job(OssAddress("bucket", "a"), LocalAddress("/out/", is_folder=True)),
        Job(OssAddress("bucket", "a"), LocalAddress("/x/../out")),
        replace(DOWN, options=replace(DOWN.options, oss=OssSettings(endpoint="http://x"))),
        replace(DOWN, options=replace(DOWN.options, dry_run=True)),
        pickle.loads(pickle.dumps(DOWN)),
    ],
)
def test_the_same_job_has_the_same_key(same):
    """However it was written."""
    assert job_key(DOWN) == job_key(same)


@pytest.mark.parametrize(
    "other",
    [
        Job(OssAddress("bucket", "b"), LocalAddress("/out")),
        Job(OssAddress("other-bucket", "a"), LocalAddress("/out")),
        Job(OssAddress("bucket", "a"), LocalAddress("/out2")),
        Job(LocalAddress("/out"), OssAddress("bucket", "a")),
        Job(OssAddress("bucket", "a"), OssAddress("bucket", "b")),
        replace(DOWN, recursive=False),
        replace(DOWN, options=replace(DOWN.options, oss=OssSettings(region="cn-beijing"))),
        Job(OssAddress("bucket", ""), LocalAddress("/out")),
    ],
)
def test_another_job_has_another_key(other):
    """Source, destination, direction, kind and region count."""
    assert job_key(DOWN) != job_key(other)


def test_a_relative_path_is_the_absolute_one(monkeypatch, tmp_path):
    """Cron starts elsewhere than the user did."""
    monkeypatch.chdir(tmp_path)
    relative = Job(LocalAddress("tree"), OssAddress("bucket", ""))
    absolute = Job(LocalAddress(f"{tmp_path}/tree"), OssAddress("bucket", ""))

    assert job_key(absolute) == job_key(relative)


def test_a_path_that_is_not_utf_8_has_a_key():
    """Linux allows it, and so do we."""
    assert job_key(Job(LocalAddress("/stray\udcff"), OssAddress("bucket", "")))


def test_what_is_no_job_has_no_key():
    """Both local."""
    with pytest.raises(UsageError):
        job_key(Job(LocalAddress("/a"), LocalAddress("/b")))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/home/me"}, "/s/osssync"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/osssync"),
        ({"XDG_STATE_HOME": "", "HOME": "/root"}, "/root/.local/state/osssync"),
        ({"HOME": "/"}, f"/var/tmp/osssync-{os.geteuid()}"),
        ({}, f"/var/tmp/osssync-{os.geteuid()}"),
    ],
)
def test_the_state_has_a_place_for_everybody(environ, expected):
    """The XDG directory, that below the home, or for services one that outlives a reboot."""
    assert Path(expected) == default_state_dir(environ)
