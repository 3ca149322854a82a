"""What was asked and how it was answered: for tests that assert cost, and as NDJSON for people.

Signatures and tokens are blanked before anything is kept; secrets never travel in requests.
"""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

# Enough for a listing of every object of a big demo, and a bound for a server that runs for weeks.
_KEPT = 200_000
_SECRET_NAMES = frozenset(
    {"signature", "security-token", "x-oss-signature", "x-oss-security-token"}
)
_SECRET_IN_TARGET = re.compile(
    r"(?i)((?:^|[?&])(?:signature|security-token|x-oss-signature|x-oss-security-token)=)[^&]*"
)


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request and its answer. ``operation`` is OSS's name; empty if none could be found."""

    number: int  # 1, 2, … in the order in which answers began
    time_s: float  # epoch, arrival
    method: str
    host: str
    target: str
    bucket: str
    key: str
    operation: str
    query: Mapping[str, str]
    status: int
    code: str  # of the error, empty if there was none
    access_key_id: str
    range: str  # the Range header
    received: int  # bytes of the request body
    sent: int  # bytes of the response body; 0 if the client did not take it all
    part_number: int  # 0 where there is none
    duration_s: float
    request_id: str


def blank_target(target: str) -> str:
    """A request target without signature and token."""
    return _SECRET_IN_TARGET.sub(r"\1***", target)


def blank_query(query: Mapping[str, str]) -> dict[str, str]:
    """A decoded query without signature and token."""
    return {
        name: "***" if name.lower() in _SECRET_NAMES else value for name, value in query.items()
    }


class RequestLog:
    """The last requests, in the order in which their answers began. Thread-safe.

    A request is there before its client can have read the answer, so that a test may look at once.

    Args:
        path: NDJSON file to append to.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._requests: dict[int, LoggedRequest] = {}
        self._count = 0
        self._file: TextIO | None = None
        if path is not None:
            self._file = path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace")

    def next_number(self) -> int:
        """The number of the next request; it must be begun."""
        with self._lock:
            self._count += 1
            return self._count

    def begin(self, request: LoggedRequest) -> None:
        """Keep a request that is about to be answered."""
        with self._lock:
            self._requests[request.number] = request
            self._requests.pop(request.number - _KEPT, None)

    def finish(self, request: LoggedRequest) -> None:
        """Replace a request by what became of it, and write it to the file."""
        with self._lock:
            if request.number in self._requests:
                self._requests[request.number] = request
            if self._file is not None and not self._file.closed:
                self._file.write(json.dumps(asdict(request)) + "\n")

    def snapshot(self) -> list[LoggedRequest]:
        """The requests so far."""
        with self._lock:
            return list(self._requests.values())

    def clear(self) -> None:
        """Forget the requests so far; the file keeps them, and numbers go on."""
        with self._lock:
            self._requests.clear()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
