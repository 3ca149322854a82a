"""The documented keyless example, end to end, on the built-in emulator.

    emulator (a process of its own): ECS metadata service + OSS, checking every signature
    osssync: upload a tree ─▶ sync it down elsewhere ─▶ compare every byte
             ▲ the role's credentials are replaced again and again while bytes move

The emulator runs as ``osssync emulate``, so osssync itself sees nothing but addresses, as it would
on an instance. What is claimed at the end is read from the emulator's request log.
"""

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from osssync.api import copy, sync
from osssync.config import CredentialSettings, Options, OssSettings, StateSettings
from osssync.errors import OsssyncError
from osssync.model import Action, Entry, Failure, Outcome
from osssync.report import RunReport
from osssync.units import format_rate, format_size

BUCKET = "keyless-demo"
ROLE = "EcsRamRoleDemo"
LIFETIME_S = 3
ROTATIONS_A_TRANSFER = 3
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never a proxy


class Emulator(Struct, frozen=True):
    """Where a running emulator is."""

    options: Options
    control: str

    def ask(self, method: str, path: str) -> Any:  # noqa: ANN401 - JSON
        """One call to its control address."""
        request = urllib.request.Request(self.control + path, method=method)  # noqa: S310 - http
        with _OPENER.open(request, timeout=10) as reply:
            return json.load(reply)


class RotatingMonitor:
    """Has the role's credentials replaced, and all older ones expire, while bytes move.

    At each quarter of the bytes, so several times a transfer and inside its large object.
    """

    def __init__(self, emulator: Emulator, byte_count: int) -> None:
        self._emulator = emulator
        self._moved = 0
        step = byte_count // (ROTATIONS_A_TRANSFER + 1)
        self._due = [step * number for number in range(1, ROTATIONS_A_TRANSFER + 1)]

    def decided(self, action: Action) -> None:
        """Nothing."""

    def moved(self, byte_count: int) -> None:
        """Rotate when the next quarter is through."""
        self._moved += byte_count
        if self._due and self._moved >= self._due[0]:
            self._due.pop(0)
            self._emulator.ask("POST", "/revoke")

    def ended(self, outcome: Outcome) -> None:
        """Nothing."""

    def removed(self, entry: Entry, failure: Failure | None) -> None:
        """Nothing."""

    def warned(self, message: str) -> None:
        """Nothing."""


def run_demo(large_bytes: int, files: int, *, keep: bool, say: Callable[[str], None]) -> int:
    """Run the demo; returns an exit code: 0 only if every byte matched.

    Args:
        large_bytes: size of the one large object.
        files: number of small files.
        keep: leave the files in place and say where.
        say: prints a line.
    """
    root = Path(tempfile.mkdtemp(prefix="osssync-demo-"))
    try:
        with _emulator(root) as emulator:
            return _Demo(root, emulator, say).run(large_bytes, files)
    except OsssyncError as error:
        say(f"FAILED: {error}")
        return error.exit_code
    finally:
        if keep:
            say(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


class _Demo:
    def __init__(self, root: Path, emulator: Emulator, say: Callable[[str], None]) -> None:
        self._source = root / "source"
        self._restored = root / "restored"
        self._emulator = emulator
        self._say = say

    def run(self, large_bytes: int, files: int) -> int:
        say, options = self._say, self._emulator.options
        say(
            f"metadata service  role {ROLE}, credentials live {LIFETIME_S} s, no AccessKey anywhere"
        )
        say(f"OSS               {options.oss.endpoint}, every signature and token is checked")
        total = write_tree(self._source, large_bytes, files)
        say(f"1. made {files + 3} files, {format_size(total)}, one of {format_size(large_bytes)}")

        up = sync(self._source, f"oss://{BUCKET}/tree", options, self._rotating(total))
        say(f"2. uploaded       {_sum(up)}")
        self._tell_failures(up)
        down = sync(f"oss://{BUCKET}/tree", self._restored, options, self._rotating(total))
        say(f"3. synced down    {_sum(down)}")
        self._tell_failures(down)
        sample = self._restored.with_name("image.png")
        one = copy(f"oss://{BUCKET}/tree/large.bin", sample, options)
        say(f"4. the documented sample's download, in one line of Python: {_sum(one)}")
        again = sync(f"oss://{BUCKET}/tree", self._restored, options)
        say(f"5. synced again   {again.totals.skipped} unchanged, {again.totals.transferred} moved")

        same = tree_digest(self._source) == tree_digest(self._restored)
        same = same and _digest(sample) == _digest(self._source / "large.bin")
        reports = (up, down, one, again)
        return self._conclude(reports, same=same and all(one.succeeded for one in reports))

    def _tell_failures(self, report: RunReport) -> None:
        for failed in report.failures[:5]:
            self._say(f"   failed: {failed.key}: {failed.failure.message}")

    def _rotating(self, byte_count: int) -> RotatingMonitor:
        return RotatingMonitor(self._emulator, byte_count)

    def _conclude(self, reports: tuple[RunReport, ...], *, same: bool) -> int:
        requests = self._emulator.ask("GET", "/requests")
        rotations = sum(report.totals.rotations for report in reports[:2])
        within = max(keys_within_objects(requests).values(), default=1) - 1
        refused = sum(one["code"] == "SecurityTokenExpired" for one in requests)
        moved = sum(report.totals.moved_bytes for report in reports)
        objects = sum(report.totals.transferred for report in reports)
        rate = moved / sum(report.totals.elapsed_s for report in reports)
        self._say(f"moved:     {objects} objects, {format_size(moved)} ({format_rate(rate)})")
        self._say(
            f"rotations: {rotations} while transfers ran, {within} of them inside one object; "
            f"{refused} requests with an expired token were refused, signed anew and repeated"
        )
        enough = rotations >= 3 and within >= 1
        self._say(
            "every byte matched"
            if same and enough
            else "FAILED: " + ("too few rotations to prove anything" if same else "bytes differ")
        )
        return 0 if same and enough else 3


def write_tree(root: Path, large_bytes: int, files: int) -> int:
    """Make a tree with awkward names and sizes; the same every time. Returns its bytes."""
    random_bytes = random.Random(20260101)  # noqa: S311 - test data
    sizes = {"large.bin": large_bytes, "empty": 0, "one byte": 1}
    for number in range(files):
        name = f"ディレクトリ {number % 7}/a+b%{number:04d}.txt"
        sizes[name] = random_bytes.choice((0, 1, 100, 4096, 65_537, 262_144))
    for name, size in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for start in range(0, size, 1 << 20):
                file.write(random_bytes.randbytes(min(1 << 20, size - start)))
    return sum(sizes.values())


def tree_digest(root: Path) -> dict[str, str]:
    """SHA-256 of every file below ``root``, by relative path."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): _digest(path) for path in files}


def keys_within_objects(requests: list[dict[str, Any]]) -> dict[str, int]:
    """How many credential sets moved parts of one object, by transfer, from a request log."""
    used: dict[str, set[str]] = {}
    for one in requests:
        if one["status"] not in (200, 206) or one["operation"] not in ("UploadPart", "GetObject"):
            continue
        used.setdefault(f"{one['operation']} {one['key']}", set()).add(one["access_key_id"])
    return {transfer: len(ids) for transfer, ids in used.items()}


@contextmanager
def _emulator(root: Path) -> Iterator[Emulator]:
    command = [
        sys.executable, "-m", "osssync", "emulate", "--role", ROLE, "--bucket", BUCKET,
        "--lifetime", f"{LIFETIME_S}s", "--root", str(root / "emulator"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise OsssyncError("the emulator did not start; try osssync emulate")
        settings = json.loads(line)
        options = Options(
            credentials=CredentialSettings(metadata_proxy=settings["metadata_proxy"]),
            oss=OssSettings(endpoint=settings["endpoint"], region=settings["region"]),
            state=StateSettings(str(root / "state")),
        )
        yield Emulator(options, settings["control"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        if process.stdout:
            process.stdout.close()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sum(report: RunReport) -> str:
    totals = report.totals
    state = "" if report.succeeded else f", {totals.failed} FAILED"
    return (
        f"{totals.transferred} objects, {format_size(totals.moved_bytes)} at "
        f"{format_rate(report.bytes_per_s)}, {totals.rotations} rotations on the way{state}"
    )
