"""One HTTP exchange with a local service: direct, bounded, in time. What to ask is for callers.

The proxies of the environment would send link-local traffic to another machine, which answers with
*its own* credentials; redirects would do the same. So neither exists here: the only way round is
the proxy that a ``Route`` names.

Source: RFC 9112 §3.2 (origin-form, absolute-form to a proxy), §6 (message body length).
"""

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from osssync.errors import UsageError
from osssync.veiled import Veiled

if TYPE_CHECKING:
    import http.client

MAX_BODY_BYTES = 64 * 1024  # a set of credentials is 2 KiB


class GarbledReplyError(OSError):
    """What came back is not HTTP, was cut short, or does not end."""


class Route(Struct, frozen=True):
    """How to reach the service.

    ``proxy`` is ``http://HOST:PORT`` or ``HOST:PORT``; empty for a direct connection. ``timeout_s``
    bounds the connect, then the wait for an answer, then the reading of its body.

    Raises:
        UsageError: the proxy is not a plain HTTP address.
    """

    proxy: str = ""
    timeout_s: float = 1.0

    def __post_init__(self) -> None:
        self.proxy_address()

    def proxy_address(self) -> tuple[str, int] | None:
        """Host and port of the proxy; None for a direct connection.

        Raises:
            UsageError: the proxy is not a plain HTTP address.
        """
        if not self.proxy:
            return None
        parts = urlsplit(self.proxy if "://" in self.proxy else f"http://{self.proxy}")
        address = _address(parts, default_port=0)
        if parts.scheme != "http" or "@" in parts.netloc or address is None or not address[1]:
            raise UsageError(
                "the metadata proxy must be http://HOST:PORT, without a user name: "
                "it is a local emulator or sidecar that answers for the metadata service"
            )
        return address


class Question(Veiled, frozen=True):
    """One request. ``url`` is absolute; the body is empty."""

    method: str
    url: str
    headers: Mapping[str, str] = {}  # may hold a token


class Reply(Veiled, frozen=True):
    """One response. The body may hold secrets, so it is veiled."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Trace(Struct, frozen=True):
    """A question and what became of it: a reply, or the failure that took its place."""

    question: Question
    reply: Reply | None = None
    failure: OSError | None = None


def ask(question: Question, route: Route) -> Trace:
    """Send a question and read the whole reply. A transport failure is part of the trace."""
    try:
        return Trace(question, reply=_exchange(question, route))
    except OSError as error:
        return Trace(question, failure=error)


def _exchange(question: Question, route: Route) -> Reply:
    import http.client

    parts = urlsplit(question.url)
    connection = _connection(parts, route)
    target = question.url if route.proxy else parts._replace(scheme="", netloc="").geturl()
    try:
        connection.request(question.method, target, headers=dict(question.headers))
        sock = connection.sock  # getresponse() forgets it when the server means to close
        with connection.getresponse() as response:
            body = _read(response, sock, route.timeout_s)
            headers = dict(response.headers.items())
            return Reply(response.status, response.reason, headers, body)
    except OSError:
        raise  # here too: RemoteDisconnected is both a ConnectionResetError and a BadStatusLine
    except (http.client.HTTPException, ValueError) as error:
        raise GarbledReplyError(f"not HTTP ({type(error).__name__})") from error
    finally:
        connection.close()


def _read(response: "http.client.HTTPResponse", sock: socket.socket, timeout_s: float) -> bytes:
    """The whole body. ``read1`` reports a cut connection as an end, so the length is compared."""
    body = bytearray()
    deadline_s = time.monotonic() + timeout_s
    while not response.isclosed():
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no complete answer within {timeout_s:g} s")
        sock.settimeout(left_s)
        chunk = response.read1(MAX_BODY_BYTES)
        if not chunk:
            break
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise GarbledReplyError(f"more than {MAX_BODY_BYTES} bytes")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) != len(body):
        raise GarbledReplyError(f"{announced} bytes announced, {len(body)} received")
    return bytes(body)


def _connection(parts: SplitResult, route: Route) -> "http.client.HTTPConnection":
    import http.client

    is_tls = parts.scheme == "https"
    address = route.proxy_address() or _address(parts, default_port=443 if is_tls else 80)
    if address is None or parts.scheme not in {"http", "https"} or (is_tls and route.proxy):
        raise UsageError("not an address that can be asked for credentials")
    host, port = address
    if is_tls:
        return http.client.HTTPSConnection(host, port, timeout=route.timeout_s)
    return http.client.HTTPConnection(host, port, timeout=route.timeout_s)


def _address(parts: SplitResult, default_port: int) -> tuple[str, int] | None:
    try:
        port = parts.port
    except ValueError:  # not a number, or out of range
        return None
    return (parts.hostname, port or default_port) if parts.hostname else None
