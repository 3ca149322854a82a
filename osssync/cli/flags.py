"""The flags themselves, by family, and how they become settings. Names as other tools have them."""

import os
import time
from pathlib import Path
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from osssync.cli.declared import flag
from osssync.config import (
    Compare,
    CredentialSettings,
    OssSettings,
    SignatureVersion,
    TransferSettings,
    credentials_from_env,
    options_from_env,
    parse_source,
)
from osssync.errors import UsageError
from osssync.filters import Filters, RuleFlag, flags_of_lines
from osssync.units import parse_duration, parse_size


class ConnectionFlags(Struct, frozen=True):
    """Who we are and where OSS is."""

    endpoint: Annotated[
        str | None,
        flag("--endpoint", "-e", help="OSS endpoint; https unless it says http://."),
    ] = None
    region: Annotated[
        str | None, flag(help="Region id, such as cn-hangzhou; the instance's own if none.")
    ] = None
    internal: Annotated[bool, flag("--internal", help="Use the region's internal endpoint.")] = (
        False
    )
    public: Annotated[bool, flag("--public", help="Use the public endpoint even on ECS.")] = False
    accelerate: Annotated[
        bool, flag("--accelerate", help="Use the transfer acceleration endpoint.")
    ] = False
    path_style: Annotated[bool, flag("--path-style", help="Put the bucket into the path.")] = False
    signature: Annotated[SignatureVersion, flag(help="Signature version.")] = SignatureVersion.V4
    ca_file: Annotated[
        str | None, flag(metavar="FILE", help="Trust this CA; also OSSSYNC_CA_FILE.")
    ] = None
    env_proxy: Annotated[
        bool, flag("--env-proxy", help="Reach OSS through HTTP(S)_PROXY (never metadata).")
    ] = False
    credentials: Annotated[
        str | None,
        flag(
            metavar="SOURCE",
            help="instance-role (default), env, profile, oidc or uri; also OSSSYNC_CREDENTIALS.",
        ),
    ] = None
    profile: Annotated[
        str | None, flag(help="Profile of ~/.aliyun/config.json (--credentials profile).")
    ] = None
    role_name: Annotated[
        str | None, flag(help="Name of the instance's RAM role; discovered if not given.")
    ] = None
    imds_v2_only: Annotated[
        bool, flag("--imds-v2-only", help="Never fall back to metadata without a token.")
    ] = False

    def credential_settings(self) -> CredentialSettings:
        """The environment's settings, overridden by what was given."""
        settings = credentials_from_env(os.environ)
        if self.credentials:
            settings = replace(settings, source=parse_source(self.credentials))
        return replace(
            settings,
            profile=self.profile or settings.profile,
            role_name=self.role_name or settings.role_name,
            imds_v2_only=self.imds_v2_only or settings.imds_v2_only,
        )

    def oss_settings(self) -> OssSettings:
        """The environment's settings, overridden by what was given.

        Raises:
            UsageError: flags that exclude each other.
        """
        if self.internal and self.public:
            raise UsageError("--internal and --public exclude each other: choose one")
        settings = options_from_env(os.environ).oss
        internal = True if self.internal else False if self.public else None
        return replace(
            settings,
            endpoint=self.endpoint or settings.endpoint,
            region=self.region or settings.region,
            internal=internal,
            accelerate=self.accelerate,
            path_style=self.path_style,
            signature=self.signature,
            use_env_proxies=self.env_proxy,
            ca_file=self.ca_file or settings.ca_file,
        )


class TransferFlags(Struct, frozen=True):
    """How to transfer, and what new objects are like."""

    dry_run: Annotated[
        bool, flag("--dry-run", "-n", help="Show what would be done, do nothing.")
    ] = False
    size_only: Annotated[bool, flag("--size-only", help="Same size means same; ignore times.")] = (
        False
    )
    update: Annotated[
        bool, flag("--update", "-u", help="Never replace what is newer and as large.")
    ] = False
    ignore_existing: Annotated[
        bool, flag("--ignore-existing", help="Only what the destination lacks.")
    ] = False
    jobs: Annotated[str, flag("--jobs", "-j", metavar="N|auto", help="Requests in flight.")] = (
        "auto"
    )
    parallel: Annotated[
        int, flag(help="Of these, at most so many for one object (0: all).", least=0)
    ] = 0
    processes: Annotated[
        str, flag(metavar="N|auto", help="Worker processes; 1: none beside this one.")
    ] = "auto"
    part_size: Annotated[
        str | None, flag(metavar="SIZE", help="Bytes per part of a large object [8M].")
    ] = None
    bigfile_threshold: Annotated[
        str, flag(metavar="SIZE", help="From this size on, objects travel in parts.")
    ] = "16M"
    retries: Annotated[int, flag(help="Repeats of one failed request.", least=0, most=100)] = 9
    follow_symlinks: Annotated[
        bool, flag("--follow-symlinks/--no-follow-symlinks", help="Upload what links name.")
    ] = True
    storage_class: Annotated[
        str | None, flag(help="Standard, IA, Archive, ColdArchive, DeepColdArchive.")
    ] = None
    acl: Annotated[str | None, flag(help="default, private, public-read or public-read-write.")] = (
        None
    )
    content_type: Annotated[str | None, flag(help="Content-Type of new objects.")] = None
    cache_control: Annotated[str | None, flag(help="Cache-Control of new objects.")] = None
    content_encoding: Annotated[
        str | None, flag(help="Content-Encoding of new objects (bytes stay as they are).")
    ] = None
    metadata: Annotated[
        list[str], flag(metavar="NAME=VALUE", help="User metadata; repeatable.")
    ] = []
    tagging: Annotated[
        str | None, flag(metavar="K=V&K=V", help="Tags of new objects, URL-encoded.")
    ] = None
    sse: Annotated[str | None, flag(help="Encrypt at rest: AES256, KMS or SM4.")] = None
    sse_kms_key_id: Annotated[str | None, flag(help="The KMS key (--sse KMS).")] = None

    def settings(self) -> TransferSettings:
        """All of it as settings.

        Raises:
            UsageError: a size, a number or a metadata pair that cannot be.
        """
        return TransferSettings(
            jobs=_count_or_auto("--jobs", self.jobs),
            parallel=self.parallel,
            processes=_count_or_auto("--processes", self.processes),
            part_size=bytes_of("--part-size", self.part_size) if self.part_size else 0,
            bigfile_threshold=bytes_of("--bigfile-threshold", self.bigfile_threshold),
            retries=self.retries,
            headers=self._headers(),
        )

    def compare(self, default: Compare) -> Compare:
        """What makes two sides differ.

        Raises:
            UsageError: more than one of the flags that say so.
        """
        chosen = [
            compare
            for given, compare in (
                (self.size_only, Compare.SIZE),
                (self.update, Compare.UPDATE),
                (self.ignore_existing, Compare.EXISTS),
            )
            if given
        ]
        if len(chosen) > 1:
            raise UsageError("--size-only, --update and --ignore-existing exclude each other")
        return chosen[0] if chosen else default

    def _headers(self) -> tuple[tuple[str, str], ...]:
        headers = {
            "x-oss-storage-class": self.storage_class,
            "x-oss-object-acl": self.acl,
            "Content-Type": self.content_type,
            "Cache-Control": self.cache_control,
            "Content-Encoding": self.content_encoding,
            "x-oss-tagging": self.tagging,
            "x-oss-server-side-encryption": self.sse,
            "x-oss-server-side-encryption-key-id": self.sse_kms_key_id,
        }
        for pair in self.metadata:
            name, separator, value = pair.partition("=")
            if not separator or not name.replace("-", "").replace("_", "").isalnum():
                raise UsageError(f"--metadata {pair!r}: give NAME=VALUE")
            headers[f"x-oss-meta-{name.lower()}"] = value
        return tuple((name, value) for name, value in headers.items() if value is not None)


class FilterFlags(Struct, frozen=True):
    """Which objects a command looks at. Of the rules, the first that matches decides."""

    include: Annotated[list[str], flag(metavar="PATTERN", help="Include.")] = []
    exclude: Annotated[list[str], flag(metavar="PATTERN", help="Exclude.")] = []
    filter: Annotated[
        list[str], flag(metavar="RULE", help="'+ PATTERN', '- PATTERN', or '!'.")
    ] = []
    include_from: Annotated[
        list[str], flag(metavar="FILE", help="Include patterns, one a line.")
    ] = []
    exclude_from: Annotated[
        list[str], flag(metavar="FILE", help="Exclude patterns, one a line.")
    ] = []
    filter_from: Annotated[list[str], flag(metavar="FILE", help="Filter rules, one a line.")] = []
    files_from: Annotated[list[str], flag(metavar="FILE", help="Only the paths in this file.")] = []
    min_size: Annotated[str | None, flag(metavar="SIZE", help="Not smaller.")] = None
    max_size: Annotated[str | None, flag(metavar="SIZE", help="Not larger.")] = None
    min_age: Annotated[str | None, flag(metavar="DURATION", help="Not younger.")] = None
    max_age: Annotated[str | None, flag(metavar="DURATION", help="Not older.")] = None

    def filters(self, argv: tuple[str, ...]) -> Filters:
        """The rules in the order of the command line, and the bounds.

        Raises:
            UsageError: a rule, size or duration that cannot be, or a file that cannot be read.
        """
        names = [line for path in self.files_from for line in _lines("--files-from", path)]
        filters = Filters.from_flags(
            _rules_in_order(argv), files_from=names if self.files_from else None
        )
        now_ns = time.time_ns()
        return replace(
            filters,
            min_size=bytes_of("--min-size", self.min_size) if self.min_size else None,
            max_size=bytes_of("--max-size", self.max_size) if self.max_size else None,
            max_mtime_ns=now_ns - _age_ns("--min-age", self.min_age) if self.min_age else None,
            min_mtime_ns=now_ns - _age_ns("--max-age", self.max_age) if self.max_age else None,
        )


class OutputFlags(Struct, frozen=True):
    """What to print."""

    json: Annotated[bool, flag("--json", help="One JSON object a line on stdout.")] = False
    quiet: Annotated[bool, flag("--quiet", "-q", help="Print failures only.")] = False
    no_progress: Annotated[
        bool, flag("--no-progress", help="No progress bar even on a terminal.")
    ] = False
    verbose: Annotated[
        int,
        flag("--verbose", "-v", is_counted=True, help="Also skips, and why; -vv: log."),
    ] = 0


def _rules_in_order(argv: tuple[str, ...]) -> list[tuple[RuleFlag, str]]:
    """The rule flags among the words of a command line, files read in their place."""
    rules: list[tuple[RuleFlag, str]] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            break
        name, joined, value = word.partition("=")
        kind, _, is_file = name.removeprefix("--").partition("-")
        if not name.startswith("--") or is_file not in ("", "from"):
            continue
        if kind not in {flag.value for flag in RuleFlag}:
            continue
        flag = RuleFlag(kind)
        value = value if joined else next(words, "")
        rules += flags_of_lines(flag, _lines(name, value)) if is_file else [(flag, value)]
    return rules


def _lines(flag: str, path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{flag} {path}: {error}") from error


def bytes_of(flag: str, text: str) -> int:
    """The size that a flag was given.

    Raises:
        UsageError: not a size; names the flag.
    """
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"{flag} {error}") from error


def seconds_of(flag: str, text: str) -> float:
    """The duration that a flag was given, in seconds.

    Raises:
        UsageError: not a duration; names the flag.
    """
    try:
        return parse_duration(text)
    except UsageError as error:
        raise UsageError(f"{flag} {error}") from error


def _age_ns(flag: str, text: str) -> int:
    return int(seconds_of(flag, text) * 1e9)


def _count_or_auto(flag: str, text: str) -> int:
    """A number, or 0 for "auto"."""
    if text == "auto":
        return 0
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise UsageError(f"{flag} {text!r}: give a number from 1, or auto")
    return int(text)
