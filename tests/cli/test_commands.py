"""The commands as a user types them, each in a process of its own."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from osssync.emulator.faults import Effect, Rule
from tests.conftest import environment_for
from tests.trees import AWKWARD, make_tree, tree_bytes


def test_cp_names_an_object_after_the_file_below_a_slash(emulator, osssync, tmp_path):
    """Cp FILE oss://b/p makes p; cp FILE oss://b/p/ makes p/FILE."""
    make_tree(tmp_path, {"file": 3})

    one = osssync("cp", tmp_path / "file", "oss://bucket/p")
    two = osssync("cp", tmp_path / "file", "oss://bucket/q/")

    assert (0, 0) == (one.code, two.code)
    assert ["p", "q/file"] == emulator.objects.keys("bucket")
    assert f"upload: {tmp_path}/file to oss://bucket/q/file\n" in two.out


def test_cp_into_a_directory_keeps_the_name(emulator, osssync, tmp_path):
    """Cp oss://b/x/name DIR and cp oss://b/x/name DIR/ write DIR/name, made if need be."""
    emulator.objects.put("bucket", "x/name", b"12")
    (tmp_path / "there").mkdir()

    osssync("cp", "oss://bucket/x/name", tmp_path / "there")
    osssync("cp", "oss://bucket/x/name", f"{tmp_path}/new/")

    assert {"there/name": b"12", "new/name": b"12"} == tree_bytes(tmp_path)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("cp", "{tmp}", "oss://bucket/x"), "give -r"),
        (("cp", "oss://bucket", "{tmp}"), "give -r"),
        (("cp", "s3://bucket/x", "{tmp}"), "s3:// is not known"),
        (("cp", "oss://B_D/x", "{tmp}"), "not a bucket name"),
        (("sync", "{tmp}", "{tmp}"), "both local"),
        (("sync", "{tmp}", "oss://bucket/", "--part-size", "1K"), "100K to 5G"),
        (("sync", "{tmp}", "oss://bucket/", "--part-size", "much"), "--part-size"),
        (("sync", "{tmp}", "oss://bucket/", "--jobs", "0"), "--jobs"),
        (("sync", "{tmp}", "oss://bucket/", "--size-only", "-u"), "exclude each other"),
        (("sync", "{tmp}", "oss://bucket/", "--bogus"), "--bogus"),
        (("sync", "{tmp}"), "DST"),
        (("sync", "{tmp}", "oss://bucket/", "--include-from", "/nope"), "/nope"),
        (("sync", "{tmp}", "oss://bucket/", "--credentials", "guess"), "instance-role"),
        (("sync", "{tmp}", "oss://bucket/", "--metadata", "colour"), "NAME=VALUE"),
        (("rm", "oss://bucket"), "-r"),
        (("ls", "bucket"), "oss://bucket/key"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_wrong_words_are_explained_and_exit_1(emulator, osssync, tmp_path, words, reason):
    """Usage errors say what is wrong, exit 1, and touch nothing."""
    done = osssync(*(word.replace("{tmp}", str(tmp_path)) for word in words))

    assert 1 == done.code
    assert reason in done.err
    assert "Traceback" not in done.err
    assert [] == [one for one in emulator.requests if one.method != "HEAD"]


def test_dry_run_shows_and_does_nothing(emulator, osssync, tmp_path):
    """-n prints what would be done, each line marked, and only lists."""
    make_tree(tmp_path / "t", {"a": 1, "b.log": 2})

    done = osssync("sync", tmp_path / "t", "oss://bucket/t", "-n", "-v", "--exclude", "*.log")

    assert 0 == done.code
    lines = done.out.splitlines()
    assert lines[0].startswith(f"(dryrun) upload: {tmp_path}/t/a to oss://bucket/t/a")
    assert lines[1].startswith(f"(dryrun) exclude: {tmp_path}/t/b.log")
    assert lines[2].startswith("(dryrun) Succeed: found 2, transferred 1, skipped 0, excluded 1")
    assert [] == emulator.objects.keys("bucket")


def test_dry_run_of_a_download_makes_no_directory(emulator, osssync, tmp_path):
    """Not even the destination's root is made."""
    emulator.objects.put("bucket", "a", b"1")

    osssync("sync", "oss://bucket/", tmp_path / "new", "-n")

    assert not (tmp_path / "new").exists()


def test_json_is_one_object_a_line(osssync, tmp_path):
    """--json: every line of stdout parses; the last is the summary with all sums."""
    make_tree(tmp_path / "t", dict.fromkeys(AWKWARD, 4))

    done = osssync("sync", tmp_path / "t", "oss://bucket/t", "--json")

    *objects, summary = [json.loads(line) for line in done.out.splitlines()]
    assert {f"{tmp_path}/t/{name}" for name in AWKWARD} == {one["source"] for one in objects}
    assert ("summary", True, len(AWKWARD)) == (
        summary["event"], summary["succeeded"], summary["transferred"],
    )  # fmt: skip
    assert summary["found"] == sum(
        summary[name] for name in ("transferred", "skipped", "excluded", "failed")
    )


def test_rules_keep_the_order_of_the_command_line(emulator, osssync, tmp_path):
    """The first rule that matches decides, whichever of the flags it came by."""
    make_tree(tmp_path / "t", {"keep.log": 1, "b.log": 1, "c.txt": 1})

    osssync("sync", tmp_path / "t", "oss://bucket/1", "--include", "keep.*", "--exclude", "*.log",
            "--filter", "+ *")  # fmt: skip
    osssync("sync", tmp_path / "t", "oss://bucket/2", "--exclude", "*.log", "--include", "keep.*")

    assert ["1/c.txt", "1/keep.log"] == emulator.objects.keys("bucket")


def test_headers_of_new_objects(emulator, osssync, tmp_path):
    """Class, type, metadata and cache control given once are on small and on large objects."""
    make_tree(tmp_path / "t", {"small": 10, "large": 300_000})

    osssync("cp", "-r", tmp_path / "t", "oss://bucket/t", "--storage-class", "IA",
            "--content-type", "text/x-test", "--cache-control", "no-store", "--metadata",
            "Colour=grün", "--part-size", "100K", "--bigfile-threshold", "200K")  # fmt: skip

    for name in ("small", "large"):
        shown = json.loads(osssync("stat", f"oss://bucket/t/{name}", "--json").out)
        assert ("IA", "text/x-test", {"colour": "grün"}) == (
            shown["storage_class"], shown["content_type"], shown["metadata"],
        )  # fmt: skip


def test_standard_input_and_output(emulator, osssync):
    """Cp - oss://… and cp oss://… -: empty, small, and in parts; nothing else on stdout."""
    for size in (0, 5, 300_000):
        body = os.urandom(size)

        up = osssync("cp", "-", "oss://bucket/s", "--part-size", "100K", stdin=body)
        raw = subprocess.run(
            [sys.executable, "-m", "osssync", "cp", "oss://bucket/s", "-"],
            env=environment_for(emulator), capture_output=True, check=True,
        ).stdout  # fmt: skip

        assert 0 == up.code
        assert body == raw


def test_cat_goes_on_where_a_cut_connection_stopped(emulator, osssync):
    """A body cut short is taken up again by a range, and the bytes are whole."""
    body = "0123456789" * 200_000
    emulator.objects.put("bucket", "o", body.encode())
    emulator.faults.add(Rule(Effect.CUT, operation="GetObject", at=700_000, times=2))

    done = osssync("cat", "oss://bucket/o")

    assert (0, True) == (done.code, body == done.out)


def test_ls_folds_at_slashes(emulator, osssync):
    """Ls shows objects and prefixes in one order; -r shows all; no URL shows buckets."""
    for key in ("a", "d/x", "d/y", "e"):
        emulator.objects.put("bucket", key, b"12")

    folded = [line.split()[-1] for line in osssync("ls", "oss://bucket/").out.splitlines()]
    flat = [line.split()[-1] for line in osssync("ls", "oss://bucket/", "-r").out.splitlines()]

    assert ["oss://bucket/a", "oss://bucket/d/", "oss://bucket/e"] == folded
    assert ["oss://bucket/a", "oss://bucket/d/x", "oss://bucket/d/y", "oss://bucket/e"] == flat
    assert "oss://bucket\n" in osssync("ls").out


def test_rm_removes_a_name_and_what_is_below_it_only(emulator, osssync):
    """Rm -r oss://b/a takes a and a/…, never ab; a single rm of nothing is an error."""
    for key in ("a", "a/1", "a/2/3", "ab", "a-"):
        emulator.objects.put("bucket", key, b"")

    done = osssync("rm", "-r", "oss://bucket/a")
    missing = osssync("rm", "oss://bucket/nope")

    assert (0, ["a-", "ab"]) == (done.code, emulator.objects.keys("bucket"))
    assert (2, True) == (missing.code, "NoSuchKey" in missing.err)


@pytest.mark.parametrize(
    ("answer", "code", "kept"), [("y\n", 0, []), ("n\n", 5, ["a/b"]), ("\4", 5, ["a/b"])]
)
def test_a_tree_is_deleted_only_if_somebody_says_yes(emulator, answer, code, kept):
    """On a terminal rm -r asks; no, and the end of the input, leave all as it is."""
    emulator.objects.put("bucket", "a/b", b"")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = subprocess.run(
            [sys.executable, "-m", "osssync", "rm", "-r", "oss://bucket/a"], stdin=theirs,
            capture_output=True, env=environment_for(emulator), timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)

    assert (code, kept) == (done.returncode, emulator.objects.keys("bucket"))
    assert b"Delete everything below oss://bucket/a" in done.stderr


def test_emptying_a_bucket_without_a_terminal_needs_force(emulator, osssync):
    """Rm -r oss://bucket from cron is refused with exit 6 unless -f says it is meant."""
    emulator.objects.put("bucket", "a", b"")

    refused = osssync("rm", "-r", "oss://bucket")
    forced = osssync("rm", "-rf", "oss://bucket")

    assert (6, 0) == (refused.code, forced.code)
    assert [] == emulator.objects.keys("bucket")


def test_whoami_masks_the_key_and_names_the_role(emulator, osssync):
    """Role, masked key id, expiry, account and region; never a secret."""
    shown = json.loads(osssync("whoami", "--json").out)

    key_id = emulator.authority.latest.access_key_id
    assert ("EcsRamRole", "cn-hangzhou", "1234567890123456") == (
        shown["identity"], shown["region"], shown["account"],
    )  # fmt: skip
    assert key_id not in json.dumps(shown)
    assert key_id.startswith(shown["masked_access_key_id"].split("…")[0])


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        ({"effect": "error", "status": 404}, "role"),
        ({"effect": "error", "status": 500}, "500"),
        ({"effect": "error", "status": 429}, "429"),
        ({"effect": "garbage"}, "not a json object"),
        ({"effect": "expired_token"}, "clock"),
        ({"effect": "hang"}, "answer"),
    ],
)
def test_a_broken_metadata_service_is_exit_7_and_explained(
    emulator, osssync, tmp_path, fault, hint
):
    """Each way the metadata service can fail has its own sentence, and nothing is transferred."""
    from osssync.emulator.faults import read_rule

    emulator.faults.add(read_rule({"service": "metadata", **fault}))
    make_tree(tmp_path / "t", {"a": 1})

    done = osssync("sync", tmp_path / "t", "oss://bucket/t")

    assert 7 == done.code
    assert hint in done.err.lower()
    assert "Traceback" not in done.err
    assert [] == emulator.objects.keys("bucket")


def test_no_metadata_service_at_all(emulator, osssync, tmp_path):
    """Nobody listens: the message asks whether this is an ECS instance."""
    done = osssync("ls", "oss://bucket/", env={"OSSSYNC_METADATA_PROXY": "http://127.0.0.1:9"})

    assert 7 == done.code
    assert "ECS instance" in done.err


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_proxies_of_the_environment_see_nothing(emulate, emulator, osssync, tmp_path, variable):
    """A proxy that would gladly answer metadata requests gets neither those nor OSS's."""
    from osssync.emulator.settings import Settings

    poisoned = emulate(Settings(buckets=("bucket",)))
    make_tree(tmp_path, {"a": 1})

    done = osssync("cp", tmp_path / "a", "oss://bucket/a", env={variable: poisoned.metadata_proxy})

    assert 0 == done.code
    assert ([], []) == (poisoned.metadata_requests, poisoned.requests)


def test_ctrl_c_stops_soon_and_the_next_run_goes_on(emulator, osssync, tmp_path):
    """SIGINT, SIGTERM: exit 5 within seconds, nothing partial visible; the rest comes next time."""
    body = os.urandom(40 << 20)
    for number in (signal.SIGINT, signal.SIGTERM):
        out = tmp_path / number.name
        emulator.objects.put("bucket", "large", body)
        emulator.faults.clear()
        emulator.faults.add(Rule(Effect.DELAY, operation="GetObject", delay_s=0.5))
        seen = len(emulator.requests)
        process = subprocess.Popen(
            [sys.executable, "-m", "osssync", "sync", "oss://bucket/", out, "-j", "2"],
            env=environment_for(emulator), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        while not any(one.operation == "GetObject" for one in emulator.requests[seen:]):
            time.sleep(0.02)

        process.send_signal(number)
        _, err = process.communicate(timeout=10)

        assert 5 == process.returncode
        assert b"run again to go on" in err
        assert b"failed: " not in err
        assert all(path.name.startswith(".osssync-") for path in out.iterdir())
        emulator.faults.clear()
        assert 0 == osssync("sync", "oss://bucket/", out).code
        assert {"large": body} == tree_bytes(out)
        moved = sum(one.sent for one in emulator.requests[seen:] if one.status == 206)
        assert moved <= len(body) + (8 << 20)


def test_a_closed_pipe_is_no_traceback(emulator):
    """Osssync ls | head: the reader goes away, nothing is printed about it."""
    for number in range(3000):
        emulator.objects.put("bucket", f"{number:05}" + "x" * 100, b"")
    process = subprocess.Popen(
        [sys.executable, "-m", "osssync", "ls", "-r", "oss://bucket/"],
        env=environment_for(emulator), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=20)

    assert b"" == err
