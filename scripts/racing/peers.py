"""Who races, and the command line of each: with its defaults, and with the flags that suit it best.

Every client moves a whole bucket to an empty folder, or a whole folder to an empty bucket, so that
its start, its listing and its own checks count. Pure; runs nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from racing.measure import Command
from racing.races import Direction, Race
from racing.workshop import Tools

OSSSYNC: Final = "osssync"
BARE: Final = "bare loop"
_RIDERS: Final = Path(__file__).parent / "riders"
# Nobody looks at them: the server does not check signatures, and clients want to sign.
_ID, _SECRET = "raceid", "racesecret"
# Go, botocore, requests.
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_DIALECT_REGION: Final = {"oss": "cn-hangzhou", "s3": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where one run happens.

    ``files`` is the folder that is uploaded, downloaded into, or already equal; ``scratch`` is an
    empty folder for a client's own state; ``port`` is that of the server, or of its TLS front.
    """

    race: Race
    tools: Tools
    port: int
    ca: Path
    files: Path
    scratch: Path

    @property
    def endpoint(self) -> str:
        """Address of the server, as far as its port."""
        return f"{'https' if self.race.tls else 'http'}://127.0.0.1:{self.port}"

    def way(self, remote: str) -> tuple[str, str]:
        """Source and destination, the remote side being ``remote``."""
        local = f"{self.files}/"
        return (local, remote) if self.race.direction is Direction.UP else (remote, local)

    def environment(self) -> dict[str, str]:
        """What every client gets; none of this machine's settings reach it."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.scratch),
            "TMPDIR": str(self.scratch),
            "LANG": "C.UTF-8",
            "ALIBABA_CLOUD_ACCESS_KEY_ID": _ID,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": _SECRET,
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
            "OSS_ACCESS_KEY_ID": _ID,
            "OSS_ACCESS_KEY_SECRET": _SECRET,
            "AWS_ACCESS_KEY_ID": _ID,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_REGION": _DIALECT_REGION["s3"],
            "AWS_DEFAULT_REGION": _DIALECT_REGION["s3"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",  # OSS knows no aws-chunked bodies
            **(dict.fromkeys(_CA_VARIABLES, str(self.ca)) if self.race.tls else {}),
        }


Line = Callable[[Stage], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Peer:
    """One client with one set of flags; ``line`` makes its command line."""

    name: str
    line: Line
    noop: bool = True  # knows how to leave equal things alone
    plain_only: bool = False  # no TLS, no latency: a reference, not a client

    def enters(self, race: Race) -> bool:
        """Whether it can take part."""
        if race.direction is Direction.NOTHING and not self.noop:
            return False
        return not (self.plain_only and (race.tls or race.latency_ms))

    def command(self, stage: Stage) -> Command:
        """What to run."""
        return Command(self.line(stage), stage.environment())


def _osssync(stage: Stage) -> Sequence[str]:
    source, destination = stage.way(f"oss://{stage.race.bucket}")
    return [
        *(str(stage.tools.osssync), "sync", source, destination, "--credentials", "env"),
        *("--endpoint", stage.endpoint, "--path-style", "--region", _DIALECT_REGION["oss"]),
        *("--state-dir", str(stage.scratch)),
        *(("--ca-file", str(stage.ca)) if stage.race.tls else ()),
    ]


def _juicefs(stage: Stage, *flags: str) -> Sequence[str]:
    remote = f"oss://{_ID}:{_SECRET}@{stage.race.bucket}.127.0.0.1:{stage.port}/"
    source, destination = stage.way(remote)
    secure = () if stage.race.tls else ("--no-https",)
    return [stage.tools.program("juicefs"), "sync", *secure, *flags, source, destination]


def _s5cmd(stage: Stage, before: Sequence[str] = (), after: Sequence[str] = ()) -> Sequence[str]:
    remote = f"s3://{stage.race.bucket}/"
    source, destination = stage.way(remote)
    program = [stage.tools.program("s5cmd"), "--endpoint-url", stage.endpoint, *before]
    if stage.race.direction is Direction.NOTHING:
        return [*program, "sync", f"{remote}*", destination]
    stars = "*" if source == remote else ""
    return [*program, "cp", *after, f"{source}{stars}", destination]


def _rclone(stage: Stage, *flags: str) -> Sequence[str]:
    remote = (
        f":s3,provider=Other,env_auth,region={_DIALECT_REGION['s3']},no_check_bucket,"
        f"endpoint='{stage.endpoint}':{stage.race.bucket}"
    )
    source, destination = stage.way(remote)
    verb = "sync" if stage.race.direction is Direction.NOTHING else "copy"
    program = [stage.tools.program("rclone"), "--config", "/dev/null", verb]
    return [*program, *flags, source, destination]


def _aws(stage: Stage) -> Sequence[str]:
    source, destination = stage.way(f"s3://{stage.race.bucket}")
    verb = ("sync",) if stage.race.direction is Direction.NOTHING else ("cp", "--recursive")
    program = (stage.tools.program("aws"), "--endpoint-url", stage.endpoint, "s3")
    return [*program, *verb, source, destination]


def _rider(name: str) -> Line:
    def line(stage: Stage) -> Sequence[str]:
        race = stage.race
        return [
            *(stage.tools.program("python"), str(_RIDERS / f"{name}.py"), race.direction.value),
            *(stage.endpoint, race.bucket, str(stage.files), str(race.material.count)),
        ]

    return line


_RCLONE_BEST = ("--transfers", "32", "--checkers", "32", "--multi-thread-streams", "4")
_RCLONE_LISTING = ("--fast-list", "--use-server-modtime")

PEERS: Final = (
    Peer(OSSSYNC, _osssync),
    Peer("juicefs", _juicefs),
    Peer("juicefs -p 32", lambda stage: _juicefs(stage, "-p", "32")),
    Peer("s5cmd", _s5cmd),
    Peer(
        "s5cmd tuned",
        lambda stage: _s5cmd(stage, ("--numworkers", "32"), ("--concurrency", "8")),
    ),
    Peer("rclone", _rclone),
    Peer("rclone tuned", lambda stage: _rclone(stage, *_RCLONE_BEST, *_RCLONE_LISTING)),
    Peer("aws", _aws),
    Peer("s3transfer crt", _rider("crt_tree"), noop=False),
    Peer("oss2", _rider("oss2_tree"), noop=False),
    Peer("oss-v2", _rider("oss_v2_tree"), noop=False),
    Peer(BARE, _rider("bare_loop"), noop=False, plain_only=True),
)


def chosen(names: Sequence[str]) -> list[Peer]:
    """The peers whose name, or first word of it, is given, osssync always; all if none is given.

    Raises:
        ValueError: a name is nobody's.
    """
    for name in names:
        if not any(name in (peer.name, peer.name.split()[0]) for peer in PEERS):
            raise ValueError(f"no peer is called {name}")
    return [
        peer
        for peer in PEERS
        if not names
        or peer.name == OSSSYNC
        or any(name in (peer.name, peer.name.split()[0]) for name in names)
    ]
