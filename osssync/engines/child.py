"""A worker process: forked or begun anew, told what to do through a pipe, gone with its parent.

    parent ═ pipe ═▶ serve ─▶ engine ─▶ outcomes ═ pipe ═▶ parent
                       └─ the pipe ends: so does this process, at once

A fork costs a millisecond and shares what is loaded; but it takes a copy of one thread only, with
whatever locks the others hold. So it is for a process that has no other threads. Elsewhere a new
interpreter costs some tenths of a second.

Signals are the parent's business: a terminal or a service manager sends them to everybody at once,
and who tells the children what that means is the parent.
"""

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from osssync.engines import messages
from osssync.engines.fibers import Fibers
from osssync.engines.local import LOOK_AROUND_S
from osssync.engines.pipe import Pipe
from osssync.engines.threads import Threads
from osssync.errors import OsssyncError
from osssync.model import Effort, Failure, Outcome, Task, Width
from osssync.transfer.worker import Worker, failure_of

LINGER_S = 0.006
"""For how long outcomes are collected."""

LONG_LINGER_S = 0.02
"""The same for tasks that keep a thread busy: their successors are here long before."""

BATCH = 128
"""So many outcomes are told at once at the latest."""

BATCH_BYTES = 8 << 20
"""Outcomes of so many bytes are told at once, too: who moves them may run dry."""

_COLLECT_EVERY = 50_000  # new containers; what tasks make has no cycles

_BROKEN = 70  # exit code: a bug, or what the engine needs cannot be had (sysexits.h EX_SOFTWARE)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """A worker process, as its parent sees it. Tasks may be sent at once; it reads them later.

    Args:
        pipe: to the child.
        reap: waits for its end and gives its exit code, negative for a signal.
    """

    def __init__(self, pid: int, pipe: Pipe, reap: Callable[[], int]) -> None:
        self.pid = pid
        self.pipe = pipe
        self._reap = reap
        self._code: int | None = None
        self.tasks: dict[int, Task] = {}
        """What it was given and has not answered."""
        self.bytes_given = self.bytes_done = 0
        """Of tasks that keep a thread busy; each number has one thread that counts it."""
        self.effort = Effort()
        self.flushed: SimpleQueue[Failure | None] = SimpleQueue()
        """Why what it wrote is not durable, once it was asked; its end is an answer as well."""

    def kill(self) -> None:
        """End it at once, if it has not ended, and wait for nothing."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> int:
        """End it at once, if it has not ended; its exit code. Again is harmless."""
        if self._code is None:
            self.kill()
            self._code = self._reap()
            self.pipe.close()
        return self._code


class Crew:
    """The children of a run; as a context it ends them all.

    Args:
        make: makes one, given those there are.
        count: how many.
        width: how many tasks each of them runs at once; they are told when they begin.
        takes_parts: whether they move the parts of large objects, too.
    """

    def __init__(
        self,
        make: Callable[[Sequence[Child]], Child],
        count: int,
        width: Width,
        *,
        takes_parts: bool,
    ) -> None:
        self._make = make
        self.count = count
        self.width = width
        self.takes_parts = takes_parts
        self._children: list[Child] = []

    def call(self) -> Sequence[Child]:
        """All of them; those that are missing are made."""
        while len(self._children) < self.count:
            self._children.append(self._make(self._children))
        return tuple(self._children)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.kill()  # their ends take a millisecond each, and overlap
        for child in self._children:
            child.end()


def can_fork() -> bool:
    """Whether a fork of this process, as it is now, is a sound one."""
    return sys.platform == "linux" and threading.active_count() == 1


def fork(serve: Callable[[Pipe], None], siblings: Sequence[Child]) -> Child:
    """Copy this process; the copy does ``serve`` and ends.

    Args:
        serve: gets the child's end of the pipe.
        siblings: forked before; the copy must not keep their pipes open.
    """
    ours, theirs = Pipe.pair()
    pid = os.fork()
    if pid == 0:
        code = _BROKEN
        try:
            for pipe in (ours, *(sibling.pipe for sibling in siblings)):
                pipe.close()
            serve(theirs)
            code = 0
        finally:
            os._exit(code)  # nothing of what the parent has open is ours to tidy
    theirs.close()
    return Child(pid, ours, lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def spawn(entry: str) -> Child:
    """Begin a new interpreter that calls ``entry``, "module:function", with a pipe's descriptor."""
    import subprocess  # most processes fork

    ours, theirs = Pipe.pair()
    module, _, function = entry.partition(":")
    descriptor = theirs.fileno()
    command = f"from {module} import {function}; {function}({descriptor})"
    path = os.pathsep.join(place for place in sys.path if place)
    process = subprocess.Popen(  # noqa: S603 - this interpreter, and words of ours
        [sys.executable, "-c", command],
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    theirs.close()
    return Child(process.pid, ours, process.wait)


def leave_signals_to_parent() -> None:
    """What a terminal or a service manager sends to all of us is not what ends a child."""
    for one in _IGNORED:
        signal.signal(one, signal.SIG_IGN)


def serve(pipe: Pipe, open_worker: Callable[[Callable[[str], None]], Worker]) -> None:
    """Do what the parent sends until it says CLOSE; end the process if the parent has gone.

    Args:
        pipe: to the parent.
        open_worker: called when there is something to do, with who hears warnings.
    """
    leave_signals_to_parent()
    gc.freeze()  # what is loaded stays, and is our parent's memory as long as nobody touches it
    gc.set_threshold(_COLLECT_EVERY, 10, 10)
    first = _next(pipe)
    if messages.unpack(first)[0] == messages.CLOSE:
        return
    speaker = _Speaker(pipe)
    try:
        worker = open_worker(speaker.warn)
    except OsssyncError:  # the parent will come to know when it does these tasks itself
        os._exit(_BROKEN)
    _Service(pipe, speaker, worker).go(first)


def _next(pipe: Pipe) -> bytes:
    try:
        return pipe.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)  # as a kill -9 would be: whatever is under way is the next run's


class _Speaker:
    """Says things to the parent, from any thread."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._speaking = threading.Lock()

    def warn(self, text: str) -> None:
        """A warning for the user."""
        self.say(messages.pack(messages.WARNING, text))

    def say(self, message: bytes) -> None:
        """One message; without a parent this process ends."""
        try:
            with self._speaking:
                self._pipe.send_bytes(message)
        except OSError:
            os._exit(0)


class _Service:
    """Fibers on this thread, which hears the parent as well, and threads where parts are moved."""

    def __init__(self, pipe: Pipe, speaker: _Speaker, worker: Worker) -> None:
        self._pipe = pipe
        self._speaker = speaker
        self._worker = worker
        self._fibers = Fibers(worker, 1, self._deliver)
        self._threads = Threads(worker, 1, self._collect)
        self._telling = threading.Lock()  # guards what is done
        self._done: list[Outcome] = []
        self._done_bytes = 0
        self._due_s = float("inf")  # when what is done must be told at the latest
        self._holds = 0  # tasks without an outcome that was told

    def go(self, first: bytes) -> None:
        """Obey the first message and all that follow."""
        self._obey(first)
        self._fibers.loop.listen(self._pipe.fileno(), lambda: self._obey(_next(self._pipe)))
        self._fibers.run()
        self._threads.close(None)
        self._worker.close()

    def _obey(self, message: bytes) -> None:
        kind, *content = messages.unpack(message)
        if kind == messages.FILES:
            self._submit(messages.unpack_files(content[0]))
        elif kind == messages.PARTS:
            self._submit(messages.unpack_parts(content[0]))
        elif kind == messages.WIDTH:
            self._fibers.wanted, self._threads.wanted = content
            self._worker.widen(max(content))
        elif kind == messages.STOP:
            self._worker.stop()
        elif kind == messages.FLUSH:
            answer = messages.pack_failure(self._flush())
            self._speaker.say(messages.pack(messages.FLUSHED, answer))
        else:
            self._fibers.end()

    def _submit(self, tasks: Sequence[Task]) -> None:
        self._holds += len(tasks)
        brief = self._worker.brief_of(tasks)
        if brief:
            self._fibers.submit(brief)
        if len(brief) < len(tasks):
            self._threads.submit([task for task in tasks if not self._worker.is_brief(task)])

    def _flush(self) -> Failure | None:
        try:
            self._worker.flush()
        except OsssyncError as error:
            return failure_of(error)
        return None

    def _collect(self, outcomes: Sequence[Outcome]) -> None:
        """From the threads. Only the first of a batch wakes the loop, and the one that fills it."""
        with self._telling:
            is_first = not self._done
            self._done.extend(outcomes)
            self._done_bytes += sum(outcome.moved_bytes for outcome in outcomes)
            is_full = self._is_full()
        if is_first or is_full:
            self._fibers.loop.wake()

    def _is_full(self) -> bool:
        return len(self._done) >= min(self._holds, BATCH) or self._done_bytes >= BATCH_BYTES

    def _deliver(self, outcomes: Sequence[Outcome]) -> float:
        """Tell what is done, in batches: a message costs as much as the work for an object."""
        if self._threads.broken is not None:
            os._exit(_BROKEN)
        with self._telling:
            self._done.extend(outcomes)
            if not self._done:
                return LOOK_AROUND_S
            now_s = time.monotonic()
            self._due_s = min(self._due_s, now_s + (LINGER_S if outcomes else LONG_LINGER_S))
            if not self._is_full() and now_s < self._due_s:
                return self._due_s - now_s
            told, self._done, self._done_bytes = self._done, [], 0
            self._due_s = float("inf")
            self._holds -= len(told)
        self._speaker.say(messages.pack_outcomes(self._worker.effort, told))
        return LOOK_AROUND_S
