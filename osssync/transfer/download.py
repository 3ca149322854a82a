"""OSS → disk. Nothing is visible under its name before it is complete, compared and renamed.

small:  GET ─▶ memory or part file ─▶ compare CRC ─▶ rename
large:  START part file ─▶ PART ranged GET, If-Match, pwrite … ─▶ FINISH combine CRCs, rename
again:  RESUME read the part file, compare CRCs ─▶ PART what is missing … ─▶ FINISH
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import Struct

from osssync.checksums import crc64
from osssync.errors import (
    IntegrityError,
    LocalFileError,
    PreconditionFailedError,
    SourceChangedError,
    UnsafeKeyError,
)
from osssync.keys import is_part_file, relative_directory, relative_path
from osssync.local.files import DestinationRoot, SmallFile
from osssync.model import Entry, EntryKind, Outcome, PartReceipt, Pinned, Task
from osssync.oss.bucket import Bucket, Line, Sink
from osssync.transfer.steps import (
    BRIEF_BYTES,
    NO_CRC_NOTE,
    Asked,
    compare_crc64,
    parts_crc64,
    pinned_of,
)

IN_MEMORY_BYTES = BRIEF_BYTES
"""Up to here an object is held in memory and written in one go; above, it streams to its file."""


def never_stopped() -> bool:
    """For those who let everything come to its end."""
    return False


class Download(Struct, frozen=True):
    """The steps of a download from below ``prefix`` of ``bucket`` into ``root``."""

    bucket: Bucket
    prefix: str
    root: DestinationRoot
    stopped: Callable[[], bool] = never_stopped
    """Asked while a part file is read again, which may take minutes."""

    def is_brief(self, entry: Entry) -> bool:
        """Small ones: their bytes take no time."""
        return entry.size <= BRIEF_BYTES

    def line(self) -> Line | None:
        """Of the source."""
        return self.bucket.line()

    def ask(self, tasks: Sequence[Task], lines: Sequence[Line]) -> Sequence[Asked | None]:
        """Send the GETs of small objects."""
        wanted = [
            (self.prefix + task.entry.key, task.entry.etag)
            if task.entry.kind is not EntryKind.DIRECTORY and task.entry.size <= IN_MEMORY_BYTES
            else None
            for task in tasks
        ]
        sent = self.bucket.ask_get(lines, wanted)
        return [
            Asked(task, line) if is_sent else None
            for task, line, is_sent in zip(tasks, lines, sent, strict=True)
        ]

    def take(self, flown: Sequence[Asked]) -> Sequence[Outcome | None]:
        """Write those objects whose version, size and CRC are what they should be."""
        outcomes: list[Outcome | None] = [None] * len(flown)
        places: list[int] = []
        files: list[SmallFile] = []
        for place, asked in enumerate(flown):
            task, (head, body) = asked.task, asked.line.reply
            entry, found = task.entry, head.headers.lowercase
            if (
                head.status == 200
                and len(body) == entry.size
                and found("etag") == entry.etag
                and found("x-oss-hash-crc64ecma") == str(crc64(body))
            ):
                try:
                    components = relative_path(task.target)
                except UnsafeKeyError:  # ``whole`` meets it again, and tells
                    continue
                files.append(SmallFile(components, body, entry.mtime_ns))
                places.append(place)
        for place, is_written in zip(places, self.root.write_together(files), strict=True):
            if is_written:
                task = flown[place].task
                outcomes[place] = Outcome(task, moved_bytes=task.entry.size)
        return outcomes

    def whole(self, task: Task, asked: Asked | None = None) -> Outcome:
        """One GET, or a directory for a directory marker."""
        entry = task.entry
        if entry.kind is EntryKind.DIRECTORY:
            self.root.make_directory(relative_directory(task.target))
            return Outcome(task)
        components = relative_path(task.target)
        if entry.size > IN_MEMORY_BYTES:
            return self._streamed(task, components)
        body = bytearray()
        note = self._get(task, body.extend, None if asked is None else asked.line)
        self.root.write_small(components, body, entry.mtime_ns)
        return Outcome(task, moved_bytes=len(body), note=note)

    def start(self, task: Task) -> Outcome:
        """Preallocate the part file. The listing's ETag pins the version: no request is needed."""
        entry = task.entry
        name = self.root.create_part(relative_path(task.target), entry.size)
        return Outcome(task, pinned=_pinned(task, name))

    def resume(self, task: Task) -> Outcome:
        """Read the part file again: what has the CRC it had when it came is proven.

        Whoever is stopped meanwhile leaves it as it is, for the next run.
        """
        pinned, components = pinned_of(task), relative_path(task.target)
        if not is_part_file(pinned.transfer_id):  # the journal is damaged
            return Outcome(task)
        proven = None
        if pinned == _pinned(task, pinned.transfer_id):
            with suppress(LocalFileError):  # what cannot be read is written anew
                proven = self._proven(task, components)
        if proven is None:
            self.root.discard(components, pinned.transfer_id)
            return Outcome(task)
        return Outcome(task, pinned=pinned, receipts=proven)

    def part(self, task: Task) -> Outcome:
        """One ranged GET, written where it belongs."""
        pinned, byte_range = pinned_of(task), task.byte_range
        with self.root.open_part(relative_path(task.target), pinned.transfer_id) as part:
            try:
                got = self.bucket.get(
                    self.prefix + task.entry.key,
                    part.from_offset(byte_range.start),
                    byte_range=byte_range,
                    if_match=pinned.etag,
                )
            except PreconditionFailedError as error:
                raise _changed(task) from error
        receipt = PartReceipt(
            task.part_number, byte_range, got.crc64, object_crc64=got.object_crc64
        )
        return Outcome(task, receipt=receipt, moved_bytes=len(byte_range))

    def finish(self, task: Task) -> Outcome:
        """Compare the parts' combined CRC with the object's, then rename over the target."""
        known = {receipt.object_crc64 for receipt in task.receipts}
        if len(known) != 1:
            raise IntegrityError(f"{task.entry.key}: ranges of one object report several CRCs")
        note = compare_crc64(task.entry.key, known.pop(), parts_crc64(task.receipts))
        pinned = pinned_of(task)
        self.root.publish(relative_path(task.target), pinned.transfer_id, pinned.mtime_ns)
        return Outcome(task, note=note)

    def abort(self, task: Task) -> Outcome:
        """Remove the part file."""
        self.root.discard(relative_path(task.target), pinned_of(task).transfer_id)
        return Outcome(task)

    def flush(self) -> None:
        """Have the disk hold everything renamed so far: one sync a file system."""
        self.root.flush()

    def close(self) -> None:
        """Close the destination's directories; what still streams arrives no more."""
        self.root.close()

    def _proven(self, task: Task, components: tuple[str, ...]) -> tuple[PartReceipt, ...] | None:
        pinned = pinned_of(task)
        part = self.root.find_part(components, pinned.transfer_id, pinned.size)
        if part is None:
            return None
        with part:
            return tuple(
                receipt
                for receipt in task.receipts
                if part.crc64_of(receipt.byte_range, self.stopped) == receipt.crc64
            )

    def _get(self, task: Task, sink: Sink, asked: Line | None = None) -> str:
        entry = task.entry
        try:
            got = self.bucket.get(
                self.prefix + entry.key,
                sink,
                if_match=entry.etag,
                expected_size=entry.size,
                asked=asked,
            )
        except PreconditionFailedError as error:
            raise _changed(task) from error
        return "" if got.object_crc64 is not None else NO_CRC_NOTE

    def _streamed(self, task: Task, components: tuple[str, ...]) -> Outcome:
        entry = task.entry
        with self.root.new_file(components, entry.mtime_ns) as part:
            note = self._get(task, part.from_offset(0))
        return Outcome(task, moved_bytes=entry.size, note=note)


def _pinned(task: Task, part_name: str) -> Pinned:
    entry = task.entry
    return Pinned(part_name, entry.size, etag=entry.etag, mtime_ns=entry.mtime_ns)


def _changed(task: Task) -> SourceChangedError:
    return SourceChangedError(f"{task.entry.key}: overwritten while it was being downloaded")
