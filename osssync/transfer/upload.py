"""Disk → OSS. A file that changes while it is read never becomes an object unnoticed.

small:  open, fstat ─▶ PUT, CRC on the way ─▶ compare with OSS's CRC, fstat again
large:  START initiate ─▶ PART upload part, compare CRC … ─▶ FINISH fstat, complete, compare
again:  RESUME fstat, list parts ─▶ PART what is missing … ─▶ FINISH
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct, field

from osssync.checksums import crc64
from osssync.errors import InterruptedRunError, NotFoundError, OsssyncError, SourceChangedError
from osssync.local.source import SourceFile
from osssync.model import ByteRange, Entry, EntryKind, Outcome, PartReceipt, Pinned, Task
from osssync.oss.bucket import Bucket, Line, PutResult
from osssync.transfer.resume import confirmed_parts, hash_of_headers
from osssync.transfer.steps import (
    BRIEF_BYTES,
    NO_CRC_NOTE,
    Asked,
    check_stored,
    compare_crc64,
    of_complete,
    parts_crc64,
    pinned_of,
)

PROMPT_BYTES = 1 << 14
"""Up to here a request is taken by the socket at once, even of a new connection far away."""


def dont_wait(_seconds: float) -> None:
    """For those to whom times do not matter."""


class RangeBody:
    """The bytes of a range of an open file as a request body, with their CRC-64 so far."""

    def __init__(self, file: SourceFile, byte_range: ByteRange, closed: threading.Event) -> None:
        self._file = file
        self._closed = closed
        self._start = self._offset = byte_range.start
        self.len = len(byte_range)
        """Bytes in all; what the session sends as Content-Length."""
        self.crc64 = 0

    def rewind(self) -> None:
        """Begin again."""
        self._offset, self.crc64 = self._start, 0

    def read_into(self, view: memoryview) -> None:
        """Fill ``view`` with the next bytes.

        Raises:
            SourceChangedError: the file is shorter.
            InterruptedRunError: the run is over, and this request was left behind by it.
        """
        if self._closed.is_set():
            raise InterruptedRunError("not sent to its end, because the run is over")
        self._file.read_into(view, self._offset)
        self._offset += len(view)
        self.crc64 = crc64(view, self.crc64)


class Upload(Struct, frozen=True):
    """The steps of an upload from below ``root`` to below ``prefix`` of ``bucket``."""

    root: str
    bucket: Bucket
    prefix: str
    follow_symlinks: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: Callable[[float], object] = dont_wait
    _closed: threading.Event = field(default_factory=threading.Event)

    def is_brief(self, entry: Entry) -> bool:
        """Small ones: their bytes take no time."""
        return entry.size <= BRIEF_BYTES

    def line(self) -> Line | None:
        """To the destination."""
        return self.bucket.line()

    def ask(self, tasks: Sequence[Task], lines: Sequence[Line]) -> Sequence[Asked | None]:
        """Send the PUTs of files so small that the socket takes them at once."""
        asked = [self._prepared(task, line) for task, line in zip(tasks, lines, strict=True)]
        bodies = [
            None if one is None else (self.prefix + one.task.target, one.data) for one in asked
        ]
        sent: Sequence[bool] = [False] * len(asked)
        try:
            sent = self.bucket.ask_put(lines, bodies, headers=self.headers)
        finally:
            for place, one in enumerate(asked):
                if one is not None and not sent[place]:
                    one.close()
                    asked[place] = None
        return asked

    def take(self, flown: Sequence[Asked]) -> Sequence[Outcome | None]:
        """See that OSS has what was sent, and that these are still the files."""
        outcomes: list[Outcome | None] = []
        for asked in flown:
            outcome = None
            with suppress(OsssyncError):  # ``whole`` meets it again, and tells
                outcome = self._taken(asked)
            outcomes.append(outcome)
        return outcomes

    def whole(self, task: Task, asked: Asked | None = None) -> Outcome:
        """One PUT."""
        key = self.prefix + task.target
        if asked is not None and asked.file is not None:
            with asked.file as file:
                return self._put(task, file, asked.data, asked.line)
        if task.entry.kind is EntryKind.DIRECTORY:
            self.bucket.put(key, b"", headers=self.headers, crc64=0)
            return Outcome(task)
        with self._open(task) as file:
            self._outlive_second_of(file.mtime_ns)
            size = file.size
            if size <= BRIEF_BYTES:
                return self._put(task, file, file.read_at(size, 0))
            body = RangeBody(file, ByteRange(0, size), self._closed)
            put = self.bucket.put(key, body, headers=self.headers, crc64=None)
            note = compare_crc64(self._address(key), body.crc64, put.crc64)
            self._check(task, file, put)
        return Outcome(task, moved_bytes=size, note=note)

    def start(self, task: Task) -> Outcome:
        """Pin the file and initiate the multipart upload."""
        with self._open(task) as file:
            if file.size != task.entry.size:  # the parts were planned for another size
                raise _changed(task)
            upload_id = self.bucket.initiate(self.prefix + task.target, self.headers)
            pinned = Pinned(
                upload_id,
                file.size,
                mtime_ns=file.mtime_ns,
                inode=file.inode,
                headers_hash=hash_of_headers(self.headers),
                ctime_ns=file.ctime_ns,
            )
        return Outcome(task, pinned=pinned)

    def resume(self, task: Task) -> Outcome:
        """Ask OSS which of our parts it has, if the file is still the one they came from."""
        pinned, key = pinned_of(task), self.prefix + task.target
        if not self._is_as_begun(task):
            self.bucket.abort(key, pinned.transfer_id)
            return Outcome(task)
        receipts = confirmed_parts(self.bucket, key, pinned, task.receipts)
        if receipts is None:
            if not self._is_complete(task):
                return Outcome(task)
            # FINISH will be told that there is no such upload, and find the object once more.
            receipts = task.receipts
        return Outcome(task, pinned=pinned, receipts=receipts)

    def part(self, task: Task) -> Outcome:
        """One UploadPart, its CRC compared at once."""
        pinned = pinned_of(task)
        key = self.prefix + task.target
        with self._open_pinned(task) as file:
            body = RangeBody(file, task.byte_range, self._closed)
            put = self.bucket.upload_part(
                key, pinned.transfer_id, task.part_number, body, crc64=None
            )
            if not file.unchanged():
                raise _changed(task)
        what = f"part {task.part_number} of oss://{self.bucket.name}/{key}"
        check_stored(what, put.etag)
        compare_crc64(what, body.crc64, put.crc64)
        receipt = PartReceipt(task.part_number, task.byte_range, body.crc64, put.etag)
        return Outcome(task, receipt=receipt, moved_bytes=len(task.byte_range))

    def finish(self, task: Task) -> Outcome:
        """Complete the upload and compare the whole object's CRC."""
        key = self.prefix + task.target
        self._outlive_second_of(pinned_of(task).mtime_ns)
        self._open_pinned(task).close()
        crc = parts_crc64(task.receipts)
        parts = [(receipt.number, receipt.etag) for receipt in task.receipts]
        try:
            headers = of_complete(self.headers)
            done = self.bucket.complete(key, pinned_of(task).transfer_id, parts, headers)
            server_crc64 = done.crc64
        except NotFoundError as error:
            # OSS finishes a Complete whose answer was lost, and then no longer knows the upload.
            server_crc64 = self._completed_before(key, crc, task, error)
        note = compare_crc64(self._address(key), crc, server_crc64)
        return Outcome(task, note=note)

    def abort(self, task: Task) -> Outcome:
        """Abort the multipart upload, so that no part is stored (and billed) any longer."""
        self.bucket.abort(self.prefix + task.target, pinned_of(task).transfer_id)
        return Outcome(task)

    def flush(self) -> None:
        """Nothing: what OSS has confirmed is durable."""

    def close(self) -> None:
        """Nothing stays open; a request that a run left behind sends nothing more."""
        self._closed.set()

    def _prepared(self, task: Task, line: Line) -> Asked | None:
        """What a request is made of; None if it is not to be sent beforehand."""
        entry = task.entry
        if entry.kind is EntryKind.DIRECTORY or entry.size > PROMPT_BYTES:
            return None
        file = None
        with suppress(OsssyncError):  # ``whole`` meets it again, and tells
            file = self._open(task)
            if file.size <= PROMPT_BYTES and not _left_of_second_s(file.mtime_ns):
                data = file.read_at(file.size, 0)
                return Asked(task, line, file, data, crc64(data))
        if file is not None:
            file.close()
        return None

    def _taken(self, asked: Asked) -> Outcome | None:
        head, body = asked.line.reply
        found = head.headers.lowercase
        if (
            head.status == 200
            and not body
            and found("etag")
            and found("x-oss-hash-crc64ecma") == str(asked.crc64)
            and asked.file is not None
            and asked.file.unchanged()
        ):
            asked.file.close()
            return Outcome(asked.task, moved_bytes=len(asked.data))
        return None

    def _put(self, task: Task, file: SourceFile, data: bytes, asked: Line | None = None) -> Outcome:
        key = self.prefix + task.target
        put = self.bucket.put(key, data, headers=self.headers, crc64=None, asked=asked)
        self._check(task, file, put)
        note = NO_CRC_NOTE if put.crc64 is None else ""
        return Outcome(task, moved_bytes=len(data), note=note)

    def _check(self, task: Task, file: SourceFile, put: PutResult) -> None:
        check_stored(self._address(self.prefix + task.target), put.etag)
        if not file.unchanged():
            raise _changed(task)

    def _outlive_second_of(self, mtime_ns: int) -> None:
        """Let the second of the file's last edit pass, if it is this one.

        LastModified has whole seconds. An object written in the second of an edit looks older
        than the file, and the next sync would send it once more.
        """
        left_s = _left_of_second_s(mtime_ns)
        if left_s:
            self.wait(left_s)

    def _completed_before(
        self, key: str, crc: int | None, task: Task, error: NotFoundError
    ) -> int | None:
        try:
            meta = self.bucket.head(key)
        except NotFoundError:
            raise error from None
        if meta.size != task.entry.size or meta.crc64 is None or meta.crc64 != crc:
            raise error
        return meta.crc64

    def _is_as_begun(self, task: Task) -> bool:
        pinned = pinned_of(task)
        begun = (pinned.size, pinned.headers_hash)
        if begun != (task.entry.size, hash_of_headers(self.headers)):
            return False
        try:
            self._open_pinned(task).close()
        except SourceChangedError:
            return False
        return True

    def _is_complete(self, task: Task) -> bool:
        """Whether the answer to a Complete was lost: what it made is exactly our parts."""
        size, crc = pinned_of(task).size, parts_crc64(task.receipts)
        try:
            meta = self.bucket.head(self.prefix + task.target)
        except NotFoundError:
            return False
        return crc is not None and (meta.size, meta.crc64) == (size, crc)

    def _address(self, key: str) -> str:
        return f"oss://{self.bucket.name}/{key}"

    def _open(self, task: Task) -> SourceFile:
        path = f"{self.root}/{task.entry.key}"
        return SourceFile(path, follow_symlinks=self.follow_symlinks)

    def _open_pinned(self, task: Task) -> SourceFile:
        file, pinned = self._open(task), pinned_of(task)
        # A record of an older osssync has no ctime, equals no file, and is begun again.
        here = (file.size, file.mtime_ns, file.inode, file.ctime_ns)
        if here != (pinned.size, pinned.mtime_ns, pinned.inode, pinned.ctime_ns):
            file.close()
            raise _changed(task)
        return file


def _left_of_second_s(mtime_ns: int) -> float:
    """How long the second of this time still lasts; 0 if it is not the present one."""
    left_ns = (mtime_ns // 10**9 + 1) * 10**9 - time.time_ns()
    return left_ns / 1e9 if 0 < left_ns <= 10**9 else 0.0


def _changed(task: Task) -> SourceChangedError:
    return SourceChangedError(f"{task.entry.key}: edited while it was being uploaded")
