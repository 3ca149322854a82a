"""A tenth of all requests fails, and all arrives. All of them fail, and the run says so."""

import re

import pytest
from msgspec.structs import replace

from osssync.config import Job, LocalAddress, OssAddress, TransferSettings
from osssync.emulator.faults import read_rule
from osssync.errors import OsssyncError
from osssync.runner import run
from tests.conftest import options_for
from tests.faults.traces import books_balance, part_files, threads, uploads
from tests.trees import make_tree, tree_bytes

OBJECTS = 2000
PART = 100 * 1024
LARGE = 20  # of them are sent in parts
LONE_REFUSAL = 47  # every so many requests; two in a row would be a role that is really refused

pytestmark = [pytest.mark.usefixtures("_at_once"), pytest.mark.timeout(60)]

UNAVAILABLE = {"effect": "error", "status": 503, "code": "ServiceUnavailable"}
BAD_DAY = (
    {"effect": "expired_token", "every": LONE_REFUSAL},
    {**UNAVAILABLE, "probability": 0.02, "seed": 1},
    {"effect": "reset", "probability": 0.02, "seed": 2},
    {"effect": "cut", "at": 3, "probability": 0.02, "seed": 3},
    {"effect": "flip", "at": 3, "probability": 0.02, "seed": 4},
)  # fmt: skip

WORST = {
    "503": (UNAVAILABLE, {2}, "503"),
    "reset": ({"effect": "reset"}, {3}, "connection"),
    "cut": ({"effect": "cut", "at": 3}, {3}, "more expected"),
    "flip": ({"effect": "flip", "at": 3}, {3}, "CRC-64|not the XML"),
    "expired token": ({"effect": "expired_token"}, {7}, "SecurityTokenExpired"),
}


@pytest.fixture
def options(emulator):
    transfer = TransferSettings(jobs=8, part_size=PART, bigfile_threshold=PART, retries=9)
    return replace(options_for(emulator), transfer=transfer)


def test_a_tenth_of_all_requests_failing_is_not_felt(emulator, options, tmp_path):
    """2,000 objects up and down again through five kinds of faults: both trees are equal."""
    sizes = {f"{n % 50:02}/{n}": 2 * PART + n if n % (OBJECTS // LARGE) == 0 else n % 700
             for n in range(OBJECTS)}  # fmt: skip
    make_tree(tmp_path / "here", sizes)
    emulator.faults.replace([read_rule(rule) for rule in BAD_DAY])
    here, there = LocalAddress(str(tmp_path / "here")), OssAddress("bucket", "tenth")
    back = LocalAddress(str(tmp_path / "back"))

    up = run(Job(here, there, options=options))
    down = run(Job(there, back, options=options))

    assert [(0, OBJECTS)] * 2 == [(one.exit_code, one.totals.transferred) for one in (up, down)]
    assert tree_bytes(tmp_path / "here") == tree_bytes(tmp_path / "back")
    assert up.totals.retries > OBJECTS // 50
    assert down.totals.retries > OBJECTS // 50
    assert all(rule["fired"] > 10 for rule in emulator.faults.snapshot())
    # An answer of START that is cut or spoilt leaves an upload that nobody was told of.
    assert len(uploads(emulator, "tenth/")) < LARGE // 2
    assert [] == part_files(tmp_path)


@pytest.mark.parametrize("operation", ["", "GetObject"], ids=["everything", "every GET"])
@pytest.mark.parametrize("kind", WORST)
def test_everything_failing_ends_the_run_soon(emulator, options, tmp_path, kind, operation):
    """Not after the last of 500 objects: exit 2, 3 or 7 after some hundred requests, and why."""
    fault, codes, why = WORST[kind]
    for number in range(500):
        emulator.objects.put("bucket", f"worst/{number:03}", b"0123456789")
    emulator.faults.replace([read_rule({**fault, "operation": operation})])
    impatient = replace(options, transfer=replace(options.transfer, jobs=4, retries=2))

    try:
        report = run(Job(OssAddress("bucket", "worst"), LocalAddress(str(tmp_path / "out")),
                         options=impatient))  # fmt: skip
    except OsssyncError as error:
        code, message = error.exit_code, str(error)
    else:
        assert books_balance(report.totals)
        assert report.fatal is not None
        code, message = report.exit_code, report.fatal.message

    assert code in codes
    assert re.search(why, message)
    assert {} == (tree_bytes(tmp_path / "out") if (tmp_path / "out").exists() else {})
    assert [] == threads()
    assert len(emulator.requests) < 200
