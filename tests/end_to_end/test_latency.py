"""With a long way to OSS, a run finds out by itself that many requests have to be in flight."""

import time

import pytest
from msgspec.structs import replace

from osssync.config import Job, LocalAddress, OssAddress, TransferSettings
from osssync.emulator.faults import Effect
from osssync.runner import run
from tests.trees import make_tree

COUNT = 150
DELAY_S = 0.1


@pytest.mark.parametrize("is_upload", [False, True], ids=["down", "up"])
def test_auto_is_far_ahead_of_few_jobs_over_a_long_way(emulator, options, tmp_path, is_upload):
    """100 ms a request: at least three times as fast as with four at once, without being told."""
    make_tree(tmp_path / "in", {f"{n:04}": 100 for n in range(COUNT)})
    for number in range(COUNT):
        emulator.objects.put("bucket", f"in/{number:04}", b"x" * 100)
    emulator.faults.inject(Effect.DELAY, delay_s=DELAY_S)
    seconds = {}

    for jobs in (4, 0):
        settings = TransferSettings(jobs=jobs, processes=1)
        ends = [LocalAddress(str(tmp_path / "in")), OssAddress("bucket", f"up{jobs}")]
        if not is_upload:
            ends = [OssAddress("bucket", "in"), LocalAddress(str(tmp_path / f"out{jobs}"))]
        began_s = time.monotonic()
        report = run(Job(*ends, options=replace(options, transfer=settings)))
        seconds[jobs] = time.monotonic() - began_s
        assert (0, COUNT) == (report.exit_code, report.totals.transferred)

    assert seconds[4] > 3 * seconds[0], seconds
