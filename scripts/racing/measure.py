"""One run of one program: wall time, CPU time and memory of its whole process tree."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POLL_S: Final = 0.1  # often enough for a peak of memory, rare enough to cost nothing
LAST_LINES: Final = 3
KIB: Final = 1 << 10


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, and its whole environment."""

    argv: Sequence[str]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run cost: seconds, CPU seconds (user and system), peak bytes of memory.

    ``problem`` is why it does not count; None if it does.
    """

    wall_s: float
    cpu_s: float
    rss: int
    problem: str | None = None


def measure(command: Command, output: Path, timeout_s: float) -> Run:
    """Runs a program to its end; what it prints goes to files of the folder ``output``.

    A program that fails, or is not done after ``timeout_s`` and therefore killed with all its
    children, yields a run with a problem.
    """
    complaints = output / "stderr"
    with (output / "stdout").open("wb") as results, complaints.open("wb") as errors:
        before = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - the commands are this package's own
            command.argv,
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=results,
            stderr=errors,
            start_new_session=True,
        )
        watch = _Watch(process.pid, before + timeout_s)
        watch.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C: it is in a session of its own and hears nothing of it
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall_s = time.perf_counter() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.end()
    rss = max(watch.peak, usage.ru_maxrss * 1024)
    problem = None
    if watch.expired:
        problem = f"not done after {timeout_s:.0f} s"
    elif process.returncode:
        problem = f"exit code {process.returncode}: {_last_lines(complaints)}"
    return Run(wall_s, usage.ru_utime + usage.ru_stime, rss, problem)


class _Watch(threading.Thread):
    """Samples the memory of a process tree until told to end; kills it at its deadline."""

    def __init__(self, pid: int, deadline: float) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.expired = False
        self._pid = pid
        self._deadline = deadline
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(POLL_S):
            self.peak = max(self.peak, _tree_rss(self._pid))
            if time.perf_counter() > self._deadline:
                self.expired = True
                os.killpg(self._pid, signal.SIGKILL)
                return

    def end(self) -> None:
        """Waits for the last sample."""
        self._ended.set()
        self.join()


def _tree_rss(pid: int) -> int:
    """Bytes resident in a process and its descendants; a page they share counts once.

    Source: proc_pid_smaps(5), "Pss" (each of n processes has an nth of a page); read 2026-11.
    """
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        resident = int(rollup.partition("\nPss:")[2].split()[0]) * KIB
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (OSError, IndexError):
        return 0  # it ended between two looks
    return resident + sum(_tree_rss(child) for child in children)


def _last_lines(complaints: Path) -> str:
    lines = complaints.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-LAST_LINES:])[-300:]
