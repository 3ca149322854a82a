"""What starting costs, and what importing must not do."""

import json
import os
import subprocess
import sys

import pytest

from osssync.emulator.settings import Settings, StaticCredential
from tests.conftest import environment_for

HEAVY = (
    "oss2", "requests", "urllib3", "alibabacloud_credentials", "aiohttp", "rich", "tqdm",
    "pydantic", "http.client", "urllib.request", "xml.sax", "http", "fractions",
    "concurrent.futures", "multiprocessing", "pickle", "calendar",
)  # fmt: skip


UNUSUAL = ("ssl", "typer", "typing_extensions", "inspect", "logging", "subprocess",
           "osssync.report_file")  # fmt: skip


def python(program, *arguments, env=None):
    """Run a program and read the JSON it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, check=True, env=env,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_help_costs_less_than_an_eighth_of_a_second_of_cpu():
    """The least of five runs, start of the interpreter included, relative to this machine's own.

    It takes 0.05 s where `python -c pass` takes 0.01 s; a slower machine gets more.
    """
    spent = [min(_cpu_s(*words) for _ in range(5)) for words in (("-c", "pass"), _HELP)]

    assert spent[1] < max(0.125, 10 * spent[0])


_HELP = ("-m", "osssync", "--help")


def _cpu_s(*words):
    before = os.times()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def loaded_by(*words, names=HEAVY, env=None):
    """Which of these modules a command line has loaded by its end."""
    program = (
        "import sys, json, osssync.cli.app as app\n"
        f"code = app.main({list(words)!r})\n"
        f"print(json.dumps([code, [name for name in {tuple(names)!r} if name in sys.modules]]))"
    )
    return python(program, env=env)


def test_help_loads_no_command():
    """--help lists the commands without their modules, and knows nothing of OSS."""
    names = (*HEAVY, "osssync.cli.transfer", "osssync.cli.look", "osssync.config", "msgspec")

    assert [0, []] == loaded_by("--help", names=names)


def test_help_of_a_command_loads_that_command_alone():
    """Neither the other commands, nor what does the work, nor an SDK."""
    names = ("oss2", "requests", "alibabacloud_credentials", "tqdm", "osssync.cli.look",
             "osssync.cli.emulate", "osssync.runner", "osssync.browse")  # fmt: skip

    assert [0, []] == loaded_by("sync", "--help", names=names)


KEYS = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI5tStartup",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-a-test-alone",
}


@pytest.fixture
def settings():
    """An emulator that knows these keys."""
    return Settings(buckets=("bucket",), credentials=(StaticCredential(*KEYS.values()),))


def test_a_sync_loads_only_what_it_needs(emulator, tmp_path):
    """With keys of the environment, and no TLS: none of the packages that only some runs need."""
    emulator.objects.put("bucket", "name", b"12")
    env = environment_for(emulator) | KEYS

    loaded = loaded_by(
        "sync", "oss://bucket/", str(tmp_path), "--credentials", "env", "--retries", "3",
        "--fsync", "none", "--include", "*",
        names=(*HEAVY, *UNUSUAL), env=env,
    )  # fmt: skip

    assert [0, []] == loaded
    assert b"12" == (tmp_path / "name").read_bytes()


def test_a_large_upload_and_a_delete_load_no_sdk_either(emulator, tmp_path):
    """oss2 takes as long to load as a quarter of a gigabyte to move."""
    emulator.objects.put("bucket", "extra", b"12")
    (tmp_path / "large").write_bytes(bytes(300_000))
    env = environment_for(emulator) | KEYS

    loaded = loaded_by(
        "sync", str(tmp_path), "oss://bucket/", "--credentials", "env", "--delete",
        "--max-delete", "100%", "--bigfile-threshold", "100K", "--part-size", "100K", env=env,
    )  # fmt: skip

    assert [0, []] == loaded
    assert ["large"] == emulator.objects.keys("bucket")


def test_children_find_the_package_for_credentials_loaded():
    """What every forked child would import for its first fetch is there before there is any."""
    program = (
        "import sys, json\n"
        "from osssync.config import CredentialSource\n"
        "from osssync.credentials.sources import load\n"
        "seen = []\n"
        "for source in (CredentialSource.ENV, CredentialSource.INSTANCE_ROLE):\n"
        "    load(source)\n"
        "    seen.append('alibabacloud_credentials.provider.ecs_ram_role' in sys.modules)\n"
        "print(json.dumps(seen))"
    )

    assert [False, True] == python(program)


@pytest.mark.parametrize(("is_program", "collects"), [(True, True), (False, True), (False, False)])
def test_only_the_program_sets_its_start_aside_from_the_collector(is_program, collects):
    """While a command runs the collector works; in a host it is as the host had it."""
    program = (
        "import atexit, gc, sys, json, osssync.browse, osssync.cli.app as app\n"
        "seen = []\n"
        "def look(_):\n"
        "    seen.extend([gc.isenabled(), gc.get_freeze_count() > 0])\n"
        "    return []\n"
        "osssync.browse.list_buckets = look\n"
        f"gc.enable() if {collects} else gc.disable()\n"
        "before = gc.get_freeze_count()\n"
        "words = ['ls', '--credentials', 'env', '-e', 'http://127.0.0.1:1', '--path-style']\n"
        "sys.argv = ['osssync', *words]\n"
        "@atexit.register\n"
        "def report():\n"
        f"    as_before = gc.isenabled() == {collects} and gc.get_freeze_count() == before\n"
        "    print(json.dumps([*seen, as_before]))\n"
        f"sys.exit(app.main() if {is_program} else app.main(words))"
    )
    env = os.environ | KEYS | {"OSSSYNC_REGION": "cn-hangzhou"}

    assert [collects, is_program, not is_program] == python(program, env=env)


def test_importing_the_package_loads_a_name_when_it_is_used():
    """Import osssync loads nothing; every public name is found, listed, and starred."""
    program = (
        "import sys, json, osssync\n"
        "early = [name for name in sys.modules if name.startswith('osssync.')]\n"
        "missing = [name for name in osssync.__all__ if not hasattr(osssync, name)]\n"
        "unlisted = sorted(set(osssync.__all__) - set(dir(osssync)))\n"
        "from osssync import *\n"
        "from osssync import errors\n"
        "same = sync is osssync.api.sync and OsssyncError is errors.OsssyncError\n"
        "print(json.dumps([early, missing, unlisted, same, hasattr(osssync, 'nothing')]))"
    )

    assert [["osssync.version"], [], [], True, False] == python(program)


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
