"""Disks and trees that refuse: reported with what to do, nothing half done left behind."""

import os
import socket
import subprocess
import sys

import pytest

import osssync
from tests.conftest import environment_for
from tests.trees import make_tree, tree_bytes

MIB = 1 << 20


@pytest.fixture
def on_tmpfs(emulator, tmp_path):
    """Sync into a small file system of its own; gives exit code, errors and what is left there."""
    mount = tmp_path / "mount"
    mount.mkdir()

    def run(options, *words):
        line = (
            f'mount -t tmpfs -o {options} tmpfs {mount} && "$@"; code=$?; '
            f"find {mount} -mindepth 1 -name '.osssync*' >&2; exit $code"
        )
        command = [sys.executable, "-m", "osssync", *words, str(mount / "out")]
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", line, "sh", *command], env=environment_for(emulator),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    return run


@pytest.mark.needs("namespace")
@pytest.mark.parametrize(
    ("mount_options", "advice"),
    [
        ("size=256k", "free some and run again"),
        ("size=8m,nr_inodes=6", "free some and run again"),
        ("ro", "read-only"),
    ],
)
def test_a_disk_that_takes_no_more_ends_the_run(emulator, on_tmpfs, mount_options, advice):
    """Full, without inodes, read-only: exit 3, the reason once at the end, no part file."""
    for number in range(20):
        emulator.objects.put("bucket", f"{number:02}", os.urandom(40_000))
    emulator.objects.put("bucket", "large", os.urandom(20 * MIB))

    code, err = on_tmpfs(mount_options, "sync", "oss://bucket/")

    assert 3 == code
    assert advice in err.splitlines()[-1]
    assert ".osssync-" not in err
    assert "Traceback" not in err


def test_few_descriptors_are_enough_or_are_named(emulator, tmp_path):
    """24 open files for 32 jobs: every file whole, or a failure that names the limit."""
    for number in range(60):
        emulator.objects.put("bucket", f"{number:02}/deep/file", b"whole")
    line = 'ulimit -n 24; exec "$@"'
    command = [sys.executable, "-m", "osssync", "sync", "oss://bucket/", tmp_path / "out"]

    done = subprocess.run(
        ["bash", "-c", line, "sh", *command, "-j", "32", "--retries", "1"],
        env=environment_for(emulator), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert {b"whole"} >= set(tree_bytes(tmp_path / "out").values())
    assert done.returncode in (0, 3, 4)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "open files" in done.stderr


@pytest.mark.parametrize("size", [3_000, 2 * MIB, 17 * MIB])
def test_a_file_too_large_for_the_limit_is_reported(emulator, tmp_path, size):
    """Ulimit -f: in memory, streamed, in parts: the reason is said and nothing is left."""
    emulator.objects.put("bucket", "file", bytes(size))
    command = [sys.executable, "-m", "osssync", "cp", "oss://bucket/file", tmp_path / "out/"]

    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 1; exec "$@"', "sh", *command],
        env=environment_for(emulator),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert 3 == done.returncode
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert {} == tree_bytes(tmp_path / "out")


def test_a_file_and_a_directory_of_one_name_cannot_both_be(emulator, options, tmp_path):
    """Keys a and a/b: one of them arrives, the other is reported, whichever comes first."""
    for key in ("a", "a/b", "c/", "c/d", "e"):
        emulator.objects.put("bucket", key, b"" if key.endswith("/") else b"1")

    report = osssync.sync("oss://bucket/", tmp_path / "out", options)

    assert (4, 1, 4) == (report.exit_code, report.totals.failed, report.totals.transferred)
    assert report.failures[0].failure.error == "UnsafeKeyError"
    assert 1 == len({"a", "a/b"} & set(tree_bytes(tmp_path / "out")))


def test_what_stands_in_the_way_is_never_removed(emulator, options, tmp_path):
    """A directory where a file should go, a file where a directory should: both stay, reported."""
    emulator.objects.put("bucket", "file", b"1")
    emulator.objects.put("bucket", "folder/x", b"1")
    make_tree(tmp_path / "out", {"file/precious": 3, "folder": 3})
    before = tree_bytes(tmp_path / "out")

    report = osssync.sync("oss://bucket/", tmp_path / "out", options)

    assert 2 == report.totals.failed
    assert before == tree_bytes(tmp_path / "out")


@pytest.mark.parametrize("depth", [1, 3])
def test_a_link_swapped_in_while_running_leads_nowhere(emulator, tmp_path, options, depth):
    """A directory of the destination replaced by a link in the middle of a run: nothing outside."""
    folder = "/".join("abc"[:depth])
    for number in range(40):
        emulator.objects.put("bucket", f"{folder}/{number:02}", b"evil")
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()

    class Swap:
        done = False

        def ended(self, _outcome):
            if not self.done:
                self.done = True
                (out / folder).rename(tmp_path / "moved")
                (out / folder).symlink_to(outside)

        def __getattr__(self, _name):
            return lambda *_: None

    report = osssync.sync("oss://bucket/", out, options, Swap())

    assert [] == list(outside.iterdir())
    assert 40 == report.totals.transferred + report.totals.failed


def test_special_files_are_named_and_the_rest_goes_up(emulator, options, tmp_path):
    """Pipe, socket, device, dangling and circular links, a name that is not UTF-8."""
    tree = tmp_path / "t"
    make_tree(tree, {"good": 3, "dir/good": 3})
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
    (tree / "device").symlink_to("/dev/null")
    (tree / "dangling").symlink_to("nowhere")
    (tree / "circle").symlink_to("circle")
    (tree / "dir" / "up").symlink_to("..")
    (tree / os.fsdecode(b"bad\xff")).write_bytes(b"1")

    report = osssync.sync(tree, "oss://bucket/t", options)

    assert ["t/dir/good", "t/good"] == emulator.objects.keys("bucket")
    reasons = {failed.key: failed.failure.message for failed in report.failures}
    assert {
        "pipe": "a named pipe, not a file",
        "socket": "a socket, not a file",
        "device": "a device, not a file",
        "dangling": "a symbolic link to nothing",
        "circle": "cannot be read: Too many levels of symbolic links",
        "dir/up/": "a symbolic link to a directory it lies in",
    } == {key: reason for key, reason in reasons.items() if key.isascii()}
    assert "not UTF-8" in reasons["bad\udcff"]


def test_a_huge_sparse_file_is_planned_without_being_read(emulator, options, tmp_path):
    """6 GiB of nothing: planning neither reads nor holds it."""
    (tmp_path / "t").mkdir()
    with (tmp_path / "t" / "sparse").open("wb") as file:
        file.truncate(6 << 30)

    (action,) = osssync.plan(tmp_path / "t", "oss://bucket/t", options)

    assert 6 << 30 == action.entry.size
