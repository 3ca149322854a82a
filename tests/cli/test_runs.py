"""Whole runs as cron starts them: deletes and their guards, locks, limits, reports, retries."""

import json

import pytest

from osssync.emulator.faults import Effect, Rule
from tests.trees import make_tree, tree_bytes


def put_all(emulator, *keys):
    """Objects that hold their own key."""
    for key in keys:
        emulator.objects.put("bucket", key, key.encode())


def test_delete_makes_the_destination_equal_both_ways(emulator, osssync, tmp_path):
    """What only DST has goes, after all else; directories that become empty go with it."""
    make_tree(tmp_path / "t", {"a": 1, "d/b": 2, "e": 3})
    osssync("sync", tmp_path / "t", "oss://bucket/t")
    osssync("sync", "oss://bucket/t", tmp_path / "out")
    (tmp_path / "t" / "d" / "b").unlink()

    up = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete")
    down = osssync("sync", "oss://bucket/t", tmp_path / "out", "--delete", "--json")

    assert (0, 0) == (up.code, down.code)
    assert "delete: oss://bucket/t/d/b\n" in up.out
    assert ["t/a", "t/e"] == emulator.objects.keys("bucket")
    assert {"a", "e"} == {path.name for path in (tmp_path / "out").iterdir()}
    assert 2 == json.loads(down.out.splitlines()[-1])["deleted"]  # the file and its directory


def test_without_delete_nothing_goes(emulator, osssync, tmp_path):
    """A plain sync only adds."""
    put_all(emulator, "t/old")
    make_tree(tmp_path / "t", {"new": 1})

    osssync("sync", tmp_path / "t", "oss://bucket/t")

    assert ["t/new", "t/old"] == emulator.objects.keys("bucket")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "--max-delete 50%"),
        (("--max-delete", "2"), "--max-delete 2"),
        (("--max-delete", "10%"), "--max-delete 10%"),
    ],
)
def test_too_many_deletes_are_refused(emulator, osssync, tmp_path, words, reason):
    """More than --max-delete: exit 6, nothing is deleted, the reason names the flag."""
    make_tree(tmp_path / "t", {"0": 1})
    put_all(emulator, *(f"t/{number}" for number in range(10)))

    done = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete", *words)

    assert (6, 10) == (done.code, len(emulator.objects.keys("bucket")))
    assert reason in done.err


def test_an_empty_source_deletes_nothing(emulator, osssync, tmp_path):
    """A source that is not mounted looks empty: exit 6 unless it is said to be meant."""
    (tmp_path / "t").mkdir()
    put_all(emulator, "t/a")

    refused = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete")
    meant = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete",
                    "--allow-empty-source", "--max-delete", "off")  # fmt: skip

    assert (6, 0) == (refused.code, meant.code)
    assert "--allow-empty-source" in refused.err
    assert [] == emulator.objects.keys("bucket")


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_listing_that_breaks_off_deletes_nothing(emulator, osssync, tmp_path, side):
    """Either listing failing at its second page: an error, and everything is still there."""
    names = [f"{number:04}" for number in range(1500)]
    put_all(emulator, *(f"t/{name}" for name in names))
    make_tree(tmp_path / "t", dict.fromkeys(names[:1400], 1))
    emulator.faults.add(
        Rule(Effect.ERROR, operation="ListObjectsV2", after=1, status=403, code="AccessDenied")
    )
    places = ("oss://bucket/t", tmp_path / "t")
    if side == "destination":
        places = places[::-1]

    done = osssync("sync", *places, "--delete", "--size-only")

    assert 7 == done.code
    assert len(names) == len(emulator.objects.keys("bucket"))
    assert 1400 <= len(list((tmp_path / "t").iterdir()))


def test_a_failed_transfer_deletes_nothing(emulator, osssync, tmp_path):
    """One object that failed is reason enough; the exit code is the failure's."""
    make_tree(tmp_path / "t", {"a": 1, "b": 1, "c": 1})
    put_all(emulator, "t/old")
    emulator.faults.add(
        Rule(Effect.ERROR, operation="PutObject", key="t/b", status=403, code="AccessDenied")
    )

    done = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete")

    assert 4 == done.code
    assert "t/old" in emulator.objects.keys("bucket")
    assert "nothing was deleted" in done.err


def test_excluded_objects_are_never_deleted(emulator, osssync, tmp_path):
    """A filter takes entries out of the run altogether, on both sides."""
    make_tree(tmp_path / "t", {"a": 1, "b": 1})
    put_all(emulator, "t/a", "t/keep.log", "t/old")

    osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete", "--exclude", "*.log")

    assert ["t/a", "t/b", "t/keep.log"] == emulator.objects.keys("bucket")


def test_backup_dir_keeps_what_is_deleted(emulator, osssync, tmp_path):
    """Local and OSS: the same relative name below the backup, the bytes unchanged."""
    make_tree(tmp_path / "t", {"a": 1, "b": 1})
    put_all(emulator, "t/a", "t/old/x")

    up = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete",
                 "--backup-dir", "oss://bucket/trash")  # fmt: skip
    make_tree(tmp_path / "out", {"gone/y": 9})
    gone = tree_bytes(tmp_path / "out")
    down = osssync("sync", "oss://bucket/t", tmp_path / "out", "--delete",
                   "--backup-dir", tmp_path / "trash", "--max-delete", "off")  # fmt: skip

    assert (0, 0) == (up.code, down.code), up.err + down.err
    assert b"t/old/x" == emulator.objects.get("bucket", "trash/old/x")
    assert ["t/a", "t/b", "trash/old/x"] == emulator.objects.keys("bucket")
    assert gone == tree_bytes(tmp_path / "trash")
    assert {"a", "b"} == set(tree_bytes(tmp_path / "out"))


def test_dry_run_shows_deletes_and_guards(emulator, osssync, tmp_path):
    """-n --delete names what would go, and says what a guard would say."""
    make_tree(tmp_path / "t", {"a": 1, "b": 1})
    put_all(emulator, "t/a", "t/old")

    shown = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete", "-n")
    refused = osssync("sync", tmp_path / "t", "oss://bucket/t", "--delete", "-n",
                      "--max-delete", "0")  # fmt: skip

    assert "(dryrun) delete: oss://bucket/t/old" in shown.out
    assert (0, 6) == (shown.code, refused.code)
    assert ["t/a", "t/old"] == emulator.objects.keys("bucket")


def test_retry_from_repeats_only_the_failures(emulator, osssync, tmp_path):
    """--report writes what happened; --retry-from takes up exactly what failed there."""
    make_tree(tmp_path / "t", {"a": 1, "b": 1, "c\nd": 1})
    emulator.faults.add(
        Rule(Effect.ERROR, operation="PutObject", key="t/c*", status=403, code="AccessDenied")
    )
    report = tmp_path / "report.ndjson"
    first = osssync("sync", tmp_path / "t", "oss://bucket/t", "--report", report)
    emulator.faults.clear()
    emulator.forget_requests()

    second = osssync("sync", tmp_path / "t", "oss://bucket/t", "--retry-from", report)

    assert (4, 0) == (first.code, second.code)
    assert ["t/c\nd"] == [one.key for one in emulator.requests if one.method == "PUT"]
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert ["run", "object", "object", "object", "summary"] == [one["event"] for one in lines]


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--max-transfer", "5K"), 8), (("--max-failure", "0"), 4), (("--max-duration", "10ms"), 10)],
)
def test_limits_end_a_run_early(emulator, osssync, tmp_path, words, code):
    """Each limit has its exit code, and the run says which it was."""
    make_tree(tmp_path / "t", {f"{number:03}": 1000 for number in range(100)})
    emulator.faults.add(Rule(Effect.DELAY, operation="PutObject", delay_s=0.05))
    if code == 4:
        emulator.faults.clear()
        emulator.faults.add(
            Rule(Effect.ERROR, operation="PutObject", status=403, code="AccessDenied")
        )

    done = osssync("cp", "-r", tmp_path / "t", "oss://bucket/t", "-j", "2", *words)

    assert code == done.code
    assert words[0] in done.err
    assert len(emulator.objects.keys("bucket")) < 100


def test_the_journal_remembers_runs_and_no_secrets(emulator, osssync, tmp_path):
    """Both runs are in the journal with their ends; the file is for its owner alone."""
    from osssync.journal import Journal

    make_tree(tmp_path / "t", {"a": 1})
    state = tmp_path / "state"

    osssync("sync", tmp_path / "t", "oss://bucket/t", "--state-dir", state)
    osssync("sync", tmp_path / "t", "oss://bucket/t", "--state-dir", state)

    with Journal.open(state, print) as journal:
        runs = journal.runs(10)
    assert [0, 0] == [run.exit_code for run in runs]
    assert 0o600 == (state / "journal.db").stat().st_mode & 0o777


def test_throttling_is_survived_and_shown(emulator, osssync, tmp_path):
    """503 answers lower the number of requests in flight; the summary says how far."""
    make_tree(tmp_path / "t", {f"{number:03}": 100 for number in range(60)})
    emulator.faults.add(Rule(Effect.THROTTLE, operation="PutObject", every=10))

    done = osssync("sync", tmp_path / "t", "oss://bucket/t", "--json", "-j", "8")

    summary = json.loads(done.out.splitlines()[-1])
    assert (0, 60) == (done.code, summary["transferred"])
    assert summary["throttled"] >= 6
    assert 1 <= summary["fewest_jobs"] < 8


def test_retries_hold_for_listings_too(emulator, osssync, tmp_path):
    """--retries 0 gives a failing listing one attempt."""
    emulator.faults.add(Rule(Effect.ERROR, operation="ListObjectsV2", status=500))

    done = osssync("sync", "oss://bucket/t", tmp_path / "out", "--retries", "0")

    assert (2, 1) == (done.code, len(emulator.requests))


def test_the_wrong_region_is_named(emulator, osssync, tmp_path):
    """A signature for another region: the message says which flag to give."""
    done = osssync("ls", "oss://bucket/", "--region", "cn-beijing")

    assert 2 == done.code
    assert "--region" in done.err


def test_https_to_a_port_without_tls_fails_at_once(emulator, osssync):
    """No patience for what cannot change; the message names --endpoint."""
    done = osssync("ls", "oss://bucket/", "-e", emulator.endpoint.replace("http", "https"))

    assert 3 == done.code
    assert "does not speak TLS" in done.err
    assert "attempts" not in done.err


def test_an_acl_holds_for_large_objects_too(emulator, osssync, tmp_path):
    """OSS takes the ACL of a multipart object from CompleteMultipartUpload."""
    make_tree(tmp_path / "t", {"small": 10, "large": 300_000})

    osssync("cp", "-r", tmp_path / "t", "oss://bucket/t", "--acl", "public-read",
            "--part-size", "100K", "--bigfile-threshold", "200K")  # fmt: skip

    acls = {
        name: emulator.objects.version("bucket", f"t/{name}").acl for name in ("small", "large")
    }
    assert {"small": "public-read", "large": "public-read"} == acls


def test_the_report_never_replaces_what_it_is_to_repeat(osssync, tmp_path):
    """--report and --retry-from with one name: refused, the file is as it was."""
    make_tree(tmp_path / "t", {"a": 1})
    report = tmp_path / "report"
    osssync("sync", tmp_path / "t", "oss://bucket/t", "--report", report)
    before = report.read_bytes()

    done = osssync("sync", tmp_path / "t", "oss://bucket/t", "--report", report,
                   "--retry-from", report)  # fmt: skip

    assert (1, before) == (done.code, report.read_bytes())
