"""The program ends at once, and loses nothing by it."""

import os
import subprocess
import sys

import pytest


def ended(program):
    """Exit code and output of a program that calls ``leave``; its output waits in a buffer."""
    preface = "import atexit, sys, threading, time\nfrom osssync.cli.leaving import leave\n"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", preface + program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("code", [0, 7])
def test_it_ends_with_its_code_and_nothing_is_taken_apart(code):
    """What is said and what was registered for the end happens; a finaliser has no part in it."""
    program = (
        "class Kept:\n"
        "    def __del__(self):\n"
        "        print('taken apart')\n"
        "kept = Kept()\n"
        "atexit.register(print, 'at the end')\n"
        "sys.stdout.write('said ')\n"
        f"leave({code})\n"
        "print('left behind')"
    )

    assert (code, "said at the end\n") == ended(program)


def test_a_thread_that_is_to_be_awaited_is():
    """Then the interpreter ends as it always does."""
    program = (
        "def work():\n"
        "    time.sleep(0.3)\n"
        "    print('done')\n"
        "threading.Thread(target=work).start()\n"
        "code = leave(5)\n"
        "print('returned')\n"
        "sys.exit(code)"
    )

    assert (5, "returned\ndone\n") == ended(program)


def test_a_daemon_is_not_waited_for():
    """As at any interpreter's end."""
    program = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nleave(3)"

    assert (3, "") == ended(program)


def test_a_stream_that_takes_nothing_any_more_changes_no_code():
    """Its reader is gone; there is nobody to tell."""
    program = (
        "import os\n"
        "sys.stdout.write('for nobody')\n"
        "os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n"
        "leave(4)"
    )

    assert (4, "") == ended(program)
