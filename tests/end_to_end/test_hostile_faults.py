"""Every way a request of a copy can go wrong: right bytes, or a failure that is reported.

Of downloads and uploads ``tests/faults/test_matrix.py`` says the same.
"""

import os
import threading

import pytest
from msgspec.structs import replace

import osssync
from osssync.config import TransferSettings
from osssync.emulator.faults import read_rule
from osssync.errors import OsssyncError
from osssync.retry import RetryPolicy
from tests.trees import make_tree

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


MOMENTS = (
    ("CopyObject", SMALL),
    ("InitiateMultipartUpload", LARGE),
    ("UploadPartCopy", LARGE),
    ("CompleteMultipartUpload", LARGE),
)
"""Its requests, by operation and by the size of the object they are for."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Between attempts nothing is waited for."""
    monkeypatch.setattr(RetryPolicy, "delay_s", lambda *_, **__: 0.0)
    monkeypatch.setattr("osssync.planning.split.COPY_WHOLE_BYTES", PART)


class Scene:
    """One copy under one fault, everything about it to be looked at afterwards."""

    def __init__(self, emulator, options, operation, size):
        self._emulator = emulator
        self._operation = operation
        self._data = os.urandom(size)
        self._plays = 0
        self._options = replace(
            options,
            transfer=TransferSettings(jobs=2, part_size=PART, bigfile_threshold=PART, retries=2),
        )

    def play(self, fault, times):
        """Copy; says what is wrong with the result, and how it ended."""
        self._plays += 1
        source, destination = f"from{self._plays}", f"to{self._plays}"
        self._emulator.objects.put("bucket", f"{source}/o", self._data)
        self._emulator.faults.replace(
            [read_rule({**fault, "operation": self._operation, "times": times})]
        )
        try:
            report = osssync.sync(
                f"oss://bucket/{source}", f"oss://bucket/{destination}", self._options
            )
        except OsssyncError as error:
            report = None
            code = error.exit_code
        else:
            code = report.exit_code
        self._emulator.faults.clear()
        return self._flaws(source, destination, report, code), code

    def _flaws(self, source, destination, report, code):
        flaws = []
        if code == 0 and self._object(f"{source}/o") != self._object(f"{destination}/o"):
            flaws.append("called done with other bytes")
        if report is not None and report.fatal is None and (code != 0) != report.totals.failed:
            flaws.append(f"exit code {code} with {report.totals.failed} failed")
        flaws += [one.name for one in threading.enumerate() if one.name.startswith("osssync-w")]
        return flaws

    def _object(self, key):
        known = key in self._emulator.objects.keys("bucket")
        return bytes(self._emulator.objects.get("bucket", key)) if known else None


@pytest.mark.parametrize(("operation", "size"), MOMENTS)
def test_a_fault_that_passes_is_not_felt(emulator, options, operation, size):
    """Any single fault at any moment: exit 0, the right bytes, no thread that goes on."""
    scene = Scene(emulator, options, operation, size)

    results = {str(fault): scene.play(fault, times=1) for fault in PASSING}

    assert {str(fault): ([], 0) for fault in PASSING} == results


@pytest.mark.parametrize(("operation", "size"), MOMENTS)
def test_a_fault_that_lasts_is_reported(emulator, options, operation, size):
    """The same for ever: never wrong bytes called right, never silence, a documented code."""
    scene = Scene(emulator, options, operation, size)

    results = {str(fault): scene.play(fault, times=0) for fault in LASTING}

    assert {str(fault): [] for fault in LASTING} == {
        name: flaws for name, (flaws, _) in results.items()
    }
    assert {code for _, code in results.values()} <= {0, 2, 3, 7}
    assert 7 == results[str(LASTING[-1])][1]


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
