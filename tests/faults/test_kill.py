"""kill -9 at any instant, and run again: right bytes, and nothing twice but what was in flight."""

import os
import random
import time
from collections import Counter

import pytest

from osssync.emulator.faults import Effect
from osssync.oss.connection import Connection
from tests.conftest import options_for
from tests.faults.programs import ended, start, wait_until
from tests.faults.traces import part_files, uploads
from tests.trees import make_tree, tree_bytes

MIB = 1 << 20
JOBS = 4
LARGE = "m/large"
SMALL = {f"{folder}/{n}": 100 * n for folder in "az" for n in range(10)}
STREAMED = {"b/streamed": 2 * MIB + 1}  # one request, through a part file
SLOW_S = 0.03  # of each answer: long enough for a kill to hit it


class Tree:
    """A mixed tree on its way up or down, in processes that are killed."""

    def __init__(self, emulator, folder, prefix, *, is_upload, parts):
        self._emulator = emulator
        self._prefix = f"{prefix}/"
        self._is_upload = is_upload
        sizes = {**SMALL, **STREAMED, LARGE: parts * MIB - 11}
        make_tree(folder / "in", sizes)
        self.expected = tree_bytes(folder / "in")
        self.disk = folder / ("in" if is_upload else "out")
        for key, data in self.expected.items():
            if is_upload:
                os.utime(folder / "in" / key, (1e9, 1e9))
            else:
                emulator.objects.put("bucket", self._prefix + key, data)
        ends = [self.disk, f"oss://bucket/{prefix}"]
        self.command = ["sync", *(ends if is_upload else reversed(ends)), "--jobs", JOBS,
                        "--part-size", "1M", "--bigfile-threshold", "4M", "--quiet"]  # fmt: skip

    def visible(self):
        """What stands at the destination under final names."""
        if not self._is_upload:
            found = tree_bytes(self.disk) if self.disk.exists() else {}
            return {name: data for name, data in found.items() if ".osssync-" not in name}
        return {
            key.removeprefix(self._prefix): self._emulator.objects.get("bucket", key)
            for key in self._emulator.objects.keys("bucket")
            if key.startswith(self._prefix)
        }

    def flaws(self):
        """Names at the destination whose bytes are not all of the source's."""
        return [name for name, data in self.visible().items() if data != self.expected.get(name)]

    def transfers(self):
        """How often OSS took or gave each part of the large object."""
        return Counter(
            request.part_number or request.range
            for request in self._emulator.requests
            if request.key == self._prefix + LARGE
            and request.status in (200, 206)
            and (request.operation == "UploadPart" or request.range)
        )

    def left_parts(self):
        """Parts that OSS keeps of unfinished uploads.

        A kill between the begin of an upload and its record leaves an upload, but never a part.
        """
        uploads = self._emulator.objects.bucket("bucket").uploads.values()
        mine = [one for one in uploads if one.model.key.startswith(self._prefix)]
        return [number for one in mine for number in one.parts]

    def run_killed_at(self, operation):
        """Run, and kill while a request waits for its answer."""
        self._emulator.faults.inject(Effect.HANG, operation=operation)
        process = start(self._emulator, *self.command)
        wait_until(lambda: self._emulator.faults.snapshot()[0]["fired"] == 1, process)
        process.kill()
        ended(process)
        self._emulator.faults.clear()

    def complete(self):
        """What OSS does with a Complete that it has received, whether its client lives or not."""
        (upload_id,) = uploads(self._emulator, self._prefix)
        parts = self._emulator.objects.bucket("bucket").uploads[upload_id].parts
        named = [(number, part.etag) for number, part in sorted(parts.items())]
        options = options_for(self._emulator)
        with Connection(options.credentials, options.oss, 1, warn=[].append) as connection:
            connection.bucket("bucket").complete(self._prefix + LARGE, upload_id, named)

    def run_killed(self, after_requests, then_s):
        """Run, and kill after so many requests and seconds; whether the kill came first."""
        before = len(self._emulator.requests)
        process = start(self._emulator, *self.command)
        while process.poll() is None and len(self._emulator.requests) < before + after_requests:
            time.sleep(0.002)
        time.sleep(then_s)
        process.kill()
        return -9 == ended(process)[0]


@pytest.mark.parametrize(
    ("parts", "kills"),
    [
        pytest.param(64, 10, marks=pytest.mark.timeout(90)),
        pytest.param(256, 50, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
@pytest.mark.parametrize("is_upload", [True, False], ids=["up", "down"])
def test_killed_runs_lose_nothing_and_repeat_only_what_was_in_flight(
    emulator, tmp_path, is_upload, parts, kills
):
    """Killed again and again, at any instant: never a wrong byte, and the last run ends the work.

    Each kill may cost the parts that were in flight, one a job, and not one more.
    """
    source = random.Random(parts + kills + is_upload)
    tree = Tree(emulator, tmp_path, f"kill{parts}{is_upload}", is_upload=is_upload, parts=parts)
    for operation in ("UploadPart", "GetObject", "PutObject"):
        emulator.faults.inject(Effect.DELAY, operation=operation, delay_s=SLOW_S)

    for _ in range(kills):
        was_killed = tree.run_killed(source.randrange(7), source.random() * 2 * SLOW_S)
        assert was_killed, "the work was done before the last kill: the kills come too late"
        assert [] == tree.flaws()
    code, said = ended(start(emulator, *tree.command))

    assert (0, tree.expected) == (code, tree.visible()), said
    transfers = tree.transfers()
    assert parts == len(transfers)
    assert transfers.total() <= parts + kills * JOBS
    assert [] == tree.left_parts()
    assert [] == part_files(tmp_path)


def test_a_run_killed_while_oss_completes_its_upload_sends_nothing_again(emulator, tmp_path):
    """OSS finishes the Complete of a client that is dead: the next run finds the object whole."""
    tree = Tree(emulator, tmp_path, "finish", is_upload=True, parts=8)
    tree.run_killed_at("CompleteMultipartUpload")
    tree.complete()

    code, said = ended(start(emulator, *tree.command))

    assert (0, tree.expected) == (code, tree.visible()), said
    assert {1} == set(tree.transfers().values())
    assert [] == uploads(emulator, "finish/")


@pytest.mark.parametrize("operation", ["InitiateMultipartUpload", "CompleteMultipartUpload"])
def test_a_run_killed_before_oss_hears_of_it_goes_on(emulator, tmp_path, operation):
    """Killed with the first or the last request on the wire: the next run ends the work."""
    tree = Tree(emulator, tmp_path, operation.lower(), is_upload=True, parts=8)
    tree.run_killed_at(operation)

    code, said = ended(start(emulator, *tree.command))

    assert (0, tree.expected) == (code, tree.visible()), said
    assert {1} == set(tree.transfers().values())
    assert [] == uploads(emulator, operation.lower())
