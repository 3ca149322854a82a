"""A sync of very many objects takes no more memory than one of many."""

import os
import subprocess
import sys
import threading
from bisect import bisect_right
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

MTIME_S = 1_735_787_045
TIME = "2025-01-02T03:04:05.000Z"
PAGE = 1000
MIB_IN_KIB = 1024
# A process begins with the peak of the one that makes it, so a small one has to.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
OBJECT = (
    f"<Contents><Key>{{key}}</Key><LastModified>{TIME}</LastModified>"
    '<ETag>"D41D8CD98F00B204E9800998ECF8427E"</ETag><Type>Normal</Type><Size>0</Size>'
    "<StorageClass>Standard</StorageClass></Contents>"
)


class MadeUpKeys(Sequence):
    """So many keys in order, a thousand a folder; none is kept."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError
        return f"d{index // 1000:04}/f{index:08}"


def page(keys, query):
    """A page of ListObjectsV2; looks into folders are answered with none."""
    after = query.get("continuation-token") or query.get("start-after") or [""]
    first = 0 if not after[0] else bisect_right(keys, after[0])
    last = first if "delimiter" in query else min(first + PAGE, len(keys))
    objects = "".join(OBJECT.format(key=keys[index]) for index in range(first, last))
    is_cut = "delimiter" not in query and last < len(keys)
    token = f"<NextContinuationToken>{keys[last - 1]}</NextContinuationToken>" if is_cut else ""
    return (
        "<ListBucketResult><EncodingType>url</EncodingType>"
        f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>{token}{objects}</ListBucketResult>"
    ).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = page(self.server.keys, parse_qs(urlsplit(self.path).query))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server():
    """OSS that knows listings only; its ``keys`` are set by the test."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def make_files(folder, first, last):
    for index in range(first, last):
        path = folder / f"d{index // 1000:04}" / f"f{index:08}"
        if index % 1000 == 0:
            path.parent.mkdir(parents=True)
        os.mknod(path)
        os.utime(path, (MTIME_S, MTIME_S))


def peak_mib(server, folder, state):
    """Memory that a sync takes at its peak; it must find everything, and leave it alone."""
    port, count = server.server_address[1], len(server.keys)
    done = subprocess.run(
        [
            *(sys.executable, "-c", MEASURE),
            *(sys.executable, "-m", "osssync", "sync", "oss://bucket/", f"{folder}/"),
            *("--endpoint", f"http://127.0.0.1:{port}", "--path-style", "--region", "cn-hangzhou"),
            *("--credentials", "env", "--state-dir", str(state)),
        ],
        env={
            **os.environ,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"Succeed: found {count}, transferred 0, skipped {count}," in done.stdout
    return int(done.stdout.split()[-1]) / MIB_IN_KIB


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_three_times_the_keys_take_the_same_memory(server, tmp_path):
    """300,000 objects and files that are equal: below 200 MiB, and no more than 100,000 took."""
    peaks_mib = []
    for first, last in ((0, 100_000), (100_000, 300_000)):
        make_files(tmp_path / "files", first, last)
        server.keys = MadeUpKeys(last)
        peaks_mib.append(peak_mib(server, tmp_path / "files", tmp_path / "state"))

    assert peaks_mib[1] < 200
    assert peaks_mib[1] / peaks_mib[0] < 1.2
