"""Resume is proven, not believed: whatever happened meanwhile, the right bytes arrive or none.

Each test does what a run does, is cut off, lets something happen, and does it again.
"""

import os
import time
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from msgspec.structs import replace as changed

from osssync.emulator.faults import Effect
from osssync.local.files import DestinationRoot
from osssync.local.part_names import PartNames
from osssync.local.source import SourceFile
from osssync.model import ByteRange, Direction, Entry, Step, Unfinished
from osssync.oss.connection import Connection
from osssync.planning.assembly import Assembly
from osssync.planning.split import clean_up_task, first_task
from osssync.transfer.copy import Copy
from osssync.transfer.download import Download
from osssync.transfer.upload import Upload
from osssync.transfer.worker import Worker
from tests.conftest import options_for

PART = 100 << 10
SIZE = 4 * PART + 17  # five parts
DATA = os.urandom(SIZE)
OTHER = os.urandom(SIZE)


@dataclass
class Side:
    """One direction against one emulator: how it begins, and how what came of it is seen."""

    emulator: object
    worker: Worker
    entry: Entry
    direction: Direction
    transfer: object
    target: str = "dir/target"

    def run(self, unfinished=None, parts=None):
        """A run of this object, cut off after some parts; its outcome and what it leaves."""
        task = first_task(1, self.entry, self.target, self.direction, self.transfer, unfinished)
        if unfinished is None:
            task = changed(task, step=Step.START)
        assembly = Assembly(task, PART)
        left = unfinished
        while (task := assembly.ready(1)) is not None:
            outcome = self.worker.run(task)
            assembly.feed(outcome)
            if outcome.pinned is not None:
                left = Unfinished(self.target, self.entry, outcome.pinned, PART, outcome.receipts)
            if outcome.receipt is not None:
                left = changed(left, receipts=(*left.receipts, outcome.receipt))
            if parts is not None and len(left.receipts) >= parts and task.step is Step.PART:
                return assembly, left
        return assembly, left

    def interrupted(self, parts=3):
        """What a run leaves that is killed after some parts."""
        _, left = self.run(parts=parts)
        self.emulator.forget_requests()
        return left

    def resume(self, unfinished):
        """The second run, to its end."""
        assembly, _ = self.run(unfinished)
        assert assembly.outcome is not None
        return assembly

    def operations(self):
        """How often each operation was asked for since the interruption."""
        return Counter(request.operation for request in self.emulator.requests)

    def aborted(self, unfinished):
        """Whether the upload was put away, so that nothing of it is kept and billed."""
        return [unfinished.pinned.transfer_id] == [
            request.query["uploadId"]
            for request in self.emulator.requests
            if request.operation == "AbortMultipartUpload"
        ]


@pytest.fixture
def connected(emulator):
    options = options_for(emulator, jobs=2, part_size=PART, bigfile_threshold=PART, retries=3)
    with Connection(options.credentials, options.oss, 4, warn=[].append) as connection:
        yield connection, options.transfer


def worker_of(connection, steps, entry):
    return Worker(steps, lambda _: entry, connection, retries=1)


# --- downloads ---


@pytest.fixture
def down(emulator, connected, tmp_path):
    connection, transfer = connected
    etag = emulator.objects.put("bucket", "a/source", DATA)
    entry = Entry("source", SIZE, 1_700_000_000 * 10**9, etag=etag)
    with DestinationRoot(tmp_path / "out", PartNames("job")) as root:
        steps = Download(connection.bucket("bucket"), "a/", root)
        worker = worker_of(connection, steps, entry)
        yield Side(emulator, worker, entry, Direction.DOWNLOAD, transfer)


@pytest.fixture
def place(tmp_path):
    """The directory that the file is to appear in."""
    return tmp_path / "out" / "dir"


def part_file(place):
    (path,) = place.glob(".osssync-*.part")
    return path


def check_arrived(place, data=DATA):
    """The right bytes under the right name, and nothing beside them."""
    assert ["target"] == [path.name for path in place.iterdir()]
    assert data == (place / "target").read_bytes()


def test_a_download_goes_on_where_it_was_cut_off(down, place):
    """Three of five parts are there: two requests more, and the time is the source's."""
    left = down.interrupted(parts=3)

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {"GetObject": 2} == down.operations()
    assert PART + 17 == assembly.outcome.moved_bytes
    check_arrived(place)
    assert down.entry.mtime_ns == (place / "target").stat().st_mtime_ns


def test_a_download_whose_parts_are_all_there_asks_for_nothing(down, place):
    """Killed just before the rename."""
    left = down.interrupted(parts=5)

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {} == down.operations()
    check_arrived(place)


@pytest.mark.parametrize("offset", [0, PART - 1, PART, 2 * PART + 5])
def test_a_part_that_is_not_what_it_was_is_fetched_again(down, place, offset):
    """One bit on the disk; only its own part is repeated."""
    left = down.interrupted(parts=3)
    with part_file(place).open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {"GetObject": 3} == down.operations()
    check_arrived(place)


def test_after_a_power_cut_what_the_disk_lost_is_fetched_again(down, place):
    """The journal says it is there, and the file holds zeros."""
    left = down.interrupted(parts=5)
    part_file(place).write_bytes(bytes(SIZE))

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {"GetObject": 5} == down.operations()
    check_arrived(place)


@pytest.mark.parametrize(
    "what", ["missing", "short", "long", "link", "hard link", "fifo", "no dir"]
)
def test_what_is_no_part_file_any_more_is_replaced(down, place, tmp_path, what):
    """Everything is fetched anew, and nothing outside is written to."""
    left = down.interrupted(parts=3)
    path, precious = part_file(place), tmp_path / "precious"
    precious.write_bytes(DATA)
    match what:
        case "short":
            os.truncate(path, SIZE - 1)
        case "long":
            os.truncate(path, SIZE + 1)
        case "hard link":
            path.unlink()
            os.link(precious, path)
        case _:
            path.unlink()
    if what == "link":
        path.symlink_to(precious)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "no dir":
        place.rmdir()

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {"GetObject": 5} == down.operations()
    check_arrived(place)
    assert DATA == precious.read_bytes()


def test_a_part_file_that_cannot_be_read_is_replaced(down, place, monkeypatch):
    """A bad sector in what was left must not stop the object for ever."""
    left = down.interrupted(parts=3)
    real = os.preadv

    def bad_sector(*arguments):
        monkeypatch.setattr(os, "preadv", real)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", bad_sector)

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {"GetObject": 5} == down.operations()
    check_arrived(place)


def test_another_version_of_the_object_begins_anew(down, emulator, place):
    """Not one byte of the old one is in the new file, although the size is the same."""
    left = down.interrupted(parts=3)
    etag = emulator.objects.put("bucket", "a/source", OTHER)
    down.entry = changed(down.entry, etag=etag)

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {"GetObject": 5} == down.operations()
    check_arrived(place, OTHER)


def test_what_cannot_be_gone_on_with_is_gone_before_anything_else(down, place):
    """RESUME itself puts it away: what follows may be another kind of task, or nothing."""
    left = down.interrupted(parts=3)
    entry = changed(down.entry, etag='"another"')
    task = first_task(1, entry, down.target, down.direction, down.transfer, left)

    outcome = down.worker.run(task)

    assert (None, None, ()) == (outcome.failure, outcome.pinned, outcome.receipts)
    assert [] == list(place.iterdir())


def test_a_version_that_changes_after_the_listing_is_noticed(down, emulator, place):
    """The remaining parts ask for the pinned version and are refused: nothing appears."""
    left = down.interrupted(parts=3)
    emulator.objects.put("bucket", "a/source", OTHER)

    assembly = down.resume(left)

    assert "SourceChangedError" == assembly.outcome.failure.error
    assert [] == list(place.iterdir())


def test_another_part_size_uses_the_file_and_not_its_parts(down, place):
    """Parts cut otherwise do not fit together."""
    left = changed(down.interrupted(parts=3), part_size=2 * PART)

    assembly = down.resume(left)

    assert assembly.outcome.failure is None
    assert {"GetObject": 5} == down.operations()
    check_arrived(place)


def test_a_receipt_of_lies_is_worth_nothing(down, place):
    """The journal claims parts that never came: the bytes on the disk say otherwise."""
    left = down.interrupted(parts=1)
    (one,) = left.receipts
    lies = tuple(
        changed(one, number=number, byte_range=changed(one.byte_range, start=start, stop=stop))
        for number, start, stop in ((2, PART, 2 * PART), (3, 2 * PART, 3 * PART))
    )

    assembly = down.resume(changed(left, receipts=(one, *lies)))

    assert assembly.outcome.failure is None
    assert {"GetObject": 4} == down.operations()
    check_arrived(place)


def test_a_damaged_name_of_a_part_file_is_not_followed(down, place):
    """The journal says "../precious"; it is left alone, and the object begins anew."""
    left = down.interrupted(parts=3)
    (place.parent / "precious").write_bytes(b"precious")

    bad = changed(left, pinned=changed(left.pinned, transfer_id="../precious"))
    assembly = down.resume(bad)

    assert assembly.outcome.failure is None
    assert b"precious" == (place.parent / "precious").read_bytes()
    check_arrived(place)


def test_a_killed_download_without_a_record_leaves_nothing_for_ever(down, place):
    """The next run makes its part file in the same place."""
    down.interrupted(parts=3)

    assembly, _ = down.run()

    assert assembly.outcome.failure is None
    check_arrived(place)


def test_a_download_that_is_not_wanted_any_more_is_removed(down, place):
    """Its source vanished: the part file goes."""
    left = down.interrupted(parts=3)

    outcome = down.worker.run(clean_up_task(2, left))

    assert outcome.failure is None
    assert [] == list(place.iterdir())


# --- uploads ---


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(DATA)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture
def up(emulator, connected, source):
    connection, transfer = connected
    status = source.stat()
    entry = Entry("source", SIZE, status.st_mtime_ns)
    bucket, headers = connection.bucket("bucket"), {"x-oss-meta-a": "1"}
    steps = Upload(str(source.parent), bucket, "b/", headers=headers)
    worker = worker_of(connection, steps, entry)
    return Side(emulator, worker, entry, Direction.UPLOAD, transfer)


def uploaded(emulator):
    return emulator.objects.get("bucket", "b/dir/target")


def test_an_upload_goes_on_where_it_was_cut_off(up, emulator):
    """One ListParts, the two missing parts, one Complete; nothing is sent twice."""
    left = up.interrupted(parts=3)

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert {"ListParts": 1, "UploadPart": 2, "CompleteMultipartUpload": 1} == up.operations()
    assert DATA == uploaded(emulator)
    assert {} == emulator.objects.bucket("bucket").uploads


def test_every_page_of_parts_is_read(up, emulator, monkeypatch):
    """Five parts on three pages."""
    left = up.interrupted(parts=5)
    monkeypatch.setattr("osssync.oss.multipart._PAGE", "2")

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert {"ListParts": 3, "CompleteMultipartUpload": 1} == up.operations()
    assert DATA == uploaded(emulator)


@pytest.mark.parametrize("edit", ["bytes", "time", "size", "inode", "hidden", "gone"])
def test_a_file_that_is_not_the_same_begins_anew(up, emulator, source, edit):
    """The old upload is aborted first; parts of two versions never meet in one object."""
    left = up.interrupted(parts=3)
    expected = OTHER
    match edit:
        case "bytes":
            source.write_bytes(OTHER)
        case "time":
            os.utime(source, (1_600_000_000, 1_600_000_000))
            expected = DATA
        case "size":
            expected = OTHER + OTHER
            source.write_bytes(expected)
        case "inode":
            other = source.with_name("other")
            other.write_bytes(OTHER)
            os.utime(other, (1_700_000_000, 1_700_000_000))
            other.replace(source)
        case "hidden":  # same file, same size, and the time put back
            with source.open("r+b") as file:
                file.write(OTHER)
            os.utime(source, (1_700_000_000, 1_700_000_000))
        case "gone":
            source.unlink()
    if source.exists():
        status = source.stat()
        up.entry = changed(up.entry, size=status.st_size, mtime_ns=status.st_mtime_ns)

    assembly = up.resume(left)

    assert up.aborted(left)
    if edit == "gone":
        assert "SourceChangedError" == assembly.outcome.failure.error
    else:
        assert assembly.outcome.failure is None
        assert expected == uploaded(emulator)


def test_a_record_without_a_ctime_begins_anew(up, emulator):
    """An older osssync wrote none, so that an edit since then may be hidden."""
    left = up.interrupted(parts=3)
    left = changed(left, pinned=changed(left.pinned, ctime_ns=0))

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert up.aborted(left)
    assert DATA == uploaded(emulator)


@pytest.mark.parametrize("step", [Step.WHOLE, Step.PART])
def test_an_edit_that_is_hidden_is_noticed_while_bytes_are_sent(up, source, monkeypatch, step):
    """Same size, and the time put back before the last look: the object begins again."""
    read_into = SourceFile.read_into

    def edited(self, what, offset):
        monkeypatch.undo()
        read_into(self, what, offset)
        with source.open("r+b") as file:
            file.write(OTHER)
        os.utime(source, (1_700_000_000, 1_700_000_000))

    task = first_task(1, up.entry, up.target, up.direction, up.transfer)
    if step is Step.PART:
        pinned = up.worker.run(task).pinned
        task = changed(task, pinned=pinned, part_number=1, byte_range=ByteRange(0, PART))
    monkeypatch.setattr(SourceFile, "read_into", edited)

    outcome = up.worker.run(changed(task, step=step))

    assert "SourceChangedError" == outcome.failure.error
    assert up.entry == outcome.restart


def test_other_headers_begin_anew(up, emulator, connected, source):
    """An upload keeps the metadata it was initiated with: new flags would be ignored."""
    left = up.interrupted(parts=3)
    bucket, headers = connected[0].bucket("bucket"), {"x-oss-meta-a": "2"}
    steps = Upload(str(source.parent), bucket, "b/", headers=headers)
    up.worker = worker_of(connected[0], steps, up.entry)

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert up.aborted(left)
    assert (("x-oss-meta-a", "2"),) == emulator.objects.version("bucket", "b/dir/target").metadata


@pytest.mark.parametrize("what", ["lost", "size", "etag", "crc"])
def test_a_part_that_oss_does_not_confirm_is_sent_again(up, emulator, what):
    """Number, size and ETag must be those of our record."""
    left = up.interrupted(parts=3)
    parts = emulator.objects.bucket("bucket").uploads[left.pinned.transfer_id].parts
    if what == "lost":
        del parts[2]
    elif what == "etag":
        parts[2] = replace(parts[2], etag="0" * 32)
    elif what == "crc":
        parts[2] = replace(parts[2], crc64=parts[2].crc64 ^ 1)
    else:
        parts[2] = replace(parts[2], content=parts[2].content.slice(0, 9))

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert 3 == up.operations()["UploadPart"]
    assert DATA == uploaded(emulator)


def test_parts_that_we_have_no_record_of_do_not_count(up, emulator, connected):
    """Somebody else, or a run that was killed before it could write: they are replaced."""
    left = up.interrupted(parts=2)
    bucket = connected[0].bucket("bucket")
    for number in (3, 4, 5, 6):
        bucket.upload_part("b/dir/target", left.pinned.transfer_id, number, OTHER[:PART], None)
    emulator.forget_requests()

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert 3 == up.operations()["UploadPart"]
    assert DATA == uploaded(emulator)


def test_an_upload_that_was_aborted_begins_anew(up, emulator):
    """A lifecycle rule, or somebody who cleaned up."""
    left = up.interrupted(parts=5)
    emulator.objects.bucket("bucket").uploads.clear()

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert 5 == up.operations()["UploadPart"]
    assert DATA == uploaded(emulator)


def test_a_lost_answer_to_complete_is_found_out_later(up, emulator, connected):
    """The object is there already: it is recognised by its CRC, and not sent again."""
    left = up.interrupted(parts=5)
    parts = [(one.number, one.etag) for one in left.receipts]
    connected[0].bucket("bucket").complete("b/dir/target", left.pinned.transfer_id, parts)
    emulator.forget_requests()

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert 0 == up.operations()["UploadPart"]
    assert DATA == uploaded(emulator)


def test_an_answer_lost_while_resuming_is_recognised_as_well(up, emulator):
    """The Complete of the second run is done, and its answer lost on the way."""
    left = up.interrupted(parts=5)
    emulator.faults.inject(Effect.LOSE, operation="CompleteMultipartUpload", times=1)

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert 0 == up.operations()["UploadPart"]
    assert DATA == uploaded(emulator)


def test_an_object_of_somebody_else_is_not_taken_for_ours(up, emulator):
    """The upload is gone and an object of the same size is there, but its CRC is another."""
    left = up.interrupted(parts=5)
    emulator.objects.bucket("bucket").uploads.clear()
    emulator.objects.put("bucket", "b/dir/target", OTHER)

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert 5 == up.operations()["UploadPart"]
    assert DATA == uploaded(emulator)


def test_an_object_is_not_ours_while_parts_of_it_are_missing(up, emulator):
    """Even the same bytes prove nothing about an upload that was never completed."""
    left = up.interrupted(parts=3)
    emulator.objects.bucket("bucket").uploads.clear()
    emulator.objects.put("bucket", "b/dir/target", DATA[: 3 * PART])

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert DATA == uploaded(emulator)


def test_a_role_that_may_not_list_parts_sends_them_again(up, emulator):
    """Into the same upload, so that nothing is left of it."""
    left = up.interrupted(parts=3)
    emulator.faults.inject(Effect.ERROR, operation="ListParts", status=403, code="AccessDenied")

    assembly = up.resume(left)

    assert assembly.outcome.failure is None
    assert 5 == up.operations()["UploadPart"]
    assert DATA == uploaded(emulator)
    assert {} == emulator.objects.bucket("bucket").uploads


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(500, "InternalError", "ServerFaultError"), (404, "NoSuchBucket", "NotFoundError")],
)
def test_if_oss_cannot_be_asked_nothing_is_thrown_away(up, emulator, status, code, error):
    """The object fails in this run, and all of it is there for the next."""
    left = up.interrupted(parts=3)
    emulator.faults.inject(Effect.ERROR, operation="ListParts", status=status, code=code)

    assembly = up.resume(left)

    assert error == assembly.outcome.failure.error
    assert assembly.left_behind
    assert left.pinned.transfer_id in emulator.objects.bucket("bucket").uploads


def test_an_upload_that_is_not_wanted_any_more_is_aborted(up):
    """Its file vanished: no part is stored, and billed, any longer."""
    left = up.interrupted(parts=3)

    outcome = up.worker.run(clean_up_task(2, left))

    assert outcome.failure is None
    assert up.aborted(left)


# --- copies ---


@pytest.fixture
def inside(emulator, connected):
    connection, transfer = connected
    etag = emulator.objects.put("bucket", "a/source", DATA)
    bucket = connection.bucket("bucket")
    modified_ns = bucket.head("a/source").last_modified_ns
    entry = Entry("source", SIZE, modified_ns, etag=etag)
    worker = worker_of(connection, Copy(bucket, "a/", bucket, "b/"), entry)
    return Side(emulator, worker, entry, Direction.COPY, changed(transfer, part_size=PART))


def test_a_copy_goes_on_where_it_was_cut_off(inside, emulator):
    """Copied parts have no CRC; OSS's listing is what they are compared with."""
    left = inside.interrupted(parts=3)

    assembly = inside.resume(left)

    assert assembly.outcome.failure is None
    assert 1 == inside.operations()["ListParts"]
    assert 2 == inside.operations()["UploadPartCopy"]
    assert DATA == uploaded(emulator)


@pytest.mark.parametrize("change", ["bytes", "metadata"])
def test_a_source_that_changed_is_copied_anew(inside, emulator, change):
    """New metadata shows in the time alone, and part copies would not carry it."""
    left = inside.interrupted(parts=3)
    data = OTHER if change == "bytes" else DATA
    later_s = time.time() + 5
    etag = emulator.objects.put("bucket", "a/source", data, modified_s=later_s)
    inside.entry = changed(inside.entry, etag=etag, mtime_ns=int(later_s) * 10**9)

    assembly = inside.resume(left)

    assert assembly.outcome.failure is None
    assert 5 == inside.operations()["UploadPartCopy"]
    assert data == uploaded(emulator)
    assert inside.aborted(left)


def test_a_copied_part_that_is_not_there_is_copied_again(inside, emulator):
    """Only our own records count, and only those that OSS confirms."""
    left = inside.interrupted(parts=3)
    del emulator.objects.bucket("bucket").uploads[left.pinned.transfer_id].parts[1]

    assembly = inside.resume(left)

    assert assembly.outcome.failure is None
    assert 3 == inside.operations()["UploadPartCopy"]
    assert DATA == uploaded(emulator)


def test_a_copy_that_was_completed_unheard_is_recognised(inside, emulator, connected):
    """Its CRC is the source's."""
    left = inside.interrupted(parts=5)
    parts = [(one.number, one.etag) for one in left.receipts]
    connected[0].bucket("bucket").complete("b/dir/target", left.pinned.transfer_id, parts)
    emulator.forget_requests()

    assembly = inside.resume(left)

    assert assembly.outcome.failure is None
    assert 0 == inside.operations()["UploadPartCopy"]
    assert DATA == uploaded(emulator)


def test_a_copy_that_was_aborted_begins_anew(inside, emulator):
    """Nothing is there to go on with."""
    left = inside.interrupted(parts=5)
    emulator.objects.bucket("bucket").uploads.clear()

    assembly = inside.resume(left)

    assert assembly.outcome.failure is None
    assert 5 == inside.operations()["UploadPartCopy"]
    assert DATA == uploaded(emulator)


@pytest.mark.parametrize("missing", [1, 3, 5])
def test_a_copy_is_not_complete_while_parts_of_it_are_missing(inside, emulator, missing):
    """The same object may stand there from before; the upload that is gone did not make it."""
    left = inside.interrupted(parts=5)
    kept = tuple(one for one in left.receipts if one.number != missing)
    emulator.objects.bucket("bucket").uploads.clear()
    emulator.objects.put("bucket", "b/dir/target", DATA)

    assembly = inside.resume(changed(left, receipts=kept))

    assert assembly.outcome.failure is None
    assert 5 == inside.operations()["UploadPartCopy"]
    assert DATA == uploaded(emulator)
