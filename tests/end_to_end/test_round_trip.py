"""Whole jobs through the Python API against the emulator: up, down, again, inside OSS."""

import json
import os
import time

import pytest
from msgspec.structs import replace

import osssync
from osssync.config import TransferSettings
from osssync.errors import NotFoundError, UsageError
from tests.trees import AWKWARD, make_tree, tree_bytes

KIB = 1 << 10
PART = 100 * KIB


def operations(emulator):
    """How often each operation was asked for."""
    counts = {}
    for request in emulator.requests:
        counts[request.operation] = counts.get(request.operation, 0) + 1
    return counts


@pytest.fixture
def in_parts(options):
    """Options that cut everything above one small part."""
    transfer = TransferSettings(jobs=4, part_size=PART, bigfile_threshold=PART)
    return replace(options, transfer=transfer)


def test_awkward_names_survive_a_round_trip(options, tmp_path):
    """Every legal file name becomes a key and the same file name again, with the same bytes."""
    make_tree(tmp_path / "source", {name: 10 + len(name) for name in AWKWARD})

    up = osssync.sync(tmp_path / "source", "oss://bucket/tree", options)
    down = osssync.sync("oss://bucket/tree", tmp_path / "restored", options)

    assert (True, True) == (up.succeeded, down.succeeded)
    assert tree_bytes(tmp_path / "source") == tree_bytes(tmp_path / "restored")
    assert len(AWKWARD) == up.totals.transferred == down.totals.transferred


@pytest.mark.parametrize(
    "size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART - 1, 3 * PART, 10 * PART + 17]
)
def test_every_size_around_a_part_boundary_arrives(emulator, in_parts, tmp_path, size):
    """Zero, one byte, exact multiples of the part size and their neighbours, both ways."""
    make_tree(tmp_path, {"file": size})

    up = osssync.copy(tmp_path / "file", "oss://bucket/key", in_parts)
    down = osssync.copy("oss://bucket/key", tmp_path / "again", in_parts)

    assert (0, 0) == (up.exit_code, down.exit_code)
    assert (tmp_path / "file").read_bytes() == (tmp_path / "again").read_bytes()
    parts = -(-size // PART) if size >= PART else 0
    assert parts == operations(emulator).get("UploadPart", 0)
    assert max(1, parts) == operations(emulator)["GetObject"]


def test_ten_thousand_parts_are_the_limit_and_are_kept(options, tmp_path):
    """A part size too small for 10,000 parts grows instead of failing at the end."""
    from osssync.ranges import cut, part_size_for

    size = 10_001 * PART

    part_size = part_size_for(size, PART)

    assert 10_000 >= sum(1 for _ in cut(size, part_size))


def test_a_second_sync_asks_for_listings_only(emulator, options, tmp_path):
    """A no-op sync of N keys is ceil(N / 1000) listings and nothing else, either way."""
    make_tree(tmp_path / "source", {f"{number:04}": 3 for number in range(1200)})
    osssync.sync(tmp_path / "source", "oss://bucket/t", options)
    osssync.sync("oss://bucket/t", tmp_path / "restored", options)
    emulator.forget_requests()

    up = osssync.sync(tmp_path / "source", "oss://bucket/t", options)
    down = osssync.sync("oss://bucket/t", tmp_path / "restored", options)

    assert (1200, 1200) == (up.totals.skipped, down.totals.skipped)
    assert {"ListObjectsV2": 4} == operations(emulator)


def test_an_edit_of_the_same_size_is_found_both_ways(options, tmp_path):
    """Same size, other bytes, other time: transferred; the copy equals the source again."""
    make_tree(tmp_path / "a", {"file": 9, "other": 9})
    osssync.sync(tmp_path / "a", "oss://bucket/t", options)
    osssync.sync("oss://bucket/t", tmp_path / "b", options)
    (tmp_path / "b" / "file").write_bytes(b"123456789")
    os.utime(tmp_path / "b" / "file", (1, 1))

    report = osssync.sync("oss://bucket/t", tmp_path / "b", options)

    assert (1, 1) == (report.totals.transferred, report.totals.skipped)
    assert tree_bytes(tmp_path / "a") == tree_bytes(tmp_path / "b")


def test_mtime_becomes_last_modified(emulator, options, tmp_path):
    """A downloaded file carries the object's LastModified, so that the next run can compare."""
    make_tree(tmp_path, {"file": 5})
    osssync.copy(tmp_path / "file", "oss://bucket/key", options)

    osssync.copy("oss://bucket/key", tmp_path / "again", options)

    (action,) = osssync.plan("oss://bucket/", tmp_path / "nowhere", options)
    assert action.entry.mtime_ns == (tmp_path / "again").stat().st_mtime_ns


def test_copies_inside_oss_move_no_bytes_through_here(emulator, in_parts, tmp_path):
    """OSS to OSS is CopyObject and UploadPartCopy; nothing is read or written by us."""
    make_tree(tmp_path / "t", {"small": 10, "dir/large": 4 * PART})
    osssync.sync(tmp_path / "t", "oss://bucket/from", in_parts)
    emulator.forget_requests()

    report = osssync.sync("oss://bucket/from", "oss://bucket/to", in_parts)

    assert report.succeeded
    assert {"ListObjectsV2": 2, "CopyObject": 2} == operations(emulator)
    osssync.sync("oss://bucket/to", tmp_path / "restored", in_parts)
    assert tree_bytes(tmp_path / "t") == tree_bytes(tmp_path / "restored")


def test_a_large_copy_inside_oss_goes_in_parts(emulator, in_parts, tmp_path, monkeypatch):
    """Above CopyObject's limit the copy is UploadPartCopy of one pinned version, metadata kept."""
    monkeypatch.setattr("osssync.planning.split.COPY_WHOLE_BYTES", 2 * PART)
    make_tree(tmp_path, {"large": 4 * PART + 1})
    headers = (("Content-Type", "text/x-test"), ("x-oss-meta-colour", "green"))
    marked = replace(in_parts, transfer=replace(in_parts.transfer, headers=headers))
    osssync.copy(tmp_path / "large", "oss://bucket/a", marked)

    report = osssync.copy("oss://bucket/a", "oss://bucket/b", in_parts)

    assert report.succeeded
    assert 5 == operations(emulator)["UploadPartCopy"]
    osssync.copy("oss://bucket/b", tmp_path / "again", in_parts)
    assert (tmp_path / "large").read_bytes() == (tmp_path / "again").read_bytes()
    (head,) = [one for one in emulator.requests if one.operation == "HeadObject"][-1:]
    assert "b" == head.key


def test_directory_markers_become_directories(emulator, options, tmp_path):
    """A key that ends in "/" and holds nothing is a directory, made once and then left alone."""
    emulator.objects.put("bucket", "t/empty/", b"")
    emulator.objects.put("bucket", "t/full/", b"")
    emulator.objects.put("bucket", "t/full/x", b"x")

    first = osssync.sync("oss://bucket/t", tmp_path / "out", options)
    second = osssync.sync("oss://bucket/t", tmp_path / "out", options)

    assert (tmp_path / "out" / "empty").is_dir()
    assert (3, 3) == (first.totals.transferred, second.totals.skipped)


@pytest.mark.parametrize(
    "key", ["../escape", "a/../../escape", "/absolute", "a//b", "a/./b", "nul\0byte", "x" * 300]
)
def test_a_key_that_cannot_be_a_file_is_refused_and_reported(emulator, options, tmp_path, key):
    """Nothing is written outside the destination; the rest arrives; the run says it failed."""
    emulator.objects.put("bucket", f"t/{key}", b"evil")
    emulator.objects.put("bucket", "t/good", b"good")

    report = osssync.sync("oss://bucket/t", tmp_path / "in" / "out", options)

    assert {"good": b"good"} == tree_bytes(tmp_path / "in" / "out")
    assert {"in"} == {path.name for path in tmp_path.iterdir()}
    assert (4, 1, 1) == (report.exit_code, report.totals.failed, report.totals.transferred)
    assert key == report.failures[0].key


def test_a_symlink_in_the_destination_is_not_followed(emulator, options, tmp_path):
    """A directory of the destination that is a link elsewhere is never written through."""
    emulator.objects.put("bucket", "t/link/file", b"evil")
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "outside")

    report = osssync.sync("oss://bucket/t", tmp_path / "out", options)

    assert 1 == report.totals.failed
    assert [] == list((tmp_path / "outside").iterdir())


def test_plan_decides_and_does_nothing(emulator, options, tmp_path):
    """plan() yields every decision in key order and writes nothing."""
    make_tree(tmp_path / "t", {"a": 1, "b": 2, "c": 3})
    emulator.objects.put("bucket", "t/b", b"22", modified_s=time.time() + 2)
    emulator.forget_requests()

    actions = list(osssync.plan(tmp_path / "t", "oss://bucket/t", options))

    kinds = [(action.entry.key, action.kind.value) for action in actions]
    assert [("a", "transfer"), ("b", "skip"), ("c", "transfer")] == kinds
    assert {"ListObjectsV2": 1} == operations(emulator)


def test_found_is_the_sum_of_all_ends(emulator, options, tmp_path):
    """Found = transferred + skipped + excluded + failed, whatever happened."""
    make_tree(tmp_path / "t", {"a.txt": 1, "b.txt": 2, "c.log": 3})
    emulator.objects.put("bucket", "t/b.txt", b"22", modified_s=time.time() + 2)
    (tmp_path / "t" / "dangling").symlink_to("nowhere")
    from osssync.filters import RuleFlag

    chosen = replace(options, filters=osssync.Filters.from_flags([(RuleFlag.EXCLUDE, "*.log")]))

    totals = osssync.sync(tmp_path / "t", "oss://bucket/t", chosen).totals

    ends = (totals.transferred, totals.skipped, totals.excluded, totals.failed)
    assert (4, (1, 1, 1, 1)) == (totals.found, ends)


def test_an_object_overwritten_meanwhile_is_begun_again(emulator, in_parts, tmp_path):
    """If-Match pins every range to one version: the file is the new version, never a mixture."""
    old, new = b"o" * (6 * PART), b"n" * (5 * PART)
    emulator.objects.put("bucket", "key", old)

    class Overwriting:
        done = False

        def moved(self, _count):
            if not self.done:
                self.done = True
                emulator.objects.put("bucket", "key", new)

        def __getattr__(self, _name):
            return lambda *_: None

    one_at_a_time = replace(in_parts, transfer=replace(in_parts.transfer, jobs=1))

    report = osssync.sync("oss://bucket/", tmp_path / "out", one_at_a_time, Overwriting())

    assert report.succeeded
    assert new == (tmp_path / "out" / "key").read_bytes()


def test_a_missing_object_is_said_plainly(options, tmp_path):
    """No such key: NotFoundError with the address, and no file is left at the destination."""
    with pytest.raises(NotFoundError, match="oss://bucket/nope: no such object"):
        osssync.copy("oss://bucket/nope", tmp_path / "file", options)

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("oss://bucket/a", "oss://bucket/a/b"),
        ("oss://bucket/a/b", "oss://bucket/a"),
        ("oss://bucket", "oss://bucket/a"),
        ("oss://bucket/a/", "oss://bucket/a"),
    ],
)
def test_trees_that_contain_each_other_are_refused(options, source, destination):
    """Source inside destination or the reverse would feed on itself."""
    with pytest.raises(UsageError, match="contain each other"):
        osssync.sync(source, destination, options)


def test_two_local_trees_are_refused(options, tmp_path):
    """Osssync moves to and from OSS, not between directories."""
    with pytest.raises(UsageError, match="both local"):
        osssync.sync(tmp_path / "a", tmp_path / "b", options)


def test_a_failed_upload_leaves_no_parts_behind(emulator, in_parts, tmp_path):
    """A part that cannot be sent ends in AbortMultipartUpload and a reported failure."""
    from osssync.emulator.faults import Effect, Rule

    emulator.faults.add(
        Rule(
            Effect.ERROR, operation="UploadPart", part_number=3, status=400, code="InvalidArgument"
        )
    )
    make_tree(tmp_path / "t", {"large": 5 * PART})

    report = osssync.sync(tmp_path / "t", "oss://bucket/t", in_parts)

    assert (1, 2) == (report.totals.failed, report.exit_code)
    assert 1 == operations(emulator)["AbortMultipartUpload"]
    assert [] == list(osssync.plan("oss://bucket/t", tmp_path / "x", in_parts))


def test_a_copy_takes_new_metadata_and_keeps_the_rest(emulator, options, osssync, tmp_path):
    """OSS replaces all metadata or none: what was not given anew is sent along."""
    make_tree(tmp_path, {"file": 10})
    osssync("cp", tmp_path / "file", "oss://bucket/a", "--metadata", "kept=1",
            "--content-type", "text/old", "--cache-control", "no-cache")  # fmt: skip

    osssync("cp", "oss://bucket/a", "oss://bucket/b", "--metadata", "added=2",
            "--content-type", "text/new", "--storage-class", "IA")  # fmt: skip

    shown = json.loads(osssync("stat", "oss://bucket/b", "--json").out)
    assert ({"kept": "1", "added": "2"}, "text/new", "IA") == (
        shown["metadata"], shown["content_type"], shown["storage_class"],
    )  # fmt: skip


def test_symlink_objects_are_their_targets(emulator, options, tmp_path):
    """Listed with the link's own size, synced as what they point at, and unchanged afterwards."""
    import oss2

    key = emulator.authority.current()
    auth = oss2.StsAuth(key.access_key_id, key.access_key_secret, key.security_token)
    bucket = oss2.Bucket(auth, emulator.endpoint, "bucket")
    bucket.put_object("t/target", b"0123456789")
    bucket.put_symlink("t/target", "t/link")
    bucket.put_symlink("t/nothing", "t/dangling")

    first = osssync.sync("oss://bucket/t", tmp_path / "out", options)
    second = osssync.sync("oss://bucket/t", tmp_path / "out", options)

    assert {"target": b"0123456789", "link": b"0123456789"} == tree_bytes(tmp_path / "out")
    assert (2, 1) == (first.totals.transferred, first.totals.failed)
    assert 2 == second.totals.skipped
