"""The neutral server, its TLS front, and what a race asks of them between its runs."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from racing.workshop import Tools, WorkshopError

START_S: Final = 10.0
CONTROL_TIMEOUT_S: Final = 120.0  # loading a bucket computes the CRC of all it holds


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; ``tls_port`` is None where there is no TLS front."""

    port: int
    tls_port: int | None
    ca: Path

    def ask(self, command: str) -> str:
        """Sends a control request, see ``control`` in server/routes.rs.

        Raises:
            OSError: the server did not answer.
        """
        url = f"http://127.0.0.1:{self.port}/_control/{command}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=CONTROL_TIMEOUT_S) as reply:
            text: str = reply.read().decode()
        return text

    def counts(self) -> dict[str, int]:
        """Requests since the last ``forget``: all, reads, writes, listings."""
        counts: dict[str, int] = json.loads(self.ask("counts"))
        return counts


@contextlib.contextmanager
def serving(tools: Tools, root: Path, synthetic: int) -> Iterator[Server]:
    """Serves the folders of ``root`` on loopback, and ``synthetic`` made-up keys.

    Raises:
        WorkshopError: the server or its TLS front does not start.
    """
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(  # noqa: S603 - built by the workshop
            [tools.server, root, "0", str(synthetic)], stdout=subprocess.PIPE, text=True
        )
        stack.callback(_stop, process)
        if process.stdout is None or not (line := process.stdout.readline()):
            raise WorkshopError("the server did not start")
        port = int(line)
        ca = root.parent / "ca.pem"
        tls_port = None
        if tools.tls_front:
            tls_port = _free_port()
            stack.callback(_stop, _tls_front(tools.tls_front, ca, port, tls_port))
            _await(tls_port)
        yield Server(port, tls_port, ca)


def _tls_front(program: Path, ca: Path, port: int, tls_port: int) -> "subprocess.Popen[str]":
    _certificate(ca)
    key = ca.with_suffix(".key.pem")
    return subprocess.Popen(  # noqa: S603 - Debian's hitch
        [
            program,
            f"--backend=[127.0.0.1]:{port}",
            f"--frontend=[127.0.0.1]:{tls_port}",
            "--workers=2",
            "--user=nobody",
            "--quiet",
            key,
        ],
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # every start and stop, at length
    )


def _certificate(ca: Path) -> None:
    """A certificate of 127.0.0.1 that is its own authority, and beside it one file with its key."""
    key = ca.with_suffix(".key")
    name = "/CN=127.0.0.1"
    # hitch looks up what a client names, were it an address, and dies if it has no name at all.
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    subprocess.run(  # noqa: S603 - arguments are this file's own
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", name, "-addext", names),
            *("-keyout", str(key), "-out", str(ca)),
        ],
        check=True,
        capture_output=True,
    )
    both = ca.with_suffix(".key.pem")
    both.write_bytes(key.read_bytes() + ca.read_bytes())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _await(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    raise WorkshopError("the TLS front did not start")


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait()
