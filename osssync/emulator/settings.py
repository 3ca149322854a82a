"""What an emulator can be told before it starts. Nothing here does I/O."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StaticCredential:
    """A credential that never expires; with a token it must be sent along, like an STS one."""

    access_key_id: str
    access_key_secret: str
    security_token: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of one emulator. Port 0 picks a free one.

    The account owner's static credentials may do everything; the role may do what ``policy``
    (a RAM policy document) allows, and everything without one.
    """

    port: int = 0
    metadata_port: int = 0
    control_port: int = 0
    bind: str = "127.0.0.1"
    region: str = "cn-hangzhou"
    domains: tuple[str, ...] = ()  # suffixes for virtual-hosted names; *.aliyuncs.com always works
    credentials: tuple[StaticCredential, ...] = ()
    buckets: tuple[str, ...] = ()
    role: str = "EcsRamRole"
    lifetime_s: float = 3600.0  # of a set of role credentials
    imds_v2_only: bool = False
    policy: Path | None = None
    root: Path | None = None  # objects on disk; in memory without it
    tls_cert: Path | None = None
    tls_key: Path | None = None
    request_log: Path | None = None  # NDJSON
    faults: Path | None = None
    restore_s: float = 1.0  # until an archived object is readable; OSS takes minutes to hours
