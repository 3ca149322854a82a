"""Standard streams as an operator leaves them: closed, full, without a reader, not UTF-8."""

import fcntl
import json
import os
import pty
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from osssync.emulator.faults import Effect, Rule
from tests.conftest import environment_for
from tests.trees import tree_bytes

OSSSYNC = f"{shlex.quote(sys.executable)} -m osssync"


@pytest.fixture
def shell(emulator, tmp_path):
    """Run a line of bash in which OSSSYNC is the program; gives the finished process."""

    def run(line, **env):
        return subprocess.run(
            ["bash", "-c", line.replace("OSSSYNC", OSSSYNC)],
            env={**environment_for(emulator), **env}, capture_output=True, text=True, timeout=60,
            cwd=tmp_path, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_neither_stops_nor_spoils_a_sync(emulator, shell, tmp_path, closed):
    """A daemon's closed streams: exit 0, all bytes right, and no line of output in any file."""
    for number in range(5):
        emulator.objects.put("bucket", f"{number}", b"whole")

    done = shell(f"OSSSYNC sync oss://bucket/ out {closed}")

    assert (0, "") == (done.returncode, done.stderr)
    assert dict.fromkeys("01234", b"whole") == tree_bytes(tmp_path / "out")


def test_a_closed_standard_input_is_not_an_empty_object(emulator, shell):
    """Cp - with nothing to read from is an error, and what is there stays."""
    emulator.objects.put("bucket", "key", b"old")

    done = shell("OSSSYNC cp - oss://bucket/key <&-")

    assert (3, b"old") == (done.returncode, bytes(emulator.objects.get("bucket", "key")))
    assert "cannot read" in done.stderr


@pytest.mark.parametrize(
    "command",
    ["ls oss://bucket/", "cat oss://bucket/a", "cp oss://bucket/a -", "sync oss://bucket/ x"],
)
def test_a_full_disk_under_standard_output_is_explained(emulator, shell, command):
    """Exit 3 and one sentence; no traceback, and nothing from Python at exit."""
    emulator.objects.put("bucket", "a", b"1")

    done = shell(f"OSSSYNC {command} > /dev/full")

    expected = "osssync: cannot write to standard output: No space left on device\n"
    assert (3, expected) == (done.returncode, done.stderr)


def test_a_reader_that_goes_away_ends_a_run_in_good_order(emulator, shell, tmp_path):
    """Osssync sync | head -1: exit 3, silence, every file whole; the next run does the rest."""
    for number in range(300):
        emulator.objects.put("bucket", f"{number:04}" + "x" * 200, b"whole")
    large = os.urandom(20 << 20)
    emulator.objects.put("bucket", "z", large)
    sync = "OSSSYNC sync oss://bucket/ out --part-size 1M"

    done = shell(f"{sync} | head -1 > /dev/null; exit ${{PIPESTATUS[0]}}")
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("[!.]*")}
    again = shell(sync)

    assert (3, "") == (done.returncode, done.stderr)
    assert {b"whole", large} >= set(found.values())
    assert 0 == again.returncode
    assert [b"whole"] * 300 + [large] == [
        one for _, one in sorted(tree_bytes(tmp_path / "out").items())
    ]


def test_json_is_json_in_every_encoding(emulator, shell):
    """Names that the encoding of stdout cannot hold are escaped the way JSON does it."""
    keys = ["é\x9b", "日本", "\U0001f680", "\x1b[2J", "\u202eoval"]
    for key in keys:
        emulator.objects.put("bucket", key, b"1")

    done = shell("OSSSYNC ls oss://bucket/ --json", PYTHONIOENCODING="ascii")

    assert sorted(keys) == sorted(json.loads(line)["key"] for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    "command",
    [
        "cp oss://bucket/$KEY x",
        "cat oss://bucket/$KEY",
        "cp $KEY oss://bucket/x",
        "ls $KEY",
        "sync oss://bucket/ out --exclude $KEY[",
        "ls oss://bucket/ --$KEY",
        "$KEY",
    ],
)
def test_no_message_moves_the_cursor(shell, command):
    """Whatever a message repeats, escape sequences and line ends in it are shown, not done."""
    done = shell("OSSSYNC " + command.replace("$KEY", "$'no\\e[2Jpe\\nforged'"))

    assert done.returncode not in (0, 5)
    assert "\x1b" not in done.stdout + done.stderr
    assert not any(line.startswith("forged") for line in done.stderr.splitlines())


def test_nobody_has_no_home(shell, tmp_path):
    """Without HOME and without an entry in the user database ~ is an error, not a surprise."""
    done = shell("env -u HOME -u XDG_STATE_HOME OSSSYNC cp '~nobody-such/x' oss://bucket/x")

    assert 1 == done.returncode
    assert "home directory" in done.stderr


def test_ctrl_c_outside_of_a_run_is_exit_5(emulator):
    """Stat waits between two attempts: Ctrl-C ends it at once, by the documented code."""
    emulator.faults.add(Rule(Effect.ERROR, operation="HeadObject"))
    process = subprocess.Popen(
        [sys.executable, "-m", "osssync", "stat", "oss://bucket/x"],
        env=environment_for(emulator), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while sum(one.operation == "HeadObject" for one in emulator.requests) < 3:
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)

    assert (5, "osssync: interrupted\n") == (process.returncode, err)


def test_ctrl_c_ends_an_upload_of_standard_input_and_its_parts(emulator):
    """Cp - while parts are repeated: exit 5 within seconds, the upload aborted."""
    emulator.faults.add(Rule(Effect.ERROR, operation="UploadPart"))
    process = subprocess.Popen(
        [sys.executable, "-m", "osssync", "cp", "-", "oss://bucket/x", "--part-size", "100K"],
        env=environment_for(emulator), stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(bytes(300_000))
    process.stdin.flush()
    while sum(one.operation == "UploadPart" for one in emulator.requests) < 6:
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    process.wait(timeout=10)
    process.stdin.close()
    process.stderr.close()

    assert 5 == process.returncode
    assert 1 == sum(one.operation == "AbortMultipartUpload" for one in emulator.requests)


def test_a_name_that_finds_nothing_is_said(emulator, osssync, tmp_path):
    """Sync from a misspelt prefix succeeds, as an empty tree is one, but not in silence."""
    emulator.objects.put("bucket", "name", b"1")

    done = osssync("sync", "oss://bucket/name", tmp_path / "out")

    assert 0 == done.code
    assert "nothing is below oss://bucket/name" in done.err


def test_a_directory_in_the_way_of_one_file_is_told_from_a_missing_r(emulator, osssync, tmp_path):
    """Cp OBJECT DIR where DIR/OBJECT is a directory: refused; -r would not help, so not advised."""
    emulator.objects.put("bucket", "name", b"1")
    (tmp_path / "name").mkdir()

    done = osssync("cp", "oss://bucket/name", tmp_path)

    assert 3 == done.code
    assert "directory" in done.err
    assert "give -r" not in done.err


def test_on_a_terminal_failures_stand_above_the_bar(emulator, tmp_path):
    """A bar is drawn on a terminal; lines about objects are whole; -q and --json draw none."""
    emulator.objects.put("bucket", "large", bytes(3 << 20))
    emulator.objects.put("bucket", "k" * 120, b"1")
    emulator.faults.add(
        Rule(Effect.ERROR, operation="GetObject", key="k*", status=403, code="AccessDenied")
    )

    shown = {
        flag: on_terminal(emulator, "sync", "oss://bucket/", tmp_path / f"out{flag}", *flag.split())
        for flag in ("", "-q", "--json")
    }

    assert "2/2 objects 100%" in shown[""]
    assert any(line.startswith("failed: oss://bucket/kkk") for line in shown[""].splitlines())
    assert "%|" not in shown["-q"] + shown["--json"]
    for line in shown["--json"].splitlines():
        json.loads(line)


def on_terminal(emulator, *arguments):
    """What a program shows on a terminal of 80 columns, carriage returns as line ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "osssync", *map(str, arguments)],
        env={**environment_for(emulator), "TERM": "xterm"},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux: the other side is closed
        pass
    process.wait(timeout=20)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n").replace("\r", "\n")
