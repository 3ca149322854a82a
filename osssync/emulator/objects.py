"""The store: buckets, versions of objects, uploads. Thread-safe; in memory or below one folder.

What you find here is what OSS remembers. Who may ask, and how an answer looks, is not here.
"""

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from osssync.emulator.blobs import Vault
from osssync.emulator.body import Received, digest
from osssync.emulator.errors import OssFault
from osssync.emulator.ledger import FileLedger, Ledger, NoLedger
from osssync.emulator.records import (
    Part,
    Unpacker,
    Upload,
    Version,
    pack_part,
    pack_version,
)
from osssync.emulator.sorted_keys import SortedKeys

NULL_VERSION = "null"  # the id of versions made while versioning is off or suspended


@dataclass(slots=True)
class Bucket:
    """One bucket. ``configurations`` holds the documents of its sub-resources by name."""

    name: str
    location: str  # "oss-cn-hangzhou"
    created_s: float  # epoch
    storage_class: str = "Standard"
    redundancy: str = "LRS"
    acl: str = "private"
    versioning: str = ""  # never set, Enabled or Suspended
    configurations: dict[str, str] = field(default_factory=dict)
    keys: SortedKeys = field(default_factory=SortedKeys, repr=False)
    versions: dict[str, list[Version]] = field(default_factory=dict, repr=False)  # newest first
    uploads: dict[str, Upload] = field(default_factory=dict, repr=False)

    def current(self, key: str) -> Version | None:
        """The newest version, a delete marker included."""
        found = self.versions.get(key)
        return found[0] if found else None

    def live(self, start: str, inclusive: bool) -> Iterator[str]:  # noqa: FBT001 - a listing.Source
        """The keys that a listing shows, from ``start`` on."""
        for key in self.keys.walk(start, inclusive=inclusive):
            if not self.versions[key][0].is_marker:
                yield key

    def find(self, key: str, version_id: str) -> Version | None:
        """One version by its id."""
        return next((v for v in self.versions.get(key, ()) if v.version_id == version_id), None)


_SETTINGS = ("name", "location", "created_s", "storage_class", "redundancy", "acl", "versioning")


def no_such_bucket(name: str) -> OssFault:
    """The answer where there is no such bucket."""
    text = "The specified bucket does not exist."
    return OssFault(404, "NoSuchBucket", text, ec="0015-00000101", extra={"BucketName": name})


class Objects:
    """All buckets of one emulator.

    Args:
        root: folder to keep everything in; in memory (large bodies in temporary files) without.
        clock: epoch seconds.
    """

    def __init__(self, root: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.lock = threading.RLock()
        self.vault = Vault(root)
        self.buckets: dict[str, Bucket] = {}
        self.account = Bucket("", "", 0.0)  # holds the settings of the account itself
        self._ledger: Ledger = NoLedger()
        if root is not None:
            ledger = FileLedger(root / "ledger.ndjson")
            self._restore(ledger)
            self._ledger = ledger

    def close(self) -> None:
        """Write everything out; the store is not usable afterwards."""
        with self.lock:
            self._ledger.close()
            self.vault.close()

    # Buckets

    def bucket(self, name: str) -> Bucket:
        """A bucket by name.

        Raises:
            OssFault: NoSuchBucket.
        """
        try:
            return self.buckets[name]
        except KeyError:
            raise no_such_bucket(name) from None

    def create_bucket(self, name: str, location: str = "oss-cn-hangzhou") -> Bucket:
        """Make a bucket, or return the one that is there."""
        with self.lock:
            if name not in self.buckets:
                self.buckets[name] = Bucket(name, location, self._clock())
                self.save(self.buckets[name])
            return self.buckets[name]

    def save(self, bucket: Bucket) -> None:
        """Remember the settings and configurations of a bucket that were changed."""
        values: dict[str, Any] = {name: getattr(bucket, name) for name in _SETTINGS}
        values["configurations"] = dict(bucket.configurations)
        self._ledger.put(("bucket", bucket.name), values)

    def drop_bucket(self, name: str) -> None:
        """Forget an empty bucket."""
        with self.lock:
            del self.buckets[name]
            self._ledger.drop(("bucket", name))

    # Versions

    def store(self, bucket: Bucket, version: Version) -> Version:
        """Make ``version`` the newest of its key, under an id that the bucket's versioning asks.

        Returns:
            The version as stored.
        """
        with self.lock:
            if bucket.versioning == "Enabled":
                version = replace(version, version_id=self._version_id())
            else:
                version = replace(version, version_id=NULL_VERSION)
                self._take_out(bucket, version.key, NULL_VERSION)
            bucket.versions.setdefault(version.key, []).insert(0, version)
            bucket.keys.add(version.key)
            self._remember(bucket, version)
            return version

    def change(self, bucket: Bucket, version: Version) -> None:
        """Replace the version of the same key and id in its place (ACL, tags, restore, append)."""
        with self.lock:
            found = bucket.versions[version.key]
            for index, old in enumerate(found):
                if old.version_id == version.version_id:
                    found[index] = version
            self._remember(bucket, version)

    def remove(self, bucket: Bucket, key: str, version_id: str) -> Version | None:
        """Remove one version for good. Returns it, None if there was none."""
        with self.lock:
            gone = self._take_out(bucket, key, version_id)
            if gone:
                self._ledger.drop(("version", bucket.name, key, version_id))
            return gone

    def _take_out(self, bucket: Bucket, key: str, version_id: str) -> Version | None:
        found = bucket.versions.get(key, [])
        for index, version in enumerate(found):
            if version.version_id == version_id:
                del found[index]
                if not found:
                    bucket.versions.pop(key)
                    bucket.keys.discard(key)
                return version
        return None

    def _remember(self, bucket: Bucket, version: Version) -> None:
        if self.vault.persistent:
            name = ("version", bucket.name, version.key, version.version_id)
            self._ledger.put(name, pack_version(version))

    def _version_id(self) -> str:
        # OSS: "CAEQNhiBgM0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0****": URL-safe, opaque.
        return f"CAEQ{secrets.token_hex(24)}"

    # Uploads

    def begin_upload(self, bucket: Bucket, upload: Upload) -> None:
        """Remember a new multipart upload."""
        with self.lock:
            bucket.uploads[upload.upload_id] = upload
            values = {
                "model": pack_version(upload.model),
                "forbid_overwrite": upload.forbid_overwrite,
                "sequential": upload.sequential,
            }
            self._ledger.put(("upload", bucket.name, upload.upload_id), values)

    def add_part(self, bucket: Bucket, upload: Upload, part: Part) -> None:
        """Add a part to an upload, in place of an earlier one of the same number."""
        with self.lock:
            upload.parts[part.number] = part
            if self.vault.persistent:
                name = ("part", bucket.name, upload.upload_id, str(part.number))
                self._ledger.put(name, pack_part(part))

    def end_upload(self, bucket: Bucket, upload: Upload) -> None:
        """Forget an upload and its parts, completed or aborted."""
        with self.lock:
            if bucket.uploads.pop(upload.upload_id, None) is None:
                return
            for number in upload.parts:
                self._ledger.drop(("part", bucket.name, upload.upload_id, str(number)))
            self._ledger.drop(("upload", bucket.name, upload.upload_id))

    # For tests and demos

    def put(self, bucket: str, key: str, data: bytes, *, modified_s: float | None = None) -> str:
        """Put an object without a request; its bucket is made if missing. Returns the ETag."""
        received = digest(data, self.vault)
        version = whole_version(key, received, self._clock() if modified_s is None else modified_s)
        with self.lock:
            self.store(self.create_bucket(bucket), version)
        return f'"{version.etag}"'

    def get(self, bucket: str, key: str) -> bytes:
        """The bytes of an object.

        Raises:
            KeyError: no such bucket or object.
        """
        return self.version(bucket, key).content.read()

    def version(self, bucket: str, key: str) -> Version:
        """The newest version of an object.

        Raises:
            KeyError: no such bucket or object, or it was deleted.
        """
        with self.lock:
            current = self.buckets[bucket].versions[key][0]
        if current.is_marker:
            raise KeyError(key)
        return current

    def delete(self, bucket: str, key: str) -> None:
        """Remove every version of an object, if there is any."""
        with self.lock:
            owner = self.buckets[bucket]
            for version in tuple(owner.versions.get(key, ())):
                self.remove(owner, key, version.version_id)

    def keys(self, bucket: str) -> list[str]:
        """The keys of a bucket, in order, without deleted ones."""
        with self.lock:
            return list(self.buckets[bucket].live("", True))  # noqa: FBT003 - a listing.Source

    # Restart

    def _restore(self, ledger: FileLedger) -> None:
        unpacker = Unpacker(self.vault)
        records, ledger.records = ledger.records, {}
        for name, value in records.items():
            if name == ("bucket", ""):
                self.account = Bucket(**value)
            elif name[0] == "bucket":
                self.buckets[name[1]] = Bucket(**value)
        for name, value in records.items():
            bucket = self.buckets.get(name[1])
            if bucket is not None:
                _reload(bucket, name, value, unpacker)
        self.vault.sweep(unpacker.names)


def _reload(
    bucket: Bucket, name: tuple[str, ...], value: dict[str, Any], unpacker: Unpacker
) -> None:
    match name:
        case ("version", _, key, _):
            bucket.versions.setdefault(key, []).insert(0, unpacker.version(value))
            bucket.versions[key].sort(key=lambda version: -version.modified_s)
            bucket.keys.add(key)
        case ("upload", _, upload_id):
            model = unpacker.version(value["model"])
            bucket.uploads[upload_id] = Upload(
                upload_id, model, value["forbid_overwrite"], value["sequential"]
            )
        case ("part", _, upload_id, number) if upload_id in bucket.uploads:
            bucket.uploads[upload_id].parts[int(number)] = unpacker.part(value)


def whole_version(key: str, received: Received, modified_s: float) -> Version:
    """A version of bytes that were put in one piece, without any headers."""
    return Version(
        key=key,
        version_id=NULL_VERSION,
        modified_s=modified_s,
        content=received.content,
        etag=received.md5.hex().upper(),
        crc64=received.crc64,
        md5=base64.b64encode(received.md5).decode(),
        headers=(("content-type", "application/octet-stream"),),
    )
