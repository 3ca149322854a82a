"""Every way a request can go wrong, at every moment: right bytes, or a failure that is reported."""

import os
import threading
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

import osssync
from osssync.config import TransferSettings
from osssync.emulator.faults import read_rule
from osssync.errors import OsssyncError
from osssync.retry import RetryPolicy
from tests.trees import make_tree, tree_bytes

PART = 100 * 1024
SMALL, LARGE = 30_000, 3 * PART + 17

PASSING = (
    {"effect": "error"},
    {"effect": "error", "body": "garbage"},
    {"effect": "error", "body": "empty"},
    {"effect": "throttle"},
    {"effect": "expired_token"},
    {"effect": "refuse"},
    {"effect": "reset"},
    {"effect": "reset", "at": 0},
    {"effect": "reset", "at": 100},
    {"effect": "cut", "at": 0},
    {"effect": "cut", "at": 100},
    {"effect": "flip", "at": 50},
    {"effect": "change"},
    {"effect": "lose"},
    {"effect": "garbage"},
    {"effect": "delay", "delay_s": 0.01},
)
"""What may happen to one request and must not be felt."""

LASTING = (*PASSING[:-1], {"effect": "error", "status": 403, "code": "AccessDenied"})


@dataclass(frozen=True)
class Moment:
    """A request of a transfer."""

    operation: str
    direction: str
    size: int

    def __str__(self):
        return f"{self.direction} {self.operation} {self.size}"


MOMENTS = (
    Moment("GetObject", "download", SMALL),
    Moment("GetObject", "download", LARGE),
    Moment("PutObject", "upload", SMALL),
    Moment("InitiateMultipartUpload", "upload", LARGE),
    Moment("UploadPart", "upload", LARGE),
    Moment("CompleteMultipartUpload", "upload", LARGE),
    Moment("CopyObject", "copy", SMALL),
    Moment("InitiateMultipartUpload", "copy", LARGE),
    Moment("UploadPartCopy", "copy", LARGE),
    Moment("CompleteMultipartUpload", "copy", LARGE),
)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Between attempts nothing is waited for."""
    monkeypatch.setattr(RetryPolicy, "delay_s", lambda *_, **__: 0.0)
    monkeypatch.setattr("osssync.planning.split.COPY_WHOLE_BYTES", PART)


class Scene:
    """One transfer under one fault, everything about it to be looked at afterwards."""

    def __init__(self, emulator, options, moment, folder):
        self._emulator = emulator
        self._moment = moment
        self._folder = folder
        self._options = replace(
            options,
            transfer=TransferSettings(jobs=2, part_size=PART, bigfile_threshold=PART, retries=2),
        )
        make_tree(folder / "source", {"o": moment.size})
        os.utime(folder / "source" / "o", (1e9, 1e9))  # no edit of this second to be outlived

    def play(self, fault, times):
        """Transfer; says what is wrong with the result, and how it ended."""
        place = f"{len(list(self._folder.iterdir()))}"
        source, destination = self._set(place)
        self._emulator.faults.replace(
            [read_rule({**fault, "operation": self._moment.operation, "times": times})]
        )
        try:
            report = osssync.sync(source, destination, self._options)
        except OsssyncError as error:
            report = None
            code = error.exit_code
        else:
            code = report.exit_code
        self._emulator.faults.clear()
        return self._flaws(place, report, code), code

    def _set(self, place):
        data = (self._folder / "source" / "o").read_bytes()
        self._folder.joinpath(place).mkdir()
        here, there = self._folder / place, f"oss://bucket/{place}"
        match self._moment.direction:
            case "download":
                self._emulator.objects.put("bucket", f"{place}/o", data)
                return there, here
            case "upload":
                return self._folder / "source", there
            case _:
                self._emulator.objects.put("bucket", f"from{place}/o", data)
                return f"oss://bucket/from{place}", there

    def _flaws(self, place, report, code):
        expected, actual = self._both(place)
        flaws = []
        if code == 0 and expected != actual:
            flaws.append("called done with other bytes")
        if code != 0 and self._moment.direction == "download" and actual is not None:
            flaws.append("a failed download is visible")
        if report is not None and report.fatal is None and (code != 0) != report.totals.failed:
            flaws.append(f"exit code {code} with {report.totals.failed} failed")
        if report is None or report.fatal is None:  # else it is kept, for the next run to go on
            flaws += [path.name for path in (self._folder / place).rglob(".osssync*")]
        flaws += [one.name for one in threading.enumerate() if one.name.startswith("osssync-w")]
        return flaws

    def _both(self, place):
        """The source's bytes as they are now, and the destination's."""
        source = (self._folder / "source" / "o").read_bytes()
        match self._moment.direction:
            case "download":
                return self._object(f"{place}/o"), tree_bytes(self._folder / place).get("o")
            case "upload":
                return source, self._object(f"{place}/o")
            case _:
                return self._object(f"from{place}/o"), self._object(f"{place}/o")

    def _object(self, key):
        known = key in self._emulator.objects.keys("bucket")
        return bytes(self._emulator.objects.get("bucket", key)) if known else None


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_fault_that_passes_is_not_felt(emulator, options, tmp_path, moment):
    """Any single fault at any moment: exit 0, the right bytes, nothing left lying about."""
    scene = Scene(emulator, options, moment, tmp_path)

    results = {str(fault): scene.play(fault, times=1) for fault in PASSING}

    assert {str(fault): ([], 0) for fault in PASSING} == results


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_fault_that_lasts_is_reported(emulator, options, tmp_path, moment):
    """The same for ever: never wrong bytes called right, never silence, a documented code."""
    scene = Scene(emulator, options, moment, tmp_path)

    results = {str(fault): scene.play(fault, times=0) for fault in LASTING}

    assert {str(fault): [] for fault in LASTING} == {
        name: flaws for name, (flaws, _) in results.items()
    }
    assert {code for _, code in results.values()} <= {0, 2, 3, 7}
    assert 7 == results[str(LASTING[-1])][1]


def test_ten_percent_of_everything_failing_is_not_felt(emulator, options, tmp_path):
    """Random faults of three kinds over 300 objects: all arrive, all equal, all repeats counted."""
    for number in range(300):
        emulator.objects.put("bucket", f"{number:03}", b"%d" % number * 40)
    emulator.faults.replace(
        [
            read_rule({"effect": "error", "probability": 0.04, "seed": 1}),
            read_rule({"effect": "reset", "probability": 0.03, "seed": 2}),
            read_rule({"effect": "cut", "at": 50, "probability": 0.03, "seed": 3}),
        ]
    )

    report = osssync.sync("oss://bucket/", tmp_path / "out", options)

    assert (0, 300) == (report.exit_code, report.totals.transferred)
    assert {f"{n:03}": b"%d" % n * 40 for n in range(300)} == tree_bytes(tmp_path / "out")
    assert report.totals.retries > 0


def test_a_service_that_answers_nothing_ends_the_run_early(emulator, options, tmp_path):
    """Every object failing after all its repeats: the run ends and says why, not after the last."""
    for number in range(200):
        emulator.objects.put("bucket", f"{number:03}", b"1")
    emulator.faults.inject(read_rule({"effect": "error"}).effect, operation="GetObject")
    patient = replace(options, transfer=replace(options.transfer, jobs=2, retries=1))

    report = osssync.sync("oss://bucket/", tmp_path / "out", patient)

    assert 2 == report.exit_code
    assert "objects in a row failed" in report.fatal.message
    assert "500 InternalError" in report.fatal.message
    assert report.totals.failed < 30
    assert report.totals.found == report.totals.failed


def test_many_denied_keys_do_not_keep_the_others_away(emulator, options, tmp_path):
    """A prefix without permission is many failures in a row, and none of them ends the run."""
    for number in range(60):
        emulator.objects.put("bucket", f"denied/{number:03}", b"1")
    emulator.objects.put("bucket", "good", b"1")
    emulator.faults.inject(
        read_rule({"effect": "error"}).effect,
        operation="GetObject", key="denied/*", status=403, code="AccessDenied",
    )  # fmt: skip

    report = osssync.sync("oss://bucket/", tmp_path / "out", options)

    assert (4, 60, 1) == (report.exit_code, report.totals.failed, report.totals.transferred)


def test_a_monitor_that_raises_ends_the_run_in_good_order(emulator, options, tmp_path):
    """What it raised is raised when nothing is under way any more: no thread, no part file."""
    make_tree(tmp_path / "t", {f"{number:02}": 2 * PART for number in range(20)})
    in_parts = replace(
        options, transfer=TransferSettings(jobs=2, part_size=PART, bigfile_threshold=PART)
    )

    class Broken:
        def moved(self, _count):
            raise ZeroDivisionError("broken")

        def __getattr__(self, _name):
            return lambda *_: None

    with pytest.raises(ZeroDivisionError, match="broken"):
        osssync.sync(tmp_path / "t", "oss://bucket/t", in_parts, Broken())

    assert [] == [one for one in threading.enumerate() if one.name.startswith("osssync-w")]
    assert 20 > len(emulator.objects.keys("bucket"))
