"""The nouns of the store: versions of objects, parts, uploads. Frozen, or owned by one bucket."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from osssync.emulator.blobs import BlobFile, Content, Extent, Vault

Pairs = tuple[tuple[str, str], ...]

ARCHIVE_CLASSES = frozenset({"Archive", "ColdArchive", "DeepColdArchive"})
STORAGE_CLASSES = ARCHIVE_CLASSES | {"Standard", "IA"}


@dataclass(frozen=True, slots=True)
class Restore:
    """A thawed archive object: readable from ``ready_s`` until ``expires_s`` (epoch seconds)."""

    ready_s: float
    expires_s: float
    days: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object, or a delete marker.

    ``etag`` has no quotes; ``crc64`` is None where OSS knows none; ``md5`` is the base64 that OSS
    sends as Content-MD5 of objects put whole. ``headers`` are the standard headers kept with the
    object (lower case), ``metadata`` the ``x-oss-meta-`` ones with their prefix.
    """

    key: str
    version_id: str
    modified_s: float  # epoch
    kind: str = "Normal"  # Normal, Multipart, Appendable, Symlink
    content: Content = field(default_factory=Content)
    etag: str = ""
    crc64: int | None = None
    md5: str = ""
    headers: Pairs = ()
    metadata: Pairs = ()
    storage_class: str = "Standard"
    acl: str = "default"
    tags: Pairs = ()
    symlink_target: str = ""
    is_marker: bool = False
    restore: Restore | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.size

    @property
    def is_archived(self) -> bool:
        """Whether it must be restored before it can be read."""
        return self.storage_class in ARCHIVE_CLASSES


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part; ``crc64`` of its bytes."""

    number: int  # 1 … 10,000
    content: Content
    etag: str
    crc64: int
    modified_s: float  # epoch


@dataclass(slots=True)
class Upload:
    """An unfinished multipart upload. ``model`` is the object it will become, without bytes."""

    upload_id: str
    model: Version
    forbid_overwrite: bool
    sequential: bool = False  # parts come in order, and the object gets a Content-MD5
    parts: dict[int, Part] = field(default_factory=dict)


def pack_content(content: Content) -> list[list[Any]]:
    """A content as JSON; its extents must be files."""
    return [
        [extent.source.name, extent.start, extent.stop]
        for extent in content.extents
        if isinstance(extent.source, BlobFile)
    ]


class Unpacker:
    """Reads records of an earlier run; extents of one file share one ``BlobFile``."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._blobs: dict[str, BlobFile] = {}

    @property
    def names(self) -> set[str]:
        """The files that were named so far."""
        return set(self._blobs)

    def content(self, packed: list[list[Any]]) -> Content:
        """What ``pack_content`` wrote."""
        return Content(Extent(self._blob(name), start, stop) for name, start, stop in packed)

    def _blob(self, name: str) -> BlobFile:
        if name not in self._blobs:
            self._blobs[name] = self._vault.open(name)
        return self._blobs[name]

    def version(self, packed: dict[str, Any]) -> Version:
        """What ``pack_version`` wrote."""
        values = dict(packed)
        values["content"] = self.content(values["content"])
        for name in ("headers", "metadata", "tags"):
            values[name] = tuple((key, value) for key, value in values[name])
        if values["restore"]:
            values["restore"] = Restore(**values["restore"])
        return Version(**values)

    def part(self, packed: dict[str, Any]) -> Part:
        """What ``pack_part`` wrote."""
        return Part(**{**packed, "content": self.content(packed["content"])})


def pack_version(version: Version) -> dict[str, Any]:
    """A version as JSON."""
    values = {item.name: getattr(version, item.name) for item in fields(version)}
    values["content"] = pack_content(version.content)
    values["restore"] = asdict(version.restore) if version.restore else None
    return values


def pack_part(part: Part) -> dict[str, Any]:
    """A part as JSON."""
    values = {item.name: getattr(part, item.name) for item in fields(part)}
    values["content"] = pack_content(part.content)
    return values
