"""A worker that does what the keys of its tasks say.

What it is told meanwhile, and what it tells, goes through files, so that it may live in any thread,
fiber or process.
"""

import os
import threading
from pathlib import Path

from osssync.errors import LocalFileError
from osssync.fibers import pause
from osssync.model import Effort, Entry, EntryKind, Failure, Outcome, Step, Task

STOPPED = Failure("InterruptedRunError", "stopped", 5)


class Catastrophe(BaseException):
    """What no worker may raise, and nobody's ``except Exception`` catches."""


class ScriptedWorker:
    """Does what the word before the slash of a key says.

    "nap" takes a moment, "wait" lasts until ``release`` or ``stop``, "hang" until ``release``
    alone, "break" raises; all else is done at once. WHOLE tasks are brief but for "long".

    Args:
        folder: for the files through which it is told and tells; all copies share it.
    """

    effort = Effort(rotations=3)
    rotations = 3

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopping = threading.Event()

    def is_brief(self, task):
        return task.step is Step.WHOLE and not task.entry.key.startswith("long")

    def brief_of(self, tasks):
        return [task for task in tasks if self.is_brief(task)]

    def line(self):
        """None: everything is scripted in ``run``."""

    def run(self, task):
        word = task.entry.key.partition("/")[0]
        if word == "break":
            raise Catastrophe(task.entry.key)
        if word == "nap":
            pause(0.002)
        if word in ("wait", "hang", "long"):
            self._tell("begun")
            while not (self._folder / "released").exists():
                if word == "wait" and self._stopping.is_set():
                    return Outcome(task, failure=STOPPED)
                pause(0.005)
        return Outcome(task, moved_bytes=task.entry.size, note=threading.current_thread().name)

    def widen(self, most):
        self.most = most

    def stop(self):
        self._stopping.set()

    def flush(self):
        if (self._folder / "full").exists():
            raise LocalFileError("the disk is full")
        self._tell("flushed")

    def close(self):
        self._tell("closed")

    # --- the test's side ---

    def release(self):
        """Let all go on that wait or hang."""
        (self._folder / "released").touch()

    def fill_disk(self):
        """Let every flush fail from now on."""
        (self._folder / "full").touch()

    def count(self, what):
        """How often a worker has "begun" to wait, "flushed" or "closed"."""
        return len(list(self._folder.glob(f"{what}-*")))

    def _tell(self, what):
        name = f"{what}-{os.getpid()}-{threading.get_ident()}-{os.urandom(4).hex()}"
        (self._folder / name).touch()


def tasks(word, count, step=Step.WHOLE, first=0):
    """So many tasks that a worker does as ``word`` says; WHOLE ones are brief."""
    made = []
    for number in range(first, first + count):
        key = f"{word}/{number}"
        made.append(Task(number, step, Entry(key, number, 0, EntryKind.FILE), key, part_number=1))
    return made


def mixed(word, count):
    """As ``tasks``, every third one not brief."""
    brief, long = tasks(word, count), tasks(word, count, Step.PART)
    return [long[n] if n % 3 == 0 else brief[n] for n in range(count)]


def fetch(engine, count):
    """So many outcomes."""
    outcomes = []
    while len(outcomes) < count:
        outcomes += engine.wait()
    return outcomes


def numbers(outcomes):
    return sorted(outcome.task.object_number for outcome in outcomes)
