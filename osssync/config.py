"""The frozen settings of a job: every default, every validation. No clock, no network.

Flags, job files and the environment all end here. Every class is picklable and holds no secret, so
a ``Job`` may travel to other processes and nodes.
"""

import os
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from msgspec import Struct

from osssync.errors import UsageError
from osssync.filters import Filters
from osssync.limits import Limits
from osssync.model import Direction

MIB = 1 << 20
MIN_PART_BYTES = 100 * 1024  # OSS refuses smaller parts, the last one excepted (CompleteMultipart)
MOST_JOBS = 256
"""Requests in flight at once of ``--jobs auto`` at most: what 30 ms of latency can use."""

MAX_PART_BYTES = 5 << 30  # OSS limit of one PUT or one part
MAX_PARTS = 10_000  # OSS limit of one upload
MAX_KEY_BYTES = 1023  # OSS limit of a key in UTF-8
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class LocalAddress(Struct, frozen=True):
    """A path of this machine as the user wrote it; ``is_folder`` if it ended in a slash."""

    path: str
    is_folder: bool = False

    def __str__(self) -> str:
        return self.path


class OssAddress(Struct, frozen=True):
    """``oss://bucket/key``. Everything after the bucket's slash is the raw key or prefix."""

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.key}"


Address = LocalAddress | OssAddress


def parse_address(text: str) -> Address:
    """Read an address: ``oss://…`` or a local path.

    Raises:
        UsageError: an empty address, a bad bucket name, or another scheme.
    """
    if text.startswith("oss://"):
        bucket, _, key = text[len("oss://") :].partition("/")
        if not _BUCKET_NAME.fullmatch(bucket):
            raise UsageError(
                f"{text!r}: {bucket!r} is not a bucket name "
                "(3 to 63 of a-z, 0-9 and '-', not '-' first or last)"
            )
        return OssAddress(bucket, key)
    if not text:
        raise UsageError("an empty address: give oss://bucket/prefix or a local path")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme:
        raise UsageError(f"{text!r}: {scheme[1]}:// is not known; use oss:// or a local path")
    if "\0" in text:
        raise UsageError(f"{text!r}: a path cannot hold a NUL byte")
    return LocalAddress(text, is_folder=text.endswith("/"))


class CredentialSource(Enum):
    """Where credentials come from: the instance's role unless another source is asked for."""

    INSTANCE_ROLE = "instance-role"
    ENV = "env"
    PROFILE = "profile"
    OIDC = "oidc"
    URI = "uri"


class CredentialSettings(Struct, frozen=True):
    """Which source, and what it needs to know. Holds names and addresses, never a secret.

    ``metadata_proxy`` is an HTTP proxy for the metadata service alone (host:port of a sidecar
    that answers for 100.100.100.200); the proxies of the environment are never used for it.
    """

    source: CredentialSource = CredentialSource.INSTANCE_ROLE
    role_name: str = ""  # discovered when empty
    imds_v2_only: bool = False
    profile: str = ""  # of ~/.aliyun/config.json; its current profile when empty
    uri: str = ""
    metadata_proxy: str = ""


class SignatureVersion(Enum):
    """V4 by default: OSS refuses V1 for buckets made since 2025-09."""

    V4 = "v4"
    V1 = "v1"


class OssSettings(Struct, frozen=True):
    """How to reach OSS. Empty ``endpoint`` and ``region`` are found out by ``oss.endpoint``."""

    endpoint: str = ""
    region: str = ""
    internal: bool | None = None  # None: internal where the region came from the metadata service
    accelerate: bool = False
    path_style: bool = False
    signature: SignatureVersion = SignatureVersion.V4
    use_env_proxies: bool = False
    ca_file: str = ""  # a private CA; the system's store otherwise
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0  # without a single byte


class Fsync(Enum):
    """When downloaded files become durable: what a power cut may take."""

    BATCH = "batch"  # all of them every few seconds and at the end; large ones before their rename
    EACH = "each"  # every file before its rename, and its directory after it
    NONE = "none"  # when the system likes


class TransferSettings(Struct, frozen=True):
    """How to move bytes.

    ``jobs`` is the number of requests in flight; ``parallel`` how many of them may be parts of
    one object. An object of at least ``bigfile_threshold`` bytes is cut into parts. ``part_size``
    0 means chosen by ``ranges.part_size_for``.
    """

    jobs: int = 0  # 0: as many as pay, found out on the way
    parallel: int = 0  # 0: as many as jobs
    processes: int = 0  # 0: as the machine and the job suggest; 1: this one alone
    part_size: int = 0  # bytes
    bigfile_threshold: int = 16 * MIB  # bytes
    retries: int = 9  # repeats of one request after its first attempt
    headers: tuple[tuple[str, str], ...] = ()  # of new objects: content type, metadata, class, ACL
    fsync: Fsync = Fsync.BATCH  # of files; nothing but BATCH goes with uploads and copies

    def __post_init__(self) -> None:
        if not 0 <= self.jobs <= 1024:
            raise UsageError(f"--jobs {self.jobs}: give 1 to 1024, or auto")
        if not 0 <= self.parallel <= 1024:
            raise UsageError(f"--parallel {self.parallel}: give 1 to 1024")
        if not 0 <= self.processes <= 64:
            raise UsageError(f"--processes {self.processes}: give 1 to 64, or auto")
        if self.part_size and not MIN_PART_BYTES <= self.part_size <= MAX_PART_BYTES:
            raise UsageError(f"--part-size {self.part_size}: OSS takes 100K to 5G")
        if not 1 <= self.bigfile_threshold <= MAX_PART_BYTES:
            raise UsageError(f"--bigfile-threshold {self.bigfile_threshold}: give 1 to 5G")
        if not 0 <= self.retries <= 100:
            raise UsageError(f"--retries {self.retries}: give 0 to 100")

    @property
    def most_jobs(self) -> int:
        """Requests that may be in flight at once at most."""
        return self.jobs or MOST_JOBS


class Compare(Enum):
    """What makes source and destination differ."""

    TIME = "time"  # size, or the source's time
    SIZE = "size"  # --size-only
    UPDATE = "update"  # -u: size, or the source is newer
    EXISTS = "exists"  # --ignore-existing: only what is missing
    ALWAYS = "always"  # cp: everything


class WhenBusy(Enum):
    """What to do when another run of the same source and destination is under way."""

    FAIL = "fail"  # exit 11
    SKIP = "skip"  # exit 0: the other one does the work


class StateSettings(Struct, frozen=True):
    """What is remembered between runs, and how runs keep out of each other's way.

    ``directory`` "" is the user's own: $XDG_STATE_HOME/osssync or ~/.local/state/osssync.
    """

    directory: str = ""
    lock_wait_s: float = 0.0
    when_busy: WhenBusy = WhenBusy.FAIL


class DeleteSettings(Struct, frozen=True):
    """``sync --delete`` and its guards. ``max_delete`` is a count, a share like "10%", or "off"."""

    wanted: bool = False
    max_delete: str = "50%"
    allow_empty_source: bool = False
    backup: Address | None = None  # what is deleted goes there instead of away


class Options(Struct, frozen=True):
    """Everything about a job but its addresses."""

    compare: Compare = Compare.TIME
    dry_run: bool = False
    filters: Filters = Filters()
    follow_symlinks: bool = True
    credentials: CredentialSettings = CredentialSettings()
    oss: OssSettings = OssSettings()
    transfer: TransferSettings = TransferSettings()
    deletes: DeleteSettings = DeleteSettings()
    limits: Limits = Limits()
    state: StateSettings = StateSettings()


class Job(Struct, frozen=True):
    """One run, completely described: a tree (``recursive``) or a single object."""

    source: Address
    destination: Address
    recursive: bool = True
    options: Options = Options()

    @property
    def direction(self) -> Direction:
        """Which way bytes go.

        Raises:
            UsageError: both addresses are local.
        """
        match self.source, self.destination:
            case OssAddress(), LocalAddress():
                return Direction.DOWNLOAD
            case LocalAddress(), OssAddress():
                return Direction.UPLOAD
            case OssAddress(), OssAddress():
                return Direction.COPY
            case _:
                raise UsageError(
                    f"{self.source} and {self.destination} are both local: one must be oss://"
                )


def options_from_env(environ: Mapping[str, str]) -> Options:
    """The defaults of this environment: ``OSSSYNC_CREDENTIALS``, ``OSSSYNC_ENDPOINT`` and so on.

    Raises:
        UsageError: a variable holds something unknown.
    """
    return Options(
        credentials=credentials_from_env(environ),
        oss=OssSettings(
            endpoint=environ.get("OSSSYNC_ENDPOINT", ""),
            region=environ.get("OSSSYNC_REGION", ""),
            ca_file=environ.get("OSSSYNC_CA_FILE", ""),
        ),
        state=StateSettings(directory=environ.get("OSSSYNC_STATE_DIR", "")),
    )


def credentials_from_env(environ: Mapping[str, str]) -> CredentialSettings:
    """Credential settings of the environment: ``OSSSYNC_CREDENTIALS`` and what goes with it.

    ``ALIBABA_CLOUD_ECS_METADATA`` is the documented name of the role;
    ``ALIBABA_CLOUD_IMDSV1_DISABLED=true`` the documented hardened mode.

    Raises:
        UsageError: an unknown source.
    """
    name = environ.get("OSSSYNC_CREDENTIALS", "") or CredentialSource.INSTANCE_ROLE.value
    return CredentialSettings(
        source=parse_source(name),
        role_name=environ.get("ALIBABA_CLOUD_ECS_METADATA", ""),
        imds_v2_only=environ.get("ALIBABA_CLOUD_IMDSV1_DISABLED", "").lower() == "true",
        profile=environ.get("ALIBABA_CLOUD_PROFILE", ""),
        uri=environ.get("ALIBABA_CLOUD_CREDENTIALS_URI", ""),
        metadata_proxy=environ.get("OSSSYNC_METADATA_PROXY", ""),
    )


def parse_source(name: str) -> CredentialSource:
    """Read the name of a credential source.

    Raises:
        UsageError: no such source.
    """
    try:
        return CredentialSource(name)
    except ValueError:
        names = ", ".join(source.value for source in CredentialSource)
        raise UsageError(f"credentials {name!r} are not known; choose one of {names}") from None


def expand(address: LocalAddress) -> Path:
    """The absolute path of a local address, ``~`` expanded, symlinks kept.

    Raises:
        UsageError: ``~`` of somebody without a home directory.
    """
    try:
        path = Path(address.path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{address.path}: no home directory is known; set HOME") from error
    return Path(os.path.abspath(path))  # noqa: PTH100 - keeps symlinks
