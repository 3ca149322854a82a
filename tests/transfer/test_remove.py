"""What is deleted is what was listed, below the root alone; what is not deleted is told of."""

import errno
import json
import os
from itertools import count
from pathlib import Path

import pytest

from osssync.config import OssAddress, TransferSettings, parse_address
from osssync.emulator.faults import Effect
from osssync.emulator.settings import Settings
from osssync.errors import NetworkError, NotFoundError, OsssyncError, UsageError
from osssync.filters import Filters
from osssync.local import removal
from osssync.local.removal import RemovalRoot
from osssync.local.scan import scan
from osssync.model import Entry, EntryKind
from osssync.oss.connection import Connection
from osssync.oss.tree import list_tree
from osssync.planning import split
from osssync.planning.deletes import Doomed
from osssync.transfer import remove
from osssync.transfer.backup import ObjectBackup, check_backup
from osssync.transfer.remove import FileRemover, ObjectRemover
from tests.conftest import options_for
from tests.trees import AWKWARD, tree_bytes

HOSTILE = [*AWKWARD, "a\x01b", "\x7f", "a//b", "é" * 400, "x/../y", "&<>\"'", "\r\n"]


def keys_of(removals):
    """Keys that are gone, and the reasons of those that are not."""
    removals = list(removals)
    gone = [removal.entry.key for removal in removals if removal.failure is None]
    return gone, {removal.entry.key: removal.reason for removal in removals if removal.failure}


# --- local ---


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir()
    return path


def fill(root, names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def doomed_of(root):
    """Everything below a root, as a sync from an empty source would have it deleted."""
    doomed = Doomed(Filters())
    for entry in scan(root, follow_symlinks=False, with_directories=True):
        yield from doomed.see(None, entry)
    yield from doomed.end()


def remove_files(root, entries, backup=""):
    remover = FileRemover(RemovalRoot(str(root), str(backup)))
    try:
        return keys_of(remover.remove(list(entries)))
    finally:
        remover.close()


LOCAL_NAMES = [name for name in AWKWARD if name != "a.txt"]


def test_files_and_then_their_directories_go(root):
    """Whatever their names are; the root itself stays."""
    fill(root, LOCAL_NAMES)
    (root / "link").symlink_to("nowhere")

    gone, failures = remove_files(root, doomed_of(root))

    assert failures == {}
    assert {"link", "a/", "a/b.txt", "deep/" * 20, "new\nline"} <= set(gone)
    assert list(root.iterdir()) == []


def test_what_is_gone_already_is_no_failure(root):
    """Somebody else deleted it, or the whole directory; the wish is fulfilled."""
    entries = [Entry("x/a", 1, 1), Entry("b", 1, 1), Entry("x/", 0, 0, EntryKind.DIRECTORY)]

    assert remove_files(root, entries) == (["x/a", "b", "x/"], {})


@pytest.mark.parametrize("backup", ["", "backup"])
@pytest.mark.parametrize("change", ["size", "time", "directory", "link", "fifo"])
def test_what_has_changed_since_it_was_listed_stays(root, tmp_path, change, backup):
    """By so much as a nanosecond; and nothing that took its place is deleted for it."""
    fill(root, ["a", "b"])
    entries = list(doomed_of(root))
    path = root / "a"
    if change == "size":
        path.write_bytes(b"longer than before")
        os.utime(path, ns=(0, entries[0].mtime_ns))
    elif change == "time":
        os.utime(path, ns=(0, entries[0].mtime_ns + 1))
    else:
        path.unlink()
        make = {"directory": path.mkdir, "link": lambda: path.symlink_to("b"), "fifo": None}[change]
        make() if make else os.mkfifo(path)

    gone, failures = remove_files(root, entries, backup and tmp_path / backup)

    assert gone == ["b"]
    assert "changed after it was listed" in failures["a"]
    assert os.path.lexists(path)


def test_a_link_that_became_a_file_stays(root):
    """It holds somebody's data now."""
    (root / "l").symlink_to("nowhere")
    entries = list(doomed_of(root))
    (root / "l").unlink()
    fill(root, ["l"])

    gone, failures = remove_files(root, entries)

    assert (gone, list(failures)) == ([], ["l"])


@pytest.mark.parametrize("backup", ["", "backup"])
def test_a_symbolic_link_in_a_directorys_place_is_not_followed(root, tmp_path, backup):
    """Outside lies a file that looks exactly like the listed one."""
    fill(root, ["d/e/file"])
    entries = list(doomed_of(root))
    (root / "d").rename(tmp_path / "outside")
    (root / "d").symlink_to(tmp_path / "outside")

    gone, failures = remove_files(root, entries, backup and tmp_path / backup)

    assert gone == []
    assert "symbolic link" in failures["d/e/file"]
    assert "no longer a directory" in failures["d/"]
    assert tree_bytes(tmp_path / "outside") == {"e/file": b"d/e/file"}


@pytest.mark.parametrize("key", ["../outside", "/etc/passwd", "d/../../outside", "..", "a\0b"])
def test_no_key_leads_outside(root, tmp_path, key):
    """Even if a listing gave it."""
    (tmp_path / "outside").write_bytes(b"")
    status = (tmp_path / "outside").stat()

    gone, failures = remove_files(root, [Entry(key, 0, status.st_mtime_ns)])

    assert (gone, list(failures)) == ([], [key])
    assert (tmp_path / "outside").exists()


def test_a_directory_in_which_something_appeared_stays(root):
    """It is told of, and what appeared is untouched."""
    fill(root, ["d/old"])
    entries = list(doomed_of(root))
    fill(root, ["d/new"])

    gone, failures = remove_files(root, entries)

    assert gone == ["d/old"]
    assert "not empty" in failures["d/"]
    assert tree_bytes(root) == {"d/new": b"d/new"}


def test_a_refusal_of_the_file_system_is_told_of(root, monkeypatch):
    """One file that cannot be deleted does not keep the others."""
    fill(root, ["a", "b"])
    entries = list(doomed_of(root))
    refuse_once = count()

    def unlink(name, **options):
        if next(refuse_once) == 0:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        os.unlink(name, **options)

    patch_os(monkeypatch, unlink=unlink)

    gone, failures = remove_files(root, entries)

    assert gone == ["b"]
    assert "cannot delete" in failures["a"]


def patch_os(monkeypatch, **calls):
    """Replace system calls for the module under test alone."""
    fake = type("FakeOs", (), {"__getattr__": lambda _, name: getattr(os, name)})()
    for name, call in calls.items():
        setattr(fake, name, call)
    monkeypatch.setattr(removal, "os", fake)


def other_file_system(monkeypatch):
    """Make a rename out of the root fail as it would between two file systems."""

    def rename(source, target, **options):
        if not source.startswith(".osssync-"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        os.rename(source, target, **options)  # noqa: PTH104 - with descriptors of directories

    patch_os(monkeypatch, rename=rename)


@pytest.fixture(params=["one file system", "two file systems"])
def either(request, monkeypatch):
    if request.param == "two file systems":
        other_file_system(monkeypatch)


def test_a_backup_holds_what_was_deleted(root, tmp_path, either):
    """Under the same path, with time and mode, links as links."""
    fill(root, LOCAL_NAMES)
    (root / "link").symlink_to("no\nwhere")
    (root / "secret").write_bytes(b"s" * 3_000_000)
    (root / "secret").chmod(0o640)
    os.utime(root / "secret", ns=(5, 1_234_567_890_123_456_789))
    before = tree_bytes_without_links(root)
    backup = tmp_path / "kept/here"

    _, failures = remove_files(root, doomed_of(root), backup)

    assert failures == {}
    assert list(root.iterdir()) == []
    assert tree_bytes_without_links(backup) == before
    assert (backup / "link").readlink().name == "no\nwhere"
    status = (backup / "secret").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 1_234_567_890_123_456_789)


def tree_bytes_without_links(path):
    return {
        str(one.relative_to(path)): one.read_bytes()
        for one in path.rglob("*")
        if one.is_file() and not one.is_symlink()
    }


def test_a_backup_never_replaces_an_earlier_one(root, tmp_path, either):
    """The newcomer gets a number."""
    backup = tmp_path / "backup"
    for content in (b"one", b"two", b"three"):
        (root / "a").write_bytes(content)
        assert remove_files(root, doomed_of(root), backup) == (["a"], {})

    assert tree_bytes(backup) == {"a": b"one", "a.~1~": b"two", "a.~2~": b"three"}


def test_a_link_in_the_backup_is_not_followed(root, tmp_path, either):
    """Neither in the place of a directory nor in that of the file."""
    fill(root, ["d/a", "b"])
    backup, outside = tmp_path / "backup", tmp_path / "outside"
    outside.mkdir()
    backup.mkdir()
    (backup / "d").symlink_to(outside)
    (backup / "b").symlink_to(outside / "b")

    gone, failures = remove_files(root, doomed_of(root), backup)

    assert gone == ["b"]
    assert "symbolic link" in failures["d/a"]
    assert list(outside.iterdir()) == []
    assert (backup / "b.~1~").read_bytes() == b"b"
    assert tree_bytes(root) == {"d/a": b"d/a"}


@pytest.mark.parametrize("broken", ["pwrite", "fsync", "rename", "utime", "unlink"])
def test_a_backup_that_fails_leaves_the_file_and_no_half_copy(root, tmp_path, monkeypatch, broken):
    """At any moment of a copy to another file system; a whole copy may stay."""
    fill(root, ["a"])
    calls = []

    def rename(source, target, **options):
        calls.append(source)
        number = errno.EXDEV if source == "a" else errno.EIO
        if source == "a" or broken == "rename":
            raise OSError(number, os.strerror(number))
        os.rename(source, target, **options)  # noqa: PTH104 - with descriptors of directories

    def refuse(name, *_, **__):
        if broken == "unlink" and name != "a":
            return os.unlink(name, *_, **__)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    patch_os(monkeypatch, **{"rename": rename} | ({broken: refuse} if broken != "rename" else {}))

    gone, failures = remove_files(root, doomed_of(root), tmp_path / "backup")

    assert (gone, list(failures)) == ([], ["a"])
    assert (root / "a").read_bytes() == b"a"
    assert tree_bytes(tmp_path / "backup") in ({}, {"a": b"a"})
    assert (tree_bytes(tmp_path / "backup") == {"a": b"a"}) == (broken == "unlink")


def test_a_rename_that_was_done_but_is_said_to_have_failed_loses_nothing(
    root, tmp_path, monkeypatch
):
    """NFS says so when an answer was lost; the only copy is in the backup then."""
    fill(root, ["a"])

    def rename(source, target, **options):
        os.rename(source, target, **options)  # noqa: PTH104 - with descriptors of directories
        raise OSError(errno.EIO, "Input/output error")

    patch_os(monkeypatch, rename=rename)

    gone, failures = remove_files(root, doomed_of(root), tmp_path / "backup")

    assert (gone, list(failures)) == ([], ["a"])
    assert tree_bytes(tmp_path / "backup") == {"a": b"a"}


def test_a_file_that_changes_while_it_is_copied_stays(root, tmp_path, monkeypatch):
    """The writer's bytes are where they were put; the backup gets nothing."""
    fill(root, ["a"])
    entries = list(doomed_of(root))

    def rename(source, target, **options):
        (root / "a").write_bytes(b"written meanwhile")
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    patch_os(monkeypatch, rename=rename)

    _, failures = remove_files(root, entries, tmp_path / "backup")

    assert "changed after it was listed" in failures["a"]
    assert tree_bytes(root) == {"a": b"written meanwhile"}
    assert tree_bytes(tmp_path / "backup") == {}


def descriptors():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_no_descriptor_stays_open(root, tmp_path):
    """After close, whatever happened before it."""
    fill(root, [f"{number}/f" for number in range(100)])
    before = descriptors()

    remove_files(root, doomed_of(root), tmp_path / "backup")
    with pytest.raises(OsssyncError):
        RemovalRoot(str(root), str(tmp_path / "backup/1/f"))

    assert descriptors() == before


# --- OSS ---


@pytest.fixture
def settings():
    return Settings(buckets=("bucket", "attic"))


@pytest.fixture
def connection(emulator):
    options = options_for(emulator)
    with Connection(options.credentials, options.oss, 8, lambda _: None) as opened:
        yield opened


def put(emulator, keys, prefix="p/"):
    for key in keys:
        emulator.objects.put("bucket", prefix + key, key.encode() or b"-")


def listed(connection, prefix="p/"):
    return list(list_tree(connection, connection.bucket("bucket"), prefix))


def object_remover(connection, backup=None, **settings):
    options = TransferSettings(jobs=4, **settings)
    where = (connection.bucket("bucket"), "p/")
    if backup is not None:
        bucket, prefix = backup
        backup = ObjectBackup(connection, where, (connection.bucket(bucket), prefix), options)
    return ObjectRemover(connection, where, options.retries, backup, wait=lambda _: False)


def operations(emulator):
    return [request.operation for request in emulator.requests]


def test_objects_of_hostile_keys_go_and_no_others(emulator, connection):
    """Keys that XML cannot carry too; what has the same name elsewhere stays."""
    put(emulator, HOSTILE)
    put(emulator, HOSTILE, prefix="q/")

    gone, failures = keys_of(object_remover(connection).remove(listed(connection)))

    assert (sorted(gone), failures) == (sorted(HOSTILE), {})
    assert emulator.objects.keys("bucket") == sorted("q/" + key for key in HOSTILE)


def test_2500_objects_take_three_requests(emulator, connection):
    """As few as OSS allows."""
    put(emulator, [f"{number:04}" for number in range(2500)])
    entries = listed(connection)
    emulator.forget_requests()

    gone, failures = keys_of(object_remover(connection).remove(iter(entries)))

    assert (len(gone), failures) == (2500, {})
    assert operations(emulator) == ["DeleteMultipleObjects"] * 3
    assert emulator.objects.keys("bucket") == []


def test_entries_are_taken_a_batch_at_a_time(emulator, connection):
    """So ending them ends the deletes, and a million need no memory."""
    taken = []

    def entries():
        for number in range(2500):
            taken.append(number)
            yield Entry(f"{number}", 0, 0)

    removals = object_remover(connection).remove(entries())
    next(removals)

    assert len(taken) == 1000


@pytest.mark.parametrize("effect", [Effect.THROTTLE, Effect.RESET, Effect.LOSE, Effect.GARBAGE])
def test_a_passing_fault_is_repeated(emulator, connection, effect):
    """Deleting twice is harmless, so a lost answer is asked for again."""
    put(emulator, ["a", "b"])
    entries = listed(connection)
    emulator.faults.inject(effect, operation="DeleteMultipleObjects", times=2)

    assert keys_of(object_remover(connection).remove(entries)) == (["a", "b"], {})


def test_keys_that_oss_leaves_out_of_its_answer_are_asked_for_again(connection, monkeypatch):
    """A silent partial success is none; what stays unconfirmed is a failure with its reason."""
    asked = []

    class Forgetful:
        name = "bucket"

        def delete_many(self, keys):
            asked.append(list(keys))
            left = [key for key in keys if key == "p/c" or (key == "p/b" and len(asked) == 1)]
            return tuple((key, "", "OSS did not confirm the deletion") for key in left)

    remover = ObjectRemover(connection, (Forgetful(), "p/"), 0)

    gone, failures = keys_of(remover.remove([Entry(key, 1, 0) for key in "abc"]))

    assert asked == [["p/a", "p/b", "p/c"], ["p/b", "p/c"]]
    assert (gone, failures) == (
        ["a", "b"],
        {"c": "oss://bucket/p/c: OSS did not confirm the deletion"},
    )


@pytest.fixture
def denying(emulator):
    """Make the bucket's policy deny deletes of some resources."""

    def deny(*resources):
        statement = {
            "Effect": "Deny",
            "Principal": ["*"],
            "Action": ["oss:DeleteObject"],
            "Resource": [f"acs:oss:*:*:bucket/{resource}" for resource in resources],
        }
        document = json.dumps({"Version": "1", "Statement": [statement]})
        emulator.objects.buckets["bucket"].configurations["policy"] = document

    return deny


def test_a_denied_key_does_not_keep_the_others(emulator, connection, denying):
    """OSS refuses all that are asked for with it; it alone stays, and says why."""
    put(emulator, [f"{number:03}" for number in range(1000)])
    entries = listed(connection)
    denying("p/123", "p/7*")
    emulator.forget_requests()

    gone, failures = keys_of(object_remover(connection).remove(entries))

    stay = ["123", *(f"7{number:02}" for number in range(100))]
    assert (len(gone), sorted(failures)) == (899, stay)
    assert emulator.objects.keys("bucket") == ["p/" + key for key in stay]
    assert "AccessDenied" in failures["123"]
    assert len(operations(emulator)) < 400


def test_every_success_gives_new_patience(emulator, connection, denying, monkeypatch):
    """Ten splits find one key among a thousand; many such keys are found one after the other."""
    monkeypatch.setattr(remove, "MOST_SPLITS", 12)
    put(emulator, [f"{number:03}" for number in range(1000)])
    entries = listed(connection)
    denying("p/123", "p/502", "p/877")

    _, failures = keys_of(object_remover(connection).remove(entries))

    assert sorted(failures) == ["123", "502", "877"]


def test_a_run_that_may_delete_nothing_learns_it_cheaply(
    emulator, connection, denying, monkeypatch
):
    """Not by a request a key; every key is told of."""
    monkeypatch.setattr(remove, "MOST_SPLITS", 64)
    denying("*")
    entries = [Entry(f"{number:05}", 0, 0) for number in range(4000)]

    removals = list(object_remover(connection).remove(entries))

    assert [removal.entry for removal in removals] == entries
    assert {removal.failure.exit_code for removal in removals} == {7}
    assert len(emulator.requests) <= 4 + 2 * 64


@pytest.mark.parametrize("bucket", ["bucket", "gone"])
def test_an_end_is_raised_after_all_that_was_begun_is_told_of(emulator, connection, bucket):
    """No connection or no bucket: the batch is failed, the next one not begun."""
    if bucket == "bucket":
        emulator.faults.inject(Effect.REFUSE, operation="DeleteMultipleObjects")
    remover = ObjectRemover(connection, (connection.bucket(bucket), ""), 1, wait=lambda _: False)
    entries = [Entry(f"{number:04}", 0, 0) for number in range(1500)]

    removals, end = until_end(remover.remove(entries))

    assert type(end) is (NetworkError if bucket == "bucket" else NotFoundError)
    assert [removal.entry for removal in removals] == entries[:1000]
    assert {removal.reason for removal in removals} == {str(end)}


def until_end(removals):
    """What was told of before an error, and the error."""
    told = []
    try:
        told.extend(removals)
    except OsssyncError as error:
        return told, error
    return told, None


def test_a_versioned_bucket_keeps_its_versions(emulator, connection):
    """A delete makes a marker there, with or without a backup."""
    emulator.objects.buckets["bucket"].versioning = "Enabled"
    put(emulator, ["a", "a", "b"])

    gone, failures = keys_of(
        object_remover(connection, ("bucket", "attic")).remove(listed(connection))
    )

    versions = emulator.objects.buckets["bucket"].versions
    assert (gone, failures) == (["a", "b"], {})
    assert [version.is_marker for version in versions["p/a"]] == [True, False, False]
    assert emulator.objects.keys("bucket") == ["attic/a", "attic/b"]


# --- backups on OSS ---


def test_a_backup_on_oss_holds_what_was_deleted(emulator, connection):
    """In another bucket, under the same relative key, markers and hostile names too."""
    put(emulator, [*HOSTILE, "folder/"])

    remover = object_remover(connection, ("attic", "of/today"))
    _, failures = keys_of(remover.remove(listed(connection)))

    assert failures == {}
    assert emulator.objects.keys("bucket") == []
    kept = emulator.objects.keys("attic")
    assert kept == sorted(f"of/today/{key}" for key in [*HOSTILE, "folder/"])
    assert all(
        emulator.objects.get("attic", key) == key.removeprefix("of/today/").encode() for key in kept
    )


def test_only_what_was_copied_is_deleted(emulator, connection):
    """An object overwritten since the listing, or archived, stays; the others go."""
    put(emulator, ["a", "b", "c"])
    entries = listed(connection)
    emulator.objects.put("bucket", "p/b", b"overwritten")

    gone, failures = keys_of(object_remover(connection, ("attic", "")).remove(entries))

    assert (gone, list(failures)) == (["a", "c"], ["b"])
    assert "overwritten" in failures["b"]
    assert emulator.objects.get("bucket", "p/b") == b"overwritten"
    assert emulator.objects.keys("attic") == ["a", "c"]


def test_an_object_in_the_backup_is_never_overwritten(emulator, connection):
    """Another one of the name gets a number; the same bytes need no second copy."""
    for content in (b"one", b"two", b"two"):
        emulator.objects.put("bucket", "p/a", content)
        remover = object_remover(connection, ("attic", ""))
        assert keys_of(remover.remove(listed(connection)))[0] == ["a"]

    kept = {key: emulator.objects.get("attic", key) for key in emulator.objects.keys("attic")}
    assert kept == {"a": b"one", "a.~1~": b"two"}


def test_a_copy_whose_answer_was_lost_is_found_again(emulator, connection):
    """Its repeat is told that the name is taken, by itself."""
    put(emulator, ["a"])
    entries = listed(connection)
    emulator.faults.inject(Effect.LOSE, operation="CopyObject", times=1)

    assert keys_of(object_remover(connection, ("attic", "")).remove(entries)) == (["a"], {})
    assert emulator.objects.keys("attic") == ["a"]


def test_a_large_object_is_backed_up_by_parts(emulator, connection, monkeypatch):
    """CopyObject takes up to 1 GiB only; here the limit is lowered."""
    monkeypatch.setattr(split, "COPY_WHOLE_BYTES", 200 << 10)
    content = os.urandom(250 << 10)
    for _ in range(2):
        emulator.objects.put("bucket", "p/large", content)
        content = content[::-1]
        remover = object_remover(connection, ("attic", ""), part_size=100 << 10)
        assert keys_of(remover.remove(listed(connection))) == (["large"], {})

    assert operations(emulator).count("UploadPartCopy") == 6
    assert emulator.objects.get("attic", "large") == content
    assert emulator.objects.get("attic", "large.~1~") == content[::-1]
    assert emulator.objects.buckets["attic"].uploads == {}


def test_a_backup_that_is_refused_deletes_nothing(emulator, connection):
    """No such bucket to copy to: every object stays, and a full batch of it ends the deletes."""
    entries = [Entry(f"{number:04}", 0, 0, etag='"x"') for number in range(1001)]
    remover = object_remover(connection, ("missing", ""))

    removals, end = until_end(remover.remove(entries))

    assert "none of 1000" in str(end)
    assert len(removals) == 1000
    assert all("NoSuchBucket" in removal.reason for removal in removals)
    assert "DeleteMultipleObjects" not in operations(emulator)


# --- where a backup may be ---


@pytest.mark.parametrize(
    ("source", "destination", "backup"),
    [
        ("oss://bucket/a", "dst", "oss://bucket/b"),
        ("src", "oss://bucket/a", "kept"),
        ("src", "oss://bucket/a", "oss://bucket/a/kept"),
        ("src", "oss://bucket/a/", "oss://bucket"),
        ("src", "oss://bucket", "oss://bucket/kept"),
        ("oss://bucket/a", "oss://bucket/b", "oss://bucket/a"),
        ("oss://bucket/a", "dst", "dst/kept"),
        ("oss://bucket/a", "dst", "dst/../dst"),
        ("oss://bucket/a", "dst/in", "dst"),
        ("oss://bucket/a", "dst", "link/kept"),
    ],
)
def test_a_backup_that_overlaps_the_trees_is_refused(
    source, destination, backup, tmp_path, monkeypatch
):
    """Or one that is not where the destination is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("dst")

    with pytest.raises(UsageError, match="--backup-dir"):
        check_backup(parse_address(source), parse_address(destination), parse_address(backup))


@pytest.mark.parametrize(
    ("source", "destination", "backup"),
    [
        ("oss://bucket/a", "dst", "dst-kept"),
        ("src", "oss://bucket/a", "oss://bucket/ab"),
        ("src", "oss://bucket/a", "oss://other/a"),
        ("oss://bucket/a", "oss://bucket/b", "oss://bucket/c"),
    ],
)
def test_a_backup_beside_the_trees_is_fine(source, destination, backup, tmp_path, monkeypatch):
    """Names that only begin alike do not contain each other."""
    monkeypatch.chdir(tmp_path)

    check_backup(parse_address(source), parse_address(destination), parse_address(backup))


def test_a_backup_address_is_a_prefix_with_or_without_its_slash(emulator, connection):
    """As for every other tree."""
    put(emulator, ["a"])
    address = parse_address("oss://attic/x/")
    assert isinstance(address, OssAddress)

    list(object_remover(connection, (address.bucket, address.key)).remove(listed(connection)))

    assert emulator.objects.keys("attic") == ["x/a"]
