"""Objects on disk: what a restart finds, what a kill leaves, what is shared and cleaned up."""

import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

from osssync.emulator.emulator import Emulator
from osssync.emulator.objects import Objects
from osssync.emulator.settings import Settings
from tests.emulator.client import OWNER, Client, authorization, emulated

BIG = bytes(range(251)) * 10_000
VERSIONED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


def blobs(root):
    return sorted(path.name for path in (root / "blobs").iterdir())


def test_everything_survives_a_restart(tmp_path):
    """Objects with all that belongs to them, versions, uploads, settings of the bucket."""
    with emulated(root=tmp_path) as client:
        client.put("a\x0b/../é", b"x", {"x-oss-meta-a": "日本", "x-oss-tagging": "t=1"})
        client.put("big", BIG)
        client.put("empty", b"")
        client.configure("versioning", VERSIONED)
        first = client.put("key", b"1").headers["x-oss-version-id"]
        client.put("key", b"2")
        marker = client.delete("gone").headers["x-oss-version-id"]
        upload_id = client.post("mp", "uploads").text("UploadId")
        etag = client.put("mp", BIG, query=f"partNumber=1&uploadId={upload_id}").headers["etag"]
        before = client.get("a\x0b/../é").headers

    with emulated(root=tmp_path) as client:
        after = client.get("a\x0b/../é").headers
        body = (
            f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
            "</CompleteMultipartUpload>"
        ).encode()
        assert {**before, **after} == {**after, **before, "date": after["date"]} | {
            name: after[name] for name in ("x-oss-request-id", "x-oss-server-time")
        }
        assert (BIG, b"") == (client.get("big").body, client.get("empty").body)
        assert (b"2", b"1") == (
            client.get("key").body,
            client.get("key", f"versionId={first}").body,
        )
        assert marker in client.get("", "versions&prefix=gone").texts("DeleteMarker/VersionId")
        assert 200 == client.post("mp", f"uploadId={upload_id}", body).status
        assert BIG == client.get("mp").body


def test_what_was_deleted_stays_deleted_and_takes_no_room(tmp_path):
    """Files go with the last object that needs them, and the ledger forgets."""
    with emulated(root=tmp_path) as client:
        client.put("key", BIG)
        client.put("copy", None, {"x-oss-copy-source": "/bucket/key"})
        shared = blobs(tmp_path)
        client.delete("key")
        assert BIG == client.get("copy").body
        client.delete("copy")
        client.put("other", b"x")

        assert 1 == len(shared)
        assert 1 == len(blobs(tmp_path))

    with emulated(root=tmp_path) as client:
        assert ["other"] == client.emulator.objects.keys("bucket")
    ledger = (tmp_path / "ledger.ndjson").read_text()
    assert '"other"' in ledger
    assert '"copy"' not in ledger


def test_an_object_may_go_while_it_is_being_read(tmp_path):
    """A reader that has begun gets every byte of what it began with."""
    with emulated(root=tmp_path) as client:
        client.put("key", BIG * 8)
        reader = Client(client.emulator)
        headers = {}
        authorization("GET", "/bucket/key", headers, "/bucket/key")
        reader._connection.request("GET", "/bucket/key", headers=headers)
        response = reader._connection.getresponse()
        begun = response.read(100)
        client.put("key", b"new")
        client.delete("key")

        assert BIG * 8 == begun + response.read()
        reader.close()
        assert [] == blobs(tmp_path)


def test_a_torn_ledger_loses_only_what_was_torn(tmp_path):
    """A last line without its end is as if it had never been; files nobody names are removed."""
    with emulated(root=tmp_path) as client:
        client.put("one", b"1")
        client.put("two", b"2")
    ledger = tmp_path / "ledger.ndjson"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:-1]) + lines[-1][:-5])
    (tmp_path / "blobs" / "stray").write_bytes(b"left by a killed run")

    with emulated(root=tmp_path) as client:
        assert ["one"] == client.emulator.objects.keys("bucket")
    assert 1 == len(blobs(tmp_path))


SERVE = """
import asyncio, sys
from pathlib import Path
from osssync.emulator.emulator import Emulator
from osssync.emulator.settings import Settings, StaticCredential
async def main():
    emulator = Emulator(Settings(root=Path(sys.argv[1]), buckets=("bucket",),
                                 credentials=(StaticCredential("AKID", "secret"),)))
    await emulator.start()
    print(emulator.endpoint, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_a_killed_emulator_shows_whole_objects_or_none(tmp_path):
    """What was acknowledged is there, what was under way is not."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    endpoint = process.stdout.readline().strip()

    class Remote:
        pass

    Remote.endpoint = endpoint
    client = Client(Remote)
    client.put("done", BIG)
    client._connection.putrequest("PUT", "/bucket/torn")
    client._connection.endheaders(b"x" * 1000)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    client.close()

    with Emulator.running(Settings(root=tmp_path, credentials=(OWNER,))) as emulator:
        assert ["done"] == emulator.objects.keys("bucket")
        assert BIG == emulator.objects.get("bucket", "done")
    assert urlsplit(endpoint).hostname == "127.0.0.1"


def test_objects_in_memory_leave_no_files():
    """Large bodies pass through a temporary folder that goes with the emulator."""
    with emulated() as client:
        client.put("key", BIG * 2)
        folder = client.emulator.objects.vault.folder
        assert folder.exists()

    assert not folder.exists()


def test_tests_can_arrange_and_look_without_requests():
    """put, get, keys, delete and version work on the store itself, from any thread."""
    objects = Objects()

    etag = objects.put("bucket", "key", b"abc", modified_s=1e9)

    assert '"900150983CD24FB0D6963F7D28E17F72"' == etag
    assert (b"abc", 1e9) == (
        objects.get("bucket", "key"),
        objects.version("bucket", "key").modified_s,
    )
    objects.delete("bucket", "key")
    assert [] == objects.keys("bucket")
    objects.close()


def test_a_traffic_limit_is_kept():
    """100 KiB at 1,000 KiB/s take a tenth of a second, up and down."""
    limit = {"x-oss-traffic-limit": "8192000"}  # bit/s
    with emulated() as client:
        start = time.monotonic()
        client.put("key", b"x" * 102_400, limit)
        up = time.monotonic() - start
        start = time.monotonic()
        client.get("key", headers=limit)
        down = time.monotonic() - start

    assert up > 0.07
    assert down > 0.07
