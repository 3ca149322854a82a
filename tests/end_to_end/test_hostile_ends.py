"""Runs that are to end: a rehearsal too, and asking no more often than was allowed."""

import threading

import pytest
from msgspec.structs import replace

from osssync.config import Job, LocalAddress, OssAddress
from osssync.emulator.faults import Effect
from osssync.errors import ServerFaultError
from osssync.retry import RetryPolicy
from osssync.runner import run


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Between attempts nothing is waited for."""
    monkeypatch.setattr(RetryPolicy, "delay_s", lambda *_, **__: 0.0)


def test_a_rehearsal_can_be_interrupted_too(emulator, options, tmp_path):
    """--dry-run over an endless tree: Ctrl-C ends it, exit 5, though nothing is in flight."""
    for number in range(50):
        emulator.objects.put("bucket", f"{number:02}", b"1")
    stop = threading.Event()

    class StopAfterThree:
        seen = 0

        def decided(self, _action):
            self.seen += 1
            if self.seen == 3:
                stop.set()

        def __getattr__(self, _name):
            return lambda *_: None

    job = Job(
        OssAddress("bucket"),
        LocalAddress(str(tmp_path / "x")),
        options=replace(options, dry_run=True),
    )

    report = run(job, StopAfterThree(), stop)

    assert (5, 3, True) == (report.exit_code, report.totals.found, report.is_dry_run)


@pytest.mark.parametrize("retries", [0, 3])
def test_a_single_object_is_asked_for_as_often_as_allowed(emulator, options, tmp_path, retries):
    """--retries holds for the HEAD that finds the source as well."""
    emulator.faults.inject(Effect.ERROR, operation="HeadObject")
    allowed = replace(options, transfer=replace(options.transfer, retries=retries))
    job = Job(OssAddress("bucket", "o"), LocalAddress(str(tmp_path / "o")), recursive=False,
              options=allowed)  # fmt: skip

    with pytest.raises(ServerFaultError):
        run(job)

    asked = sum(one.operation == "HeadObject" for one in emulator.requests)
    assert 1 + retries == asked
