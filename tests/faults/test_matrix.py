"""Every fault at every moment, once and for ever: right bytes, or a failure that is reported.

The object that is hit replaces an older one, and has a neighbour that nothing happens to. Whatever
fails, the older one stays as it was, the neighbour arrives, and the next run puts all right.
"""

import itertools
import os
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from osssync.config import Job, LocalAddress, OssAddress, TransferSettings
from osssync.emulator.faults import read_rule
from osssync.errors import OsssyncError
from osssync.runner import run
from tests.conftest import options_for
from tests.faults.traces import books_balance, journaled, part_files, threads, uploads

PART = 100 * 1024
SMALL, LARGE = 30_000, 2 * PART + 5000  # one request; three parts
ATTEMPTS = 3
OLD = b"an older version"
LONG_AGO_S = 1_000_000_000  # 2001: any object written now is newer

pytestmark = [pytest.mark.usefixtures("_at_once"), pytest.mark.timeout(20)]


@dataclass(frozen=True)
class Moment:
    """A request on the way of one object; ``rule`` picks it out."""

    name: str
    is_upload: bool
    size: int
    rule: dict = field(hash=False)

    @property
    def lists(self):
        return "list" in self.name

    @property
    def sends_body(self):
        """Whether the answer has a body, so that it can be cut or spoilt."""
        return not self.is_upload or self.lists or self.name in ("up START", "up FINISH")


MOMENTS = (
    Moment("down list", is_upload=False, size=SMALL, rule={"operation": "ListObjectsV2"}),
    Moment("down small", is_upload=False, size=SMALL, rule={"operation": "GetObject"}),
    Moment("down first PART", is_upload=False, size=LARGE, rule={"operation": "GetObject"}),
    Moment("down middle PART", is_upload=False, size=LARGE,
           rule={"operation": "GetObject", "after": 1}),
    Moment("down last PART", is_upload=False, size=LARGE,
           rule={"operation": "GetObject", "after": 2}),
    Moment("up list", is_upload=True, size=SMALL, rule={"operation": "ListObjectsV2"}),
    Moment("up small", is_upload=True, size=SMALL, rule={"operation": "PutObject"}),
    Moment("up START", is_upload=True, size=LARGE, rule={"operation": "InitiateMultipartUpload"}),
    Moment("up first PART", is_upload=True, size=LARGE, rule={"part_number": 1}),
    Moment("up middle PART", is_upload=True, size=LARGE, rule={"part_number": 2}),
    Moment("up last PART", is_upload=True, size=LARGE, rule={"part_number": 3}),
    Moment("up FINISH", is_upload=True, size=LARGE, rule={"operation": "CompleteMultipartUpload"}),
)  # fmt: skip

EFFECTS = {
    "delay": {"effect": "delay", "delay_s": 0.02},
    "500": {"effect": "error"},
    "503": {"effect": "error", "status": 503, "code": "ServiceUnavailable"},
    "403": {"effect": "error", "status": 403, "code": "AccessDenied"},
    "404": {"effect": "error", "status": 404, "code": "NoSuchKey"},
    "throttle": {"effect": "throttle"},
    "throttle, body unreadable": {"effect": "error", "status": 503, "body": "garbage"},
    "throttle, no body": {"effect": "error", "status": 503, "body": "empty"},
    "expired token": {"effect": "expired_token"},
    "refuse": {"effect": "refuse"},
    "reset": {"effect": "reset"},
    "reset before the body": {"effect": "reset", "at": 0},
    "reset in the body": {"effect": "reset", "at": 200},
    "cut at once": {"effect": "cut", "at": 0},
    "cut in the body": {"effect": "cut", "at": 200},
    "flip": {"effect": "flip", "at": 150},
    "change": {"effect": "change"},
    "lose": {"effect": "lose"},
    "garbage": {"effect": "garbage"},
    "skew": {"effect": "skew", "offset_s": 1200},
    "hang": {"effect": "hang"},
}
LASTING = frozenset({"403", "404"})  # what once is once and for all
NUMBERS = itertools.count()  # each case has a prefix of its own
SPOILS_BODY = frozenset(
    {"reset before the body", "reset in the body", "cut at once", "cut in the body", "flip"}
)


def is_harmless(moment, effect):
    """Whether nothing goes wrong, however often it happens."""
    return effect == "delay" or (effect in SPOILS_BODY and not moment.sends_body)


def orphans(moment, effect, times):
    """How many uploads may be there that nobody was told of: OSS began them, its answers broke."""
    if moment.name != "up START" or effect not in {"lose", *SPOILS_BODY}:
        return 0
    return times or ATTEMPTS


def expected_codes(moment, effect, times):
    """The exit codes that are right for a fault."""
    if (
        effect == "skew"
    ):  # a service with two clocks: the one that is learned is the other's no more
        return {0, 2} if moment.lists else {0, 4}
    if is_harmless(moment, effect) or (times == 1 and effect not in LASTING):
        return {0}
    if effect in SPOILS_BODY and moment.name == "up FINISH":  # it is done, and found to be
        return {0, 4}
    if effect == "expired token" or (effect == "403" and moment.lists):
        return {7}
    if moment.lists:
        return {2, 3}
    return {4}


class Case:
    """One sync of two objects, one of them hit; everything about it to be looked at afterwards."""

    def __init__(self, emulator, folder, name, moment):
        self._emulator = emulator
        self._moment = moment
        self._prefix = f"{name}/"
        self._disk = folder / "disk"
        self._disk.mkdir()
        self.data = os.urandom(moment.size)
        for key, data in (("o", self.data), ("neighbour", b"arrives")):
            self._write(key, data, at_source=True)
        self._write("o", OLD, at_source=False)
        transfer = TransferSettings(
            jobs=2, parallel=1, part_size=PART, bigfile_threshold=PART, retries=ATTEMPTS - 1
        )
        options = replace(options_for(emulator), transfer=transfer)
        here, there = LocalAddress(str(self._disk)), OssAddress("bucket", self._prefix)
        ends = (here, there) if moment.is_upload else (there, here)
        self._job = Job(*ends, options=options)

    def _write(self, key, data, *, at_source):
        if at_source == self._moment.is_upload:
            path = self._disk / key
            path.write_bytes(data)
            os.utime(path, (LONG_AGO_S, LONG_AGO_S))
        else:
            # An old file is replaced because its size differs; an old object likewise.
            self._emulator.objects.put("bucket", self._prefix + key, data)

    def inject(self, fault, times):
        rule = {**fault, **self._moment.rule, "bucket": "bucket", "times": times}
        if self._moment.lists:
            rule["query"] = {"prefix": self._prefix}
        else:
            rule["key"] = f"{self._prefix}o"
        if fault["effect"] == "hang":
            stall = replace(self._job.options.oss, read_timeout_s=0.3)
            self._job = replace(self._job, options=replace(self._job.options, oss=stall))
        self._emulator.faults.replace([read_rule(rule)])

    def run(self):
        """Its exit code; the books are looked at here."""
        try:
            report = run(self._job)
        except OsssyncError as error:
            return error.exit_code
        assert books_balance(report.totals)
        return report.exit_code

    def source(self):
        return self._read("o", at_source=True)

    def destination(self, key="o"):
        return self._read(key, at_source=False)

    def _read(self, key, *, at_source):
        if at_source == self._moment.is_upload:
            path = self._disk / key
            return path.read_bytes() if path.exists() else None
        known = self._prefix + key in self._emulator.objects.keys("bucket")
        return self._emulator.objects.get("bucket", self._prefix + key) if known else None

    def debris(self):
        """What is left of unfinished objects and no journal knows of."""
        left = {*part_files(self._disk), *uploads(self._emulator, self._prefix)}
        return left - set(journaled(self._job, os.environ))

    def left(self):
        """Everything unfinished."""
        return [*part_files(self._disk), *uploads(self._emulator, self._prefix)]


CASES = [
    pytest.param(moment, effect, times, id=f"{moment.name}: {effect} {often}")
    for moment in MOMENTS
    for effect in EFFECTS
    for times, often in ((1, "once"), (0, "always"))
    if not (effect == "hang" and times == 0)  # seconds of waiting that show nothing new
    if not (effect == "change" and (moment.is_upload or moment.lists))  # no object is read
]


@pytest.mark.parametrize(("moment", "effect", "times"), CASES)
def test_no_fault_loses_or_spoils_anything(emulator, tmp_path, moment, effect, times):
    """The documented exit code, the right bytes or the older ones, nothing left lying about."""
    case = Case(emulator, tmp_path, f"case{next(NUMBERS)}", moment)
    versions = {case.data, bytes([case.data[0] ^ 0xFF]) + case.data[1:]}  # CHANGE makes the second
    case.inject(EFFECTS[effect], times)

    code = case.run()
    fired = emulator.faults.snapshot()[0]["fired"]
    emulator.faults.clear()

    assert fired > 0, "the fault has hit nothing: this case shows nothing"
    assert code in expected_codes(moment, effect, times)
    if code == 0:
        assert case.source() == case.destination()
    else:
        assert case.destination() in {OLD, *versions}
    if code == 4:
        assert b"arrives" == case.destination("neighbour")
    assert len(case.debris()) <= orphans(moment, effect, times)
    assert [] == threads()

    if code != 0:
        assert 0 == case.run()
        assert case.source() == case.destination()
        assert b"arrives" == case.destination("neighbour")
        assert len(case.left()) <= orphans(moment, effect, times)
