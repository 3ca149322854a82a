"""Clients written by others, in other languages, against the emulator: it must not fit ours alone.

alibabacloud-oss-v2 is the vendor's newer Python SDK, with a signer of its own; opendal is Rust.
"""

import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import timedelta

import alibabacloud_oss_v2 as oss
import opendal
import pytest

from osssync.emulator.emulator import Emulator
from osssync.emulator.settings import Settings, StaticCredential

PART = 100 * 1024


@pytest.fixture
def served():
    """An emulator with the credential of an owner."""
    credential = StaticCredential("LTAItestkeyid", "testkeysecret")
    with Emulator.running(Settings(buckets=("bucket",), credentials=(credential,))) as emulator:
        yield emulator


@pytest.fixture(params=["v4", "v1"])
def client(served, request):
    """The vendor's newer SDK, with either signature."""
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        "LTAItestkeyid", "testkeysecret"
    )
    config.region = "cn-hangzhou"
    config.endpoint = served.endpoint
    config.use_path_style = True
    config.signature_version = request.param
    return oss.Client(config)


@pytest.mark.parametrize("key", ["a", "dir/b c+d%2F?#&", "ファイル", "~!*'()"])
def test_sdk_v2_objects_of_any_name(served, client, key):
    """Put, head, get, range, copy and delete, with metadata, whatever the key."""
    body = os.urandom(3000)

    put = client.put_object(
        oss.PutObjectRequest("bucket", key, body=body, metadata={"colour": "green"})
    )
    head = client.head_object(oss.HeadObjectRequest("bucket", key))
    whole = client.get_object(oss.GetObjectRequest("bucket", key))
    part = client.get_object(
        oss.GetObjectRequest("bucket", key, range_header="bytes=10-19", range_behavior="standard")
    )
    client.copy_object(
        oss.CopyObjectRequest("bucket", key + "2", source_bucket="bucket", source_key=key)
    )
    client.delete_object(oss.DeleteObjectRequest("bucket", key))

    assert (body, body[10:20]) == (whole.body.read(), part.body.read())
    assert (3000, put.hash_crc64) == (head.content_length, head.hash_crc64)
    assert [key + "2"] == served.objects.keys("bucket")
    assert body == served.objects.get("bucket", key + "2")


def test_sdk_v2_multipart(served, client):
    """Three parts, listed, completed, and the whole CRC it checks itself."""
    body = os.urandom(2 * PART + 5)
    started = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest("bucket", "big"))
    parts = []
    for number, start in enumerate(range(0, len(body), PART), start=1):
        sent = client.upload_part(
            oss.UploadPartRequest("bucket", "big", number, started.upload_id,
                                  body=io.BytesIO(body[start : start + PART]))
        )  # fmt: skip
        parts.append(oss.UploadPart(part_number=number, etag=sent.etag))
    listed = client.list_parts(oss.ListPartsRequest("bucket", "big", started.upload_id))

    client.complete_multipart_upload(
        oss.CompleteMultipartUploadRequest(
            "bucket", "big", started.upload_id,
            complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts),
        )
    )  # fmt: skip

    assert [1, 2, 3] == [part.part_number for part in listed.parts]
    assert body == served.objects.get("bucket", "big")


def test_sdk_v2_lists_in_pages(served, client):
    """ListObjectsV2 over several pages, folded and flat."""
    keys = [f"d{number % 3}/{number:03}" for number in range(25)]
    for key in keys:
        served.objects.put("bucket", key, b"")

    flat = [
        one.key
        for page in client.list_objects_v2_paginator(limit=7).iter_page(
            oss.ListObjectsV2Request("bucket")
        )
        for one in page.contents or []
    ]
    folded = client.list_objects_v2(oss.ListObjectsV2Request("bucket", delimiter="/"))

    assert sorted(keys) == flat
    assert ["d0/", "d1/", "d2/"] == [one.prefix for one in folded.common_prefixes]


def test_sdk_v2_presigned_links(served, client):
    """A link made by it is honoured, and refused with one character changed."""
    served.objects.put("bucket", "a b", b"linked")
    link = client.presign(oss.GetObjectRequest("bucket", "a b"), expires=timedelta(minutes=1)).url
    changed = link[:-1] + ("A" if link[-1] != "A" else "B")

    with urllib.request.urlopen(link) as reply:
        assert b"linked" == reply.read()
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(changed):
        pass
    assert 403 == refused.value.code
    refused.value.close()


def test_opendal_round_trip():
    """Write, stat, read, list, copy and delete through the Rust client.

    The emulator has a process of its own: this client holds Python's lock while it waits.
    """
    command = [sys.executable, "-m", "osssync", "emulate", "--bucket", "bucket",
               "--credential", "LTAItestkeyid:testkeysecret"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            _opendal_round_trip(json.loads(process.stdout.readline())["endpoint"])
        finally:
            process.terminate()


def _opendal_round_trip(endpoint):
    operator = opendal.Operator(
        "oss", bucket="bucket", endpoint=endpoint, root="/r", addressing_style="path",
        access_key_id="LTAItestkeyid", access_key_secret="testkeysecret",
    )  # fmt: skip
    body = os.urandom(70_000)

    operator.write("dir/ü 1.bin", body)
    operator.copy("dir/ü 1.bin", "dir/2.bin")
    listed = {entry.path for entry in operator.list("dir/")}

    assert body == operator.read("dir/ü 1.bin")
    assert len(body) == operator.stat("dir/2.bin").content_length
    assert {"dir/2.bin", "dir/ü 1.bin"} <= listed
    operator.delete("dir/2.bin")
    assert not operator.exists("dir/2.bin")
