"""``osssync uploads``: what unfinished uploads there are, and what --abort does to them."""

import json
import os
import pty
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from osssync.config import OssAddress
from osssync.emulator.faults import Effect
from osssync.oss.connection import Connection
from osssync.uploads import list_unfinished
from tests.conftest import environment_for, options_for
from tests.faults.programs import ended, start, wait_until
from tests.trees import make_tree

DAY_S = 86_400
HOSTILE = ("p/\x1b[2Jgone", "p/new\nline", "p/\u202egnp.exe", "p/a b?#%41&+", "p/日本")


@pytest.fixture
def connection(emulator):
    """A connection as the program makes it."""
    options = options_for(emulator)
    with Connection(options.credentials, options.oss, 2, warn=[].append) as opened:
        yield opened


@pytest.fixture
def leave(emulator, connection):
    """Leave an upload behind, initiated so long ago; its id."""

    def one(key, age_s=0.0):
        upload_id = connection.bucket("bucket").initiate(key, {})
        upload = emulator.objects.bucket("bucket").uploads[upload_id]
        upload.model = replace(upload.model, modified_s=time.time() - age_s)
        return upload_id

    return one


def left(emulator):
    """Keys of the unfinished uploads."""
    return sorted(one.model.key for one in emulator.objects.bucket("bucket").uploads.values())


def test_uploads_are_listed_one_a_line_and_counted(emulator, osssync, leave):
    """Time, address and id of those below the prefix; the others are not named."""
    ids = [leave("p/a", DAY_S), leave("p/a", DAY_S), leave("p/b")]
    leave("q/other")

    done = osssync("uploads", "oss://bucket/p/")

    *lines, summary = done.out.splitlines()
    assert (0, "", "Succeed: found 3") == (done.code, done.err, summary)
    columns = [line.split("  ") for line in lines]
    assert ["oss://bucket/p/a"] * 2 + ["oss://bucket/p/b"] == [name for _, name, _ in columns]
    assert set(ids) == {upload_id for _, _, upload_id in columns}
    assert all(len("2026-01-02T03:04:05Z") == len(initiated) for initiated, _, _ in columns)
    assert 4 == len(left(emulator))


def test_keys_cannot_write_on_the_terminal(osssync, leave):
    """Escapes and newlines are shown, not sent; JSON has the key itself."""
    for key in HOSTILE:
        leave(key)

    shown = osssync("uploads", "oss://bucket")
    as_json = osssync("uploads", "oss://bucket", "--json")

    assert len(HOSTILE) + 1 == len(shown.out.splitlines())
    assert not {"\x1b", "\u202e"} & set(shown.out)
    assert r"oss://bucket/p/\x1b[2Jgone" in shown.out
    *rows, summary = map(json.loads, as_json.out.splitlines())
    assert set(HOSTILE) == {row["key"] for row in rows}
    assert {"upload"} == {row["event"] for row in rows}
    assert {"event": "summary", "found": len(HOSTILE)} == summary


def test_all_pages_are_read_by_both_markers(connection, leave):
    """Many uploads of one key cross a page; none is lost or given twice."""
    ids = {leave(key) for key in ("p/a", *["p/b+%20\x01"] * 4, *HOSTILE)}
    bucket = connection.bucket("bucket")
    found, marker, pages = [], ("", ""), 0

    while pages == 0 or marker != ("", ""):
        page = bucket.list_uploads("p/", marker=marker, limit=2)
        found += page.uploads
        marker = page.next_marker
        pages += 1

    assert 5 == pages
    assert ids == {upload.upload_id for upload in found}
    assert len(ids) == len(found)


def test_the_command_follows_the_pages(emulator, connection, leave, monkeypatch):
    """A listing of three pages gives each upload once, with one request a page."""
    ids = [leave("p/a") for _ in range(5)]
    verb = type(connection.bucket("bucket")).list_uploads
    monkeypatch.setattr(
        "osssync.oss.bucket.Bucket.list_uploads",
        lambda bucket, prefix, marker: verb(bucket, prefix, marker=marker, limit=2),
    )
    emulator.forget_requests()

    found = list(list_unfinished(connection, OssAddress("bucket", "p")))

    assert sorted(ids) == sorted(upload.upload_id for upload in found)
    assert 3 == len(emulator.requests)


def test_abort_drops_old_ones_and_keeps_new_ones(emulator, osssync, leave):
    """--older-than goes by the time of initiation, and needs no -f."""
    leave("p/old", 2 * DAY_S)
    leave("p/new", DAY_S / 2)

    rehearsed = osssync("uploads", "oss://bucket/p", "--abort", "--older-than", "1d", "-n")
    unharmed = left(emulator)
    done = osssync("uploads", "oss://bucket/p", "--abort", "--older-than", "1d")

    assert ["p/new", "p/old"] == unharmed
    assert rehearsed.out.startswith("(dryrun) abort: ")
    assert "(dryrun) Succeed: found 2, aborted 1, kept 1, failed 0\n" in rehearsed.out
    assert (0, ["p/new"]) == (done.code, left(emulator))
    assert "oss://bucket/p/old" in done.out
    assert "oss://bucket/p/new" not in done.out
    assert done.out.endswith("Succeed: found 2, aborted 1, kept 1, failed 0\n")


def test_without_abort_an_age_only_narrows_the_list(emulator, osssync, leave):
    """Nothing is changed by looking."""
    leave("p/old", 2 * DAY_S)
    leave("p/new")

    done = osssync("uploads", "oss://bucket", "--older-than", "1d", "--json")

    row, summary = map(json.loads, done.out.splitlines())
    assert "p/old" == row["key"]
    assert {"event": "summary", "found": 2, "older": 1} == summary
    assert ["p/new", "p/old"] == left(emulator)


def test_abort_of_everything_needs_a_person_or_force(emulator, osssync, leave):
    """Without a terminal it is refused; -f says it is meant."""
    leave("p/a")

    refused = osssync("uploads", "oss://bucket/p", "--abort")
    unharmed = left(emulator)
    forced = osssync("uploads", "oss://bucket/p", "--abort", "-f", "-q")

    assert (6, ["p/a"]) == (refused.code, unharmed)
    assert "-f or --older-than" in refused.err
    assert (0, "", []) == (forced.code, forced.out, left(emulator))


@pytest.mark.parametrize(("answer", "code", "kept"), [("y", 0, []), ("n", 5, ["p/a"])])
def test_a_person_is_asked_first(emulator, leave, answer, code, kept):
    """On a terminal the answer decides."""
    leave("p/a")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "osssync", "uploads", "oss://bucket/p", "--abort"],
            stdin=theirs,
            capture_output=True,
            env=environment_for(emulator),
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)

    assert (code, kept) == (done.returncode, left(emulator))
    assert b"Abort all unfinished uploads of oss://bucket/p" in done.stderr


@pytest.mark.parametrize(
    "words",
    [("-f",), ("-n",), ("-q",), ("--older-than", "yesterday"), ("--abort", "--older-than", "")],
)
def test_flags_that_mean_nothing_are_refused(emulator, osssync, leave, words):
    """Exit 1, and nothing is asked of OSS."""
    leave("p/a")
    emulator.forget_requests()

    done = osssync("uploads", "oss://bucket/p", *words)

    assert 1 == done.code
    assert [] == list(emulator.requests)


def test_an_upload_that_cannot_be_aborted_is_reported_and_the_rest_goes(emulator, osssync, leave):
    """One refusal does not keep the others; the exit code says that some failed."""
    leave("p/a")
    leave("p/b")
    emulator.faults.inject(
        Effect.ERROR, operation="AbortMultipartUpload", key="p/a", status=403, code="AccessDenied"
    )

    done = osssync("uploads", "oss://bucket/p", "--abort", "-f", "--json")

    failed, aborted, summary = map(json.loads, done.out.splitlines())
    assert (4, ["p/a"]) == (done.code, left(emulator))
    assert ("failed", "p/a") == (failed["event"], failed["key"])
    assert "AccessDenied" in failed["message"]
    assert ("abort", "p/b") == (aborted["event"], aborted["key"])
    assert {"event": "summary", "found": 2, "aborted": 1, "kept": 0, "failed": 1} == summary


def test_a_busy_service_is_asked_again(emulator, osssync, leave):
    """List and abort are repeated as every other request is."""
    leave("p/a")
    for operation in ("ListMultipartUploads", "AbortMultipartUpload"):
        emulator.faults.inject(Effect.ERROR, operation=operation, status=500, times=1)

    done = osssync("uploads", "oss://bucket/p", "--abort", "-f")

    assert (0, []) == (done.code, left(emulator))


def test_what_a_killed_upload_left_can_be_aborted(emulator, osssync, tmp_path):
    """Kill -9 while parts are on their way; afterwards nothing is charged any more."""
    make_tree(tmp_path / "t", {"large": 4 << 20})
    emulator.faults.inject(Effect.HANG, operation="UploadPart")
    process = start(
        emulator, "sync", tmp_path / "t", "oss://bucket/t",
        "--part-size", "1M", "--bigfile-threshold", "2M", "--quiet",
    )  # fmt: skip
    wait_until(lambda: emulator.faults.snapshot()[0]["fired"] > 0, process)
    process.kill()
    ended(process)
    emulator.faults.clear()
    before = left(emulator)

    done = osssync("uploads", "oss://bucket", "--abort", "-f")

    assert ["t/large"] == before
    assert (0, []) == (done.code, left(emulator))
    assert done.out.endswith("Succeed: found 1, aborted 1, kept 0, failed 0\n")
