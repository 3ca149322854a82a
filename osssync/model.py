"""The nouns: what travels between the floors. Frozen, picklable, without behaviour or secrets.

Read this second, after ``runner.py``. An ``Entry`` is seen by a listing, planning turns it into an
``Action``, ``split`` turns that into ``Task``s, a worker turns each ``Task`` into an ``Outcome``.
"""

from enum import Enum

from msgspec import Struct


class EntryKind(Enum):
    """What stands under a key."""

    FILE = "file"
    DIRECTORY = "directory"  # a local directory, or an empty object whose key ends with "/"
    LINK = "link"  # a symbolic link that is not followed
    UNUSABLE = "unusable"  # seen but not transferable; Entry.note says why


class Entry(Struct, frozen=True, gc=False):
    """One object or file as a listing saw it.

    ``key`` is relative to the root or prefix that was listed, "/"-separated, never starting with
    "/" unless the object's own key has "//"; listings are sorted by its UTF-8 bytes (the order of
    code points). ``mtime_ns`` is LastModified for objects (whole seconds) and st_mtime for files.
    ``etag`` is as OSS sends it, quotes included; empty for files.
    """

    key: str
    size: int  # bytes
    mtime_ns: int  # epoch, UTC
    kind: EntryKind = EntryKind.FILE
    etag: str = ""
    storage_class: str = ""
    note: str = ""


class ByteRange(Struct, frozen=True, gc=False):
    """Half-open ``[start, stop)`` in bytes. Only ``oss/`` knows HTTP's inclusive form."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


class Direction(Enum):
    """Which way a job moves bytes."""

    DOWNLOAD = "download"
    UPLOAD = "upload"
    COPY = "copy"  # inside OSS, server side


class ActionKind(Enum):
    """What planning decided for one entry."""

    TRANSFER = "transfer"
    SKIP = "skip"
    EXCLUDE = "exclude"
    REFUSE = "refuse"  # cannot be transferred safely; counted as failed


class Action(Struct, frozen=True, gc=False):
    """A decision about one source entry, and why, in words for the user."""

    kind: ActionKind
    entry: Entry
    reason: str
    target: str = ""  # TRANSFER: key or path relative to the destination's root


class Step(Enum):
    """Where on its way an object is. Small objects know only WHOLE."""

    WHOLE = "whole"  # one request
    START = "start"  # create the part file, or initiate the multipart upload
    RESUME = "resume"  # in place of START: prove what an earlier run left
    PART = "part"
    FINISH = "finish"  # combine checksums, compare, publish
    ABORT = "abort"  # leave nothing behind


class Pinned(Struct, frozen=True, gc=False):
    """An unfinished large object, pinned to one version of its source. Made by START.

    ``transfer_id`` is the upload id, or the name of the part file. ``etag`` (objects) or
    ``size, mtime_ns, inode, ctime_ns`` (files) is the version every part must come from.
    ``headers_hash`` stands for the headers an upload or copy was begun with, which its object
    will have.
    """

    transfer_id: str
    size: int  # bytes
    etag: str = ""
    mtime_ns: int = 0
    inode: int = 0
    headers_hash: str = ""
    ctime_ns: int = 0  # nobody can set it; 0 where no file was pinned, or by an older osssync


class PartReceipt(Struct, frozen=True, gc=False):
    """Proof that one part arrived. ``crc64`` is None for server-side copies."""

    number: int  # 1 … 10,000
    byte_range: ByteRange
    crc64: int | None
    etag: str = ""  # of the uploaded part
    object_crc64: int | None = None  # of the whole source object, as a ranged GET reports it


class Unfinished(Struct, frozen=True, gc=False):
    """A large object that an earlier run began, as the journal remembers it. Nothing is proven."""

    target: str  # key or path relative to the destination's root
    entry: Entry  # as it was then
    pinned: Pinned
    part_size: int  # bytes
    receipts: tuple[PartReceipt, ...] = ()


class Task(Struct, frozen=True, gc=False):
    """One unit of work for a worker; carries all it needs, so that any worker can do it."""

    object_number: int  # unique in a run; all tasks of one object share it
    step: Step
    entry: Entry
    target: str  # key or path relative to the destination's root
    pinned: Pinned | None = None
    part_number: int = 0
    byte_range: ByteRange = ByteRange(0, 0)
    receipts: tuple[PartReceipt, ...] = ()  # FINISH: every part, in order; RESUME: to be proven


class Failure(Struct, frozen=True, gc=False):
    """An error as data, so that it can cross processes and nodes."""

    error: str  # class name in osssync.errors
    message: str
    exit_code: int
    code: str = ""  # OSS error code
    request_id: str = ""


class Outcome(Struct, frozen=True, gc=False):
    """What became of a task. ``failure`` is None on success.

    ``moved_bytes`` counts payload that reached its place, not repeats; ``note`` says something
    the user should know about a success ("no CRC to compare with").
    """

    task: Task
    failure: Failure | None = None
    pinned: Pinned | None = None  # of START; of RESUME, None if nothing can be gone on with
    receipt: PartReceipt | None = None  # of PART
    receipts: tuple[PartReceipt, ...] = ()  # of RESUME: the parts that are proven
    moved_bytes: int = 0
    retries: int = 0
    note: str = ""
    restart: Entry | None = None  # the source changed: begin again with this entry


class Effort(Struct, frozen=True, gc=False):
    """What it took to be served so far, over all workers of an engine."""

    rotations: int = 0  # credential sets that replaced another one
    throttled: int = 0  # answers that asked to slow down
    fewest_jobs: int = 0  # requests in flight at the slowest moment; 0 if never throttled
    cpu_s: float = 0.0  # processor time of all processes


class Width(Struct, frozen=True, gc=False):
    """How many tasks run at once: brief ones, which mostly wait, and those that keep a thread."""

    brief: int
    long: int

    def share(self, count: int) -> "Width":
        """What each of ``count`` processes has of it, at least one of each."""
        return Width(max(1, self.brief // count), max(1, self.long // count))


class Totals(Struct, frozen=True, gc=False):
    """The sums of a run. ``found == transferred + skipped + excluded + failed`` always."""

    found: int = 0
    transferred: int = 0
    skipped: int = 0
    excluded: int = 0
    deleted: int = 0
    failed: int = 0
    undeleted: int = 0  # should have been deleted, and are still there
    moved_bytes: int = 0
    retries: int = 0
    rotations: int = 0  # credential sets that replaced another one while the run went on
    throttled: int = 0  # answers that asked to slow down
    fewest_jobs: int = 0  # requests in flight at the slowest moment; 0 if never throttled
    elapsed_s: float = 0.0
