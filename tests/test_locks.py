"""One run at a time for one job: among threads, processes, and the remains of killed ones."""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from osssync import locks
from osssync.errors import InterruptedRunError, LockBusyError
from osssync.locks import acquire

HOLD = """
import sys, threading
from pathlib import Path
from osssync.locks import acquire
lock = acquire(Path(sys.argv[1]), 0, wait=threading.Event().wait, warn=print)
print(lock.held, flush=True)
{then}
sys.stdin.read()
"""


class Time:
    """A clock moved by its own waits; at the ``stop_at``-th, or in it, something happens."""

    def __init__(self, then=lambda: False, at=0):
        self.now_s = 0.0
        self.waits = []
        self._then, self._at = then, at

    def wait(self, delay_s):
        self.waits.append(delay_s)
        self.now_s += delay_s
        return bool(len(self.waits) == self._at and self._then())

    def __call__(self):
        return self.now_s


def no_warning(message):
    pytest.fail(f"a warning: {message}")


def take(path, wait_s=0.0, time=None, warn=no_warning):
    time = time or Time()
    return acquire(path, wait_s, wait=time.wait, warn=warn, clock=time)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "locks" / "0123.lock"


@pytest.fixture
def holder(path):
    """Start processes that hold the lock; they are killed at the end."""
    running = []

    def start(then=""):
        command = [sys.executable, "-c", HOLD.format(then=then), str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert b"True\n" == process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_second_run_is_told_who_has_the_lock_and_since_when(path, holder):
    """The pid of the other process and an instant in UTC, at once; exit code 11."""
    other = holder()

    with pytest.raises(LockBusyError) as caught:
        take(path)

    assert 11 == caught.value.exit_code
    assert f"process {other.pid} on " in str(caught.value)
    assert re.search(r"since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(caught.value))
    assert str(path) in str(caught.value)


def test_threads_of_one_process_keep_each_other_out(path):
    """The Python API may run two jobs side by side: the lock is not the process's."""
    with take(path), pytest.raises(LockBusyError, match=str(os.getpid())):
        take(path)

    assert take(path).held


def test_other_jobs_have_other_locks(path):
    """Two files, two locks."""
    with take(path) as one, take(path.with_name("4567.lock")) as other:
        assert (True, True) == (one.held, other.held)


def test_a_killed_run_leaves_no_lock_behind(path, holder):
    """By kill -9: the file is still there, still names the dead, and keeps nobody out."""
    other = holder()
    other.send_signal(signal.SIGKILL)
    other.wait()
    remains = path.read_text()

    with take(path) as lock:
        assert lock.held
        assert f"process {os.getpid()} " in path.read_text()

    assert f"process {other.pid} " in remains


@pytest.mark.parametrize("child", ["fork", "exec"])
def test_the_children_of_a_killed_run_do_not_hold_its_lock(path, holder, child):
    """A child that lives on has no part in the lock, however it was made."""
    then = {
        "fork": "import os\nif not (pid := os.fork()): threading.Event().wait(60)",
        "exec": "import subprocess\npid = subprocess.Popen(['sleep', '60'], close_fds=False).pid",
    }[child]
    other = holder(then + "\nprint(pid, flush=True)")
    orphan = int(other.stdout.readline())
    other.send_signal(signal.SIGKILL)
    other.wait()
    try:
        os.kill(orphan, 0)  # it lives
        lock = _take_patiently(path)  # the fork may still be closing its copy
    finally:
        os.kill(orphan, signal.SIGKILL)

    assert lock.held


def _take_patiently(path):
    deadline_s = time.monotonic() + 20
    while True:
        try:
            return take(path)
        except LockBusyError:
            assert time.monotonic() < deadline_s, "the child holds the lock"
            time.sleep(0.01)


def test_a_forked_child_that_leaves_the_block_does_not_unlock_the_parent(path):
    """Closing the child's copy is all: the parent keeps the lock, and its name in the file."""
    lock = take(path)
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)

    with pytest.raises(LockBusyError, match=f"process {os.getpid()} "):
        take(path)
    lock.release()


def test_waiting_ends_when_the_other_run_does(path):
    """Tries at intervals, and goes on as soon as the lock is free."""
    first = take(path)
    time = Time(first.release, at=3)

    lock = take(path, 60, time)

    assert lock.held
    assert [locks.POLL_S] * 3 == time.waits


def test_waiting_has_an_end(path):
    """After --lock-wait the error says how long it was; the last wait is cut to fit."""
    time = Time()

    with take(path), pytest.raises(LockBusyError, match=r"still, after 0\.5 s of waiting"):
        take(path, 0.5, time)

    assert pytest.approx([0.2, 0.2, 0.1]) == time.waits


def test_waiting_can_be_interrupted(path):
    """Ctrl-C while waiting for another run: exit code 5, and no lock is kept by mistake."""
    first = take(path)

    with pytest.raises(InterruptedRunError):
        take(path, 60, Time(lambda: True, at=2))
    first.release()

    assert take(path).held


def test_an_event_is_a_wait(path):
    """``stop.wait`` of a run fits: set beforehand, nothing is waited for."""
    stop = threading.Event()
    stop.set()

    with take(path), pytest.raises(InterruptedRunError):
        acquire(path, 60, wait=stop.wait, warn=no_warning)


def test_releasing_empties_the_file_and_may_be_repeated(path):
    """Nobody is named who is not there; the second release is harmless."""
    lock = take(path)

    lock.release()
    lock.release()

    assert "" == path.read_text()
    assert not lock.held


def test_file_and_directory_are_the_users_alone(path):
    """0600 and 0700, whatever the umask."""
    before = os.umask(0)
    try:
        take(path)
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_a_link_in_its_place_is_not_followed(path, tmp_path):
    """Whoever put it there does not get a file of theirs emptied: no lock, and a warning."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.parent.mkdir(parents=True)
    path.symlink_to(victim)
    warnings = []

    lock = take(path, warn=warnings.append)

    assert ("precious", False, 1) == (victim.read_text(), lock.held, len(warnings))


def test_without_a_place_for_locks_the_run_goes_on_with_a_warning(tmp_path):
    """Here a file stands where the directory should be; a read-only disk is the same."""
    (tmp_path / "state").write_text("")
    warnings = []

    with take(tmp_path / "state" / "locks" / "a.lock", warn=warnings.append) as lock:
        assert not lock.held

    assert 1 == len(warnings)
    assert "--state-dir" in warnings[0]


def test_a_file_system_without_locks_is_told(path, monkeypatch):
    """ENOLCK, as of an NFS server without a lock daemon: no lock, a warning, no open file."""

    def no_locks(_fd, _operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    warnings, before = [], set(Path("/proc/self/fd").iterdir())

    lock = take(path, warn=warnings.append)

    assert not lock.held
    assert "No locks available" in warnings[0]
    assert before == set(Path("/proc/self/fd").iterdir())


def test_a_refused_run_leaves_no_file_open(path):
    """Trying often must not use up descriptors."""
    with take(path):
        before = set(Path("/proc/self/fd").iterdir())
        for _ in range(5):
            with pytest.raises(LockBusyError):
                take(path)

        assert before == set(Path("/proc/self/fd").iterdir())


def test_the_holder_may_not_have_said_who_it_is(path):
    """An empty file under a lock is a run that has just begun."""
    with take(path):
        Path(path).write_text("")

        with pytest.raises(LockBusyError, match="not said who it is"):
            take(path)
