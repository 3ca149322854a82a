"""The vendor's download sample, as published, against the emulator; and ours beside it."""

import os
import subprocess
import sys

import pytest

from osssync.emulator.settings import Settings
from tests.conftest import HERE, ROOT, environment_for
from tests.guard.sitecustomize import ALLOWED_VARIABLE

SAMPLE = HERE / "samples" / "documented_sample.py"
BODY = bytes(range(256)) * 300


@pytest.fixture
def settings():
    """A role called as on the page."""
    return Settings(buckets=("bucket",), role="EcsRamRoleDocumentTesting")


def test_the_sample_runs_with_the_emulator_as_its_proxy(emulator, tmp_path):
    """HTTP_PROXY leads the SDK's metadata requests to the emulator; OSS is reached directly."""
    emulator.objects.put("bucket", "testfolder/example.png", BODY)
    target = tmp_path / "image.png"

    done = subprocess.run(
        [sys.executable, "-W", "ignore", SAMPLE, emulator.settings.role, "bucket",
         emulator.endpoint, "testfolder/example.png", target],
        env={**os.environ, "HTTP_PROXY": emulator.metadata_proxy, "NO_PROXY": "127.0.0.1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (0, "Image downloaded successfully\n") == (done.returncode, done.stdout), done.stderr
    assert BODY == target.read_bytes()
    (request,) = emulator.requests
    assert emulator.authority.latest.access_key_id == request.access_key_id


@pytest.mark.needs("namespace")
@pytest.mark.parametrize("program", ["sample", "osssync"])
def test_the_real_address_in_a_namespace(tmp_path, program):
    """At http://100.100.100.200 itself, hardened: the sample as it is, and osssync as installed."""
    image = tmp_path / "example.png"
    image.write_bytes(BODY)
    target = tmp_path / "image.png"
    put = [sys.executable, "-m", "osssync", "cp", image, "oss://bucket/testfolder/example.png",
           "-e", "http://127.0.0.1:8080"]  # fmt: skip
    sample = [sys.executable, "-W", "ignore", SAMPLE, "EcsRamRoleDocumentTesting", "bucket",
              "http://127.0.0.1:8080", "testfolder/example.png", target]  # fmt: skip
    ours = [sys.executable, "-m", "osssync", "cp", "oss://bucket/testfolder/example.png", target,
            "-e", "http://127.0.0.1:8080", "--imds-v2-only"]  # fmt: skip
    command = sample if program == "sample" else ours
    script = '"$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" && shift 8 && exec "$@"'

    done = subprocess.run(
        ["unshare", "-rn", "bash", HERE / "samples" / "in_namespace.sh", sys.executable, tmp_path,
         "bash", "-c", script, "bash", *put, *command],
        env={**os.environ, ALLOWED_VARIABLE: "100.100.100.200"},
        cwd=ROOT, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    assert BODY == target.read_bytes()


def test_three_lines_do_what_the_sample_does(emulator, tmp_path):
    """The README's three lines download the image; no setting but the environment's."""
    emulator.objects.put("bucket", "testfolder/example.png", BODY)
    program = (
        "import osssync\n"
        "report = osssync.copy('oss://bucket/testfolder/example.png', "
        f"{str(tmp_path / 'i.png')!r})\n"
        "assert report.succeeded\n"
    )

    subprocess.run([sys.executable, "-c", program], env=environment_for(emulator), check=True)

    assert BODY == (tmp_path / "i.png").read_bytes()
