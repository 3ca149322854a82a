"""A stop is heard while a part file is read again, and costs nothing of it."""

import os
import subprocess
import sys
import time

import pytest

from osssync.emulator.faults import Effect
from osssync.errors import InterruptedRunError
from osssync.local import part_file
from osssync.local.files import DestinationRoot
from osssync.model import ByteRange
from tests.conftest import environment_for
from tests.faults.programs import ended, start, wait_until
from tests.faults.traces import part_files

MIB = 1 << 20
TIGHT = ("--jobs", 2, "--part-size", "1M", "--bigfile-threshold", "2M", "--quiet")

# The disk of the second run: every block takes a while, as 100 GB of them would.
SLOW_READS = """
import os, sys, time
from osssync.cli.app import main
from osssync.local import part_file

class SlowOs:
    def __getattr__(self, name):
        return getattr(os, name)

    def preadv(self, *arguments):
        open(os.environ["READING"], "a").close()
        time.sleep(1.0)
        return os.preadv(*arguments)

part_file.os = SlowOs()
sys.exit(main())
"""


def test_a_stop_is_heard_between_blocks(tmp_path, monkeypatch):
    """A stop in the first block of three lets no second be read."""
    read = []
    monkeypatch.setattr(part_file, "crc64", lambda data, _: read.append(len(data)) or 0)
    with DestinationRoot(tmp_path) as root:
        name = root.create_part(("f",), 3 * MIB)

        with (
            root.find_part(("f",), name, 3 * MIB) as part,
            pytest.raises(InterruptedRunError),
        ):
            part.crc64_of(ByteRange(0, 3 * MIB), lambda: bool(read))

    assert [MIB] == read


@pytest.mark.parametrize("words", [(), ("--max-duration", "2s")], ids=["signal", "duration"])
def test_a_run_that_reads_again_ends_at_once_and_loses_nothing(emulator, tmp_path, words):
    """Ctrl-C or --max-duration: over within seconds; the run after that goes on with all parts."""
    data = os.urandom(8 * MIB)
    emulator.objects.put("bucket", "t/large", data)
    command = ["sync", "oss://bucket/t", tmp_path / "out", *TIGHT]
    emulator.faults.inject(Effect.HANG, operation="GetObject", after=6)
    killed = start(emulator, *command)
    wait_until(lambda: emulator.faults.snapshot()[0]["fired"] == 2, killed)
    killed.kill()
    ended(killed)
    emulator.faults.clear()
    (left,) = part_files(tmp_path)
    emulator.forget_requests()
    reading = tmp_path / "reading"
    program = tmp_path / "slow.py"
    program.write_text(SLOW_READS)

    stopped = subprocess.Popen(
        [sys.executable, program, *map(str, command), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment_for(emulator), "READING": str(reading)},
    )
    wait_until(reading.exists, stopped)
    if not words:
        stopped.terminate()
    told_s = time.monotonic()
    code, said = ended(stopped)
    took_s = time.monotonic() - told_s

    assert (10 if words else 5) == code, said
    assert took_s < 5
    assert ([left], 0) == (part_files(tmp_path), gets(emulator)), said
    code, said = ended(start(emulator, *command))
    assert (0, data) == (code, (tmp_path / "out" / "large").read_bytes()), said
    assert gets(emulator) <= 4


def gets(emulator):
    """Parts that were given; what hangs is not."""
    return sum(
        (request.operation, request.status) == ("GetObject", 206) for request in emulator.requests
    )
