"""--fsync: when downloads become durable, as a program asks the system and not as it says."""

import os
import stat
import threading

import pytest
from msgspec.structs import replace

from osssync import sync
from osssync.config import Fsync
from osssync.errors import LocalFileError
from osssync.local import durability, files
from osssync.local.files import DestinationRoot
from osssync.local.part_names import PartNames

MTIME_NS = 1_700_000_000 * 10**9


@pytest.fixture
def calls(monkeypatch):
    """Names of the system calls that matter here, in order, and what they were for."""
    seen = []
    fsync, rename = os.fsync, os.rename

    def seen_fsync(fd):
        is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        seen.append("fsync directory" if is_directory else "fsync file")
        fsync(fd)

    def seen_rename(*arguments, **how):
        seen.append("rename")
        rename(*arguments, **how)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "rename", seen_rename)
    monkeypatch.setattr(durability, "sync_file_system", lambda _: seen.append("syncfs"))
    return seen


def write(tmp_path, fsync):
    """A small file and a large one in a directory that is there, and the end of the run."""
    with DestinationRoot(tmp_path, PartNames(), fsync) as root:
        root.write_small(("small",), b"data", MTIME_NS)
        root.publish(("large",), root.create_part(("large",), 5), MTIME_NS)
        root.flush()


def test_a_batch_syncs_large_files_alone_and_all_others_together(tmp_path, calls):
    """One syncfs for everything; only what is large is durable before it has its name."""
    write(tmp_path, Fsync.BATCH)

    assert ["rename", "fsync file", "rename", "syncfs"] == calls


def test_each_file_is_durable_before_its_name_and_its_name_at_once(tmp_path, calls):
    """And the file systems' other users are left alone: no syncfs."""
    write(tmp_path, Fsync.EACH)

    assert ["fsync file", "rename", "fsync directory"] * 2 == calls


def test_none_syncs_nothing(tmp_path, calls):
    """For those who would download it all again."""
    write(tmp_path, Fsync.NONE)

    assert ["rename"] * 2 == calls


def test_each_new_directory_has_a_durable_name_too(tmp_path, calls):
    """The root's parents that were missing, the root's, and each below: every one from outside."""
    with DestinationRoot(tmp_path / "a" / "b", PartNames(), Fsync.EACH) as root:
        assert ["fsync directory"] * 2 == calls
        root.write_small(("c", "d", "f"), b"", MTIME_NS)

    assert ["fsync directory"] * 4 + ["fsync file", "rename", "fsync directory"] == calls


def test_a_long_run_is_durable_every_few_seconds(tmp_path, monkeypatch):
    """Nobody has to ask: what has its name becomes durable while the run goes on."""
    synced = threading.Event()
    monkeypatch.setattr(durability, "FLUSH_S", 0.01)
    monkeypatch.setattr(durability, "sync_file_system", lambda _: synced.set())

    with DestinationRoot(tmp_path) as root:
        root.write_small(("f",), b"data", MTIME_NS)

        assert synced.wait(30)


def test_the_end_waits_for_a_sync_that_is_under_way(tmp_path, monkeypatch):
    """What another thread has begun to sync is not durable yet, and must not be called so."""
    begun, go_on, order = threading.Event(), threading.Event(), []

    def slow(_):
        begun.set()
        assert go_on.wait(30)
        order.append("synced")

    monkeypatch.setattr(durability, "FLUSH_S", 0.01)
    monkeypatch.setattr(durability, "sync_file_system", slow)
    with DestinationRoot(tmp_path) as root:
        root.write_small(("f",), b"data", MTIME_NS)
        assert begun.wait(30)
        ending = threading.Thread(target=lambda: (root.flush(), order.append("done")))
        ending.start()
        ending.join(0.05)
        go_on.set()
        ending.join()

    assert ["synced", "done"] == order


def test_a_loss_that_was_noticed_on_the_way_is_told_at_the_end(tmp_path, monkeypatch):
    """The system tells each error once; a later sync that succeeds mends nothing."""
    failed = threading.Event()

    def fail(_):
        if not failed.is_set():
            failed.set()
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(durability, "FLUSH_S", 0.01)
    monkeypatch.setattr(durability, "sync_file_system", fail)
    with DestinationRoot(tmp_path) as root:
        root.write_small(("f",), b"data", MTIME_NS)
        assert failed.wait(30)

        for _ in range(2):
            with pytest.raises(LocalFileError, match=r"cannot flush .* log"):
                root.flush()


def test_a_file_that_cannot_be_made_durable_is_not_put_in_place(tmp_path, monkeypatch):
    """With ``each`` a small file too: nothing under its name, no part file."""

    def fail(_):
        raise OSError(5, "Input/output error")

    with DestinationRoot(tmp_path, PartNames(), Fsync.EACH) as root:
        monkeypatch.setattr(os, "fsync", fail)

        with pytest.raises(LocalFileError, match="cannot write"):
            root.write_small(("f",), b"data", MTIME_NS)

    assert [] == list(tmp_path.iterdir())


def test_a_sync_that_hangs_keeps_nobody(tmp_path, monkeypatch):
    """A run that is left ends; what hangs keeps the descriptor that it uses."""
    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(durability, "FLUSH_S", 0.01)
    monkeypatch.setattr(durability, "_FAREWELL_S", 0.01)
    monkeypatch.setattr(durability, "sync_file_system", lambda _: (begun.set(), go_on.wait(30)))
    root = DestinationRoot(tmp_path)
    root.write_small(("f",), b"data", MTIME_NS)
    assert begun.wait(30)

    root.close()

    (held,) = root._durability._descriptors.values()
    assert os.fstat(held).st_dev == tmp_path.stat().st_dev
    go_on.set()
    root._durability._thread.join()
    root.close()


@pytest.mark.parametrize("how", [one.value for one in Fsync])
def test_every_choice_downloads(emulator, osssync, tmp_path, how):
    """The flag reaches the disk's side, and the right bytes arrive whatever it says."""
    emulator.objects.put("bucket", "t/a", b"a")
    emulator.objects.put("bucket", "t/large", bytes(3 << 20))

    done = osssync("sync", "oss://bucket/t", tmp_path / "out", "--fsync", how,
                   "--bigfile-threshold", "2M")  # fmt: skip

    assert 0 == done.code, done.err
    assert (b"a", 3 << 20) == (
        (tmp_path / "out" / "a").read_bytes(),
        (tmp_path / "out" / "large").stat().st_size,
    )


def test_the_flag_reaches_the_disk(emulator, options, tmp_path, monkeypatch):
    """Not only the settings: the files of a run are opened with it."""
    emulator.objects.put("bucket", "t/a", b"a")
    seen, real = [], durability.Durability
    monkeypatch.setattr(files, "Durability", lambda path, how: seen.append(how) or real(path, how))
    transfer = replace(options.transfer, fsync=Fsync.NONE, processes=1)

    report = sync("oss://bucket/t", tmp_path / "out", replace(options, transfer=transfer))

    assert report.succeeded
    assert [Fsync.NONE] == seen


@pytest.mark.parametrize(
    "ends", [("LOCAL", "oss://bucket/t"), ("oss://bucket/s", "oss://bucket/t")]
)
def test_where_no_file_is_written_it_is_refused(osssync, tmp_path, ends):
    """No option is ignored in silence: exit 1, before anything is done."""
    (tmp_path / "f").write_bytes(b"")
    ends = [str(tmp_path) if end == "LOCAL" else end for end in ends]

    done = osssync("sync", *ends, "--fsync", "each")

    assert 1 == done.code
    assert "--fsync" in done.err


def test_standard_output_is_no_file_of_ours(emulator, osssync):
    """Nor can anything else be asked of "-"."""
    emulator.objects.put("bucket", "a", b"a")

    done = osssync("cp", "oss://bucket/a", "-", "--fsync", "none")

    assert (1, "") == (done.code, done.out)
