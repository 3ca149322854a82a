"""Several processes: whichever of them dies, no object is lost, and nobody is left behind."""

import os
import signal
import time
from pathlib import Path

import pytest

from osssync.emulator.faults import Effect
from tests.faults.programs import ended, start, wait_until
from tests.faults.traces import part_files
from tests.trees import make_tree, tree_bytes

COUNT = 700  # far more than are done before children get any
SLOW_S = 0.02


@pytest.fixture
def folder(emulator, tmp_path):
    """Small objects in a bucket, and their bytes in a directory."""
    make_tree(tmp_path / "in", {f"{n % 7}/{n:04}": 50 + n for n in range(COUNT)})
    for key, data in tree_bytes(tmp_path / "in").items():
        emulator.objects.put("bucket", f"many/{key}", data)
    return tmp_path


def begin(emulator, folder, *, is_upload, processes=2):
    ends = (
        [folder / "in", "oss://bucket/up"] if is_upload else ["oss://bucket/many", folder / "out"]
    )
    return start(emulator, "sync", *ends, "--processes", processes, "--jobs", 8, "--quiet")


def arrived(emulator, folder, *, is_upload):
    if not is_upload:
        return tree_bytes(folder / "out")
    keys = [key for key in emulator.objects.keys("bucket") if key.startswith("up/")]
    return {key.removeprefix("up/"): emulator.objects.get("bucket", key) for key in keys}


def children_of(process):
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(word) for word in text.split()]


def served(emulator):
    """Objects asked for or put so far."""
    return sum(one.operation in ("GetObject", "PutObject") for one in emulator.requests)


@pytest.mark.parametrize("is_upload", [False, True], ids=["down", "up"])
def test_children_move_what_is_moved(emulator, folder, is_upload):
    """All bytes arrive, each object by one request; every process has its own credentials."""
    process = begin(emulator, folder, is_upload=is_upload)

    code, said = ended(process)

    assert (0, "") == (code, said)
    assert tree_bytes(folder / "in") == arrived(emulator, folder, is_upload=is_upload)
    assert COUNT == served(emulator)
    assert [] == part_files(folder)


@pytest.mark.parametrize("is_upload", [False, True], ids=["down", "up"])
def test_a_killed_child_costs_nothing_but_a_word(emulator, folder, is_upload):
    """Exit 0, everything there, and the user is told."""
    emulator.faults.inject(Effect.DELAY, delay_s=SLOW_S)
    process = begin(emulator, folder, is_upload=is_upload)
    wait_until(lambda: served(emulator) > 350, process)
    os.kill(children_of(process)[0], signal.SIGKILL)

    code, said = ended(process)

    assert (0, 1) == (code, said.count("was killed (SIGKILL)"))
    assert tree_bytes(folder / "in") == arrived(emulator, folder, is_upload=is_upload)
    assert [] == part_files(folder)


@pytest.mark.parametrize("is_upload", [False, True], ids=["down", "up"])
def test_a_killed_run_leaves_no_process_and_no_lock(emulator, folder, is_upload):
    """The next one begins at once, and ends with equal bytes and no debris."""
    emulator.faults.inject(Effect.DELAY, delay_s=SLOW_S)
    process = begin(emulator, folder, is_upload=is_upload)
    wait_until(lambda: served(emulator) > 350, process)
    children = children_of(process)
    process.kill()
    ended(process)
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in children))
    emulator.faults.clear()

    code, said = ended(begin(emulator, folder, is_upload=is_upload))

    assert (0, "") == (code, said)
    assert tree_bytes(folder / "in") == arrived(emulator, folder, is_upload=is_upload)
    assert [] == part_files(folder)


def test_a_signal_to_all_of_them_ends_the_run_in_good_order(emulator, folder):
    """As a terminal or a service manager sends it: exit 5 soon, nothing partial, resumable."""
    emulator.faults.inject(Effect.DELAY, delay_s=SLOW_S)
    process = begin(emulator, folder, is_upload=False)
    wait_until(lambda: served(emulator) > 350, process)
    began_s = time.monotonic()
    for pid in (*children_of(process), process.pid):
        os.kill(pid, signal.SIGTERM)

    code, _ = ended(process)

    found = tree_bytes(folder / "out")
    assert 5 == code
    assert found.items() <= tree_bytes(folder / "in").items()
    assert time.monotonic() - began_s < 8
    assert [] == part_files(folder)
