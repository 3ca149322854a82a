"""OSS → OSS, server side: the bytes never pass through this machine.

up to 1 GiB:  CopyObject, If-Match ─▶ done
larger:       START initiate ─▶ PART UploadPartCopy, If-Match … ─▶ FINISH complete, compare
again:        RESUME list parts ─▶ PART what is missing … ─▶ FINISH
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from osssync.errors import (
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    SourceChangedError,
)
from osssync.model import Entry, Outcome, PartReceipt, Pinned, Task
from osssync.oss.bucket import Bucket, Line
from osssync.oss.replies import ObjectMeta
from osssync.transfer.resume import confirmed_parts, hash_of_headers, is_whole
from osssync.transfer.steps import Asked, of_complete, pinned_of


class Copy(Struct, frozen=True):
    """The steps of a server-side copy between two trees of OSS in one region."""

    source: Bucket
    source_prefix: str
    bucket: Bucket
    prefix: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def is_brief(self, entry: Entry) -> bool:  # noqa: ARG002 - as Steps has it
        """Whatever its size: OSS moves the bytes."""
        return True

    def line(self) -> Line | None:
        """None: copies are not asked for without waiting."""
        return None

    def ask(self, tasks: Sequence[Task], _lines: Sequence[Line]) -> Sequence[Asked | None]:
        """Nothing."""
        return [None] * len(tasks)

    def take(self, flown: Sequence[Asked]) -> Sequence[Outcome | None]:
        """Nothing."""
        return [None] * len(flown)

    def whole(self, task: Task, _asked: Asked | None = None) -> Outcome:
        """One CopyObject; metadata and content type come along."""
        entry = task.entry
        try:
            self.bucket.copy(
                self.source.name,
                self.source_prefix + entry.key,
                self.prefix + task.target,
                if_match=entry.etag,
                headers=self._whole_headers(entry),
            )
        except PreconditionFailedError as error:
            raise _changed(task) from error
        return Outcome(task, moved_bytes=entry.size)

    def _whole_headers(self, entry: Entry) -> dict[str, str]:
        """CopyObject takes new metadata only in place of all the old: so the old is sent along."""
        headers = dict(self.headers)
        if "x-oss-tagging" in headers:
            headers["x-oss-tagging-directive"] = "Replace"
        if any(_is_metadata(name) for name in headers):
            meta = self.source.head(self.source_prefix + entry.key)
            headers = {**_carried(meta), **headers, "x-oss-metadata-directive": "REPLACE"}
        return headers

    def start(self, task: Task) -> Outcome:
        """Initiate the upload with the source's metadata, which part copies do not carry."""
        entry = task.entry
        meta = self.source.head(self.source_prefix + entry.key)
        if meta.etag != entry.etag:
            raise _changed(task)
        headers = {**_carried(meta), **self.headers}
        upload_id = self.bucket.initiate(self.prefix + task.target, headers)
        return Outcome(task, pinned=self._pinned(entry, upload_id))

    def resume(self, task: Task) -> Outcome:
        """Ask OSS which of our parts it has, if the source is still the same version."""
        pinned, key = pinned_of(task), self.prefix + task.target
        if pinned != self._pinned(task.entry, pinned.transfer_id):
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
        """One UploadPartCopy of a range of the pinned version."""
        pinned = pinned_of(task)
        try:
            etag = self.bucket.copy_part(
                self.source.name,
                self.source_prefix + task.entry.key,
                task.byte_range,
                self.prefix + task.target,
                (pinned.transfer_id, task.part_number),
                if_match=pinned.etag,
            )
        except PreconditionFailedError as error:
            raise _changed(task) from error
        receipt = PartReceipt(task.part_number, task.byte_range, None, etag)
        return Outcome(task, receipt=receipt, moved_bytes=len(task.byte_range))

    def finish(self, task: Task) -> Outcome:
        """Complete, then compare sizes, and the CRCs where OSS kept both."""
        key = self.prefix + task.target
        parts = [(receipt.number, receipt.etag) for receipt in task.receipts]
        lost: NotFoundError | None = None
        try:
            headers = of_complete(self.headers)
            self.bucket.complete(key, pinned_of(task).transfer_id, parts, headers)
        except NotFoundError as error:
            # OSS finishes a Complete whose answer was lost, and then no longer knows the upload.
            lost = error
        source = self.source.head(self.source_prefix + task.entry.key)
        copied = self.bucket.head(key)
        known = source.crc64 is not None and copied.crc64 is not None
        if lost is not None and (not known or source.crc64 != copied.crc64):
            raise lost
        if source.etag != task.entry.etag:
            return Outcome(task, note="the source was overwritten right after it was copied")
        if copied.size != source.size or (known and source.crc64 != copied.crc64):
            raise IntegrityError(
                f"oss://{self.bucket.name}/{key}: the copy has {copied.size} bytes and CRC-64 "
                f"{copied.crc64}, the source {source.size} and {source.crc64}"
            )
        return Outcome(task, note="" if known else "OSS keeps no CRC-64 of it: sizes were compared")

    def abort(self, task: Task) -> Outcome:
        """Abort the multipart upload."""
        self.bucket.abort(self.prefix + task.target, pinned_of(task).transfer_id)
        return Outcome(task)

    def _pinned(self, entry: Entry, upload_id: str) -> Pinned:
        # The time counts too: new metadata changes nothing but the time of an object.
        return Pinned(
            upload_id,
            entry.size,
            etag=entry.etag,
            mtime_ns=entry.mtime_ns,
            headers_hash=hash_of_headers(self.headers),
        )

    def _is_complete(self, task: Task) -> bool:
        """Whether the answer to a Complete was lost: what it made is the source once more."""
        if not is_whole(task.receipts, pinned_of(task).size):
            return False
        source = self.source.head(self.source_prefix + task.entry.key)
        try:
            copied = self.bucket.head(self.prefix + task.target)
        except NotFoundError:
            return False
        return copied.crc64 is not None and (copied.size, copied.crc64) == (
            source.size,
            source.crc64,
        )

    def flush(self) -> None:
        """Nothing: what OSS has confirmed is durable."""

    def close(self) -> None:
        """Nothing is open."""


def _is_metadata(header: str) -> bool:
    name = header.lower()
    return name.startswith("x-oss-meta-") or not name.startswith("x-oss-")


def _carried(meta: ObjectMeta) -> dict[str, str]:
    headers = {f"x-oss-meta-{name}": value for name, value in meta.metadata}
    headers |= dict(meta.headers)
    if meta.content_type:
        headers["Content-Type"] = meta.content_type
    return headers


def _changed(task: Task) -> SourceChangedError:
    return SourceChangedError(f"{task.entry.key}: overwritten while it was being copied")
