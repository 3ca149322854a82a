"""What every test shares: no way out of this machine, an emulator, and an eye on secrets."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from osssync.config import CredentialSettings, Options, OssSettings, TransferSettings
from osssync.emulator.emulator import Emulator
from osssync.emulator.settings import Settings
from tests.guard import sitecustomize
from tests.leaks import Secrets
from tests.oss.stub_server import StubServer

HERE = Path(__file__).parent
ROOT = HERE.parent
_issued: set[bytes] = set()  # secrets and tokens of every emulator of the suite
_found_by_workers: list[str] = []  # leaks
_said: list[tuple[str, bytes]] = []  # what tests and their programs printed and logged


@pytest.fixture(scope="session", autouse=True)
def _no_way_out(tmp_path_factory):
    """Every child is guarded too; an attempt anywhere fails the suite at its end."""
    escapes = tmp_path_factory.mktemp("guard") / "escapes"
    environment = {
        "PYTHONPATH": os.pathsep.join([str(HERE / "guard"), str(ROOT)]),
        sitecustomize.LOG_VARIABLE: str(escapes),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("ALIBABA_CLOUD_", "OSS_")):
            del os.environ[name]
    yield
    os.environ.update({name: value for name, value in before.items() if value is not None})
    assert not escapes.exists(), f"something tried to leave this machine: {escapes.read_text()}"


@pytest.fixture(scope="session")
def _states(tmp_path_factory):
    """One directory for the state of all tests: pytest reads all that it has made for each more."""
    return tmp_path_factory.mktemp("states"), itertools.count()


@pytest.fixture(autouse=True)
def _state_of_its_own(_states, monkeypatch):
    """Every test has its own journal and locks, and its programs too."""
    folder, numbers = _states
    own = folder / str(next(numbers))
    own.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(own))


@pytest.fixture
def settings():
    """How the emulator of a test is set up; tests override this fixture, or use ``emulate``."""
    return Settings(buckets=("bucket",))


@pytest.fixture
def emulate():
    """Start emulators; their secrets are remembered, and must not be seen anywhere."""
    running = []

    def start(settings):
        context = Emulator.running(settings)
        emulator = context.__enter__()
        running.append((context, emulator))
        return emulator

    yield start
    for context, emulator in running:
        for one in emulator.authority._sets.values():
            _issued.update((one.access_key_secret.encode(), one.security_token.encode()))
        context.__exit__(None, None, None)


@pytest.fixture
def emulator(emulate, settings):
    """One running emulator with a bucket called ``bucket``."""
    return emulate(settings)


@pytest.fixture
def options(emulator):
    """Options that reach the emulator as an instance would reach OSS: by its role."""
    return options_for(emulator)


def options_for(emulator, **transfer):
    """Options for an emulator; keywords are of TransferSettings."""
    return Options(
        credentials=CredentialSettings(
            role_name=emulator.settings.role, metadata_proxy=emulator.metadata_proxy
        ),
        oss=OssSettings(endpoint=emulator.endpoint, region=emulator.settings.region),
        transfer=replace(TransferSettings(jobs=8), **transfer),
    )


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def osssync(emulator, tmp_path):
    """Run the command line in a process of its own, set up for the emulator."""

    def run(*arguments, stdin=b"", env=None, timeout_s=60):
        return run_osssync(emulator, *arguments, stdin=stdin, env=env, timeout_s=timeout_s)

    return run


def environment_for(emulator):
    """The variables that make the command line use an emulator."""
    return {
        **os.environ,
        "OSSSYNC_ENDPOINT": emulator.endpoint,
        "OSSSYNC_REGION": emulator.settings.region,
        "OSSSYNC_METADATA_PROXY": emulator.metadata_proxy,
        "ALIBABA_CLOUD_ECS_METADATA": emulator.settings.role,
    }


def run_osssync(emulator, *arguments, stdin=b"", env=None, timeout_s=60):
    """One command line, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "osssync", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**environment_for(emulator), **(env or {})},
        timeout=timeout_s,
        check=False,
    )
    _said.append((f"osssync {arguments}", done.stdout + done.stderr))
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


def pytest_configure(config):
    # A suite started in the background ignores Ctrl-C, and its programs would too.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
    config.addinivalue_line("markers", "needs(what): skips, with its reason, where that is missing")


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        missing = _missing(marker.args[0])
        if missing and os.environ.get("OSSSYNC_FAIL_ON_SKIP"):
            pytest.fail(f"needs {missing}, and the build must have it")
        if missing:
            pytest.skip(f"needs {missing}")


def _missing(what):
    if what == "namespace":
        if shutil.which("unshare") is None or shutil.which("ip") is None:
            return "unshare and ip (util-linux, iproute2)"
        probe = ["unshare", "-rn", "ip", "link", "set", "lo", "up"]
        done = subprocess.run(probe, capture_output=True, check=False)
        return "" if done.returncode == 0 else "the right to make a network namespace"
    return "" if shutil.which(what) else f"the program {what}"


def pytest_runtest_logreport(report):
    for _name, text in report.sections:
        _said.append((report.nodeid, text.encode()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """What a process of several has found at its end."""
    _found_by_workers.extend(getattr(node, "workeroutput", {}).get("leaks", []))


def pytest_sessionfinish(session, exitstatus):
    """No secret of any emulator may stand in anything that the suite printed or wrote."""
    secrets = Secrets(_issued)
    found = [name for name, text in _said if secrets.leaks_in(text)]
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None:
        for path in factory.getbasetemp().rglob("*"):
            readable = path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 26
            if readable and secrets.leaks_in(path.read_bytes()):
                found.append(str(path))
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # one of several processes: whoever began it tells
        output["leaks"] = found
        return
    found += _found_by_workers
    if found:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(f"SECRETS LEAKED in: {found}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def server():
    """Scripted, byte by byte."""
    stub = StubServer()
    yield stub
    stub.close()
