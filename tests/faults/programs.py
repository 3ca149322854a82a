"""The program as a process of its own, started and left running."""

import subprocess
import sys
import time

from tests.conftest import _said, environment_for

PATIENCE_S = 30  # far beyond all that is waited for; only a hang reaches it


def start(emulator, *arguments, env=None):
    """One command line, running; ``ended`` takes what it says."""
    return subprocess.Popen(
        [sys.executable, "-m", "osssync", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment_for(emulator), **(env or {})},
    )


def ended(process, timeout_s=PATIENCE_S):
    """Its exit code and all it said, once it has ended; it is killed if it does not."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {timeout_s} s: {out + err!r}") from None
    _said.append((f"osssync, process {process.pid}", out + err))
    return process.returncode, (out + err).decode()


def wait_until(claim, process=None):
    """Wait for something to become true, as long as the process that does it is there."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline_s, "it never came to that"
        assert process is None or process.poll() is None, ended(process)
        time.sleep(0.005)
