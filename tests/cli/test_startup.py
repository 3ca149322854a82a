"""What starting costs, and what importing must not do."""

import json
import os
import subprocess
import sys

HEAVY = ("oss2", "requests", "urllib3", "alibabacloud_credentials", "aiohttp", "rich", "tqdm")


def python(program, *arguments):
    """Run a program and read the JSON it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_help_costs_less_than_a_quarter_second_of_cpu():
    """The least of five runs, start of the interpreter included, relative to this machine's own.

    The limit is 0.25 s where `python -c pass` takes 0.02 s; a slower machine gets more.
    """
    spent = [min(_cpu_s(*words) for _ in range(5)) for words in (("-c", "pass"), _HELP)]

    assert spent[1] < max(0.25, 12 * spent[0])


_HELP = ("-m", "osssync", "--help")


def _cpu_s(*words):
    before = os.times()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def test_help_loads_no_sdk():
    """--help needs neither SDK, nor the emulator's server, nor a progress bar."""
    program = (
        "import sys, json, osssync.cli.app as app\n"
        "app.main(['sync', '--help'])\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )

    assert [] == python(program)


def test_importing_starts_no_thread_and_adds_no_log_handler():
    """Import osssync is silent: threads, handlers and levels are as before, no SDK is loaded."""
    program = (
        "import json, logging, sys, threading\n"
        "import osssync\n"
        "names = list(logging.root.manager.loggerDict)\n"
        "loggers = [logging.getLogger(), *map(logging.getLogger, names)]\n"
        "handlers = [h for logger in loggers for h in logger.handlers]\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([threading.active_count(), len(handlers), heavy]))"
    )

    assert [1, 0, []] == python(program)


def test_the_version_is_the_packages():
    """--version prints osssync.__version__."""
    from osssync import __version__

    done = subprocess.run(
        [sys.executable, "-m", "osssync", "--version"], capture_output=True, text=True, check=True
    )

    assert f"osssync {__version__}\n" == done.stdout
