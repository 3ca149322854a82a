"""From an origin to a connected ``Channel``: name, socket, proxy, TLS.

Threads and fibers dial alike; a fiber gives way while it waits for the other side.
"""

import socket
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from osssync.errors import UsageError
from osssync.fibers import Loop, running
from osssync.oss.channel import Channel
from osssync.oss.wire import BrokenReplyError, request_head
from osssync.veiled import Veiled

if TYPE_CHECKING:
    import ssl

_PORTS = {"http": 80, "https": 443}


class Proxy(Veiled, frozen=True):
    """Where requests go first. ``login`` is the value of Proxy-Authorization, or ""."""

    host: str
    port: int
    login: str


class Origin(msgspec.Struct, frozen=True):
    """Scheme, host and port of a service, and how it is reached."""

    scheme: str
    netloc: str  # as the Host header has it
    host: str
    port: int
    proxy: Proxy | None
    tls: "ssl.SSLContext | None"

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy reads the requests, and has to be told the whole address."""
        return self.proxy is not None and self.tls is None


def origin_of(scheme: str, netloc: str, ca_file: str, *, use_env_proxies: bool) -> Origin:
    """How to reach a service.

    Raises:
        UsageError: a port, a proxy or a CA file that cannot be.
    """
    try:
        parts = urlsplit(f"{scheme}://{netloc}")
        host, port = parts.hostname or "", parts.port or _PORTS[scheme]
    except (ValueError, KeyError) as error:
        raise UsageError(f"{scheme}://{netloc} is not an address: check --endpoint") from error
    proxy = _env_proxy(scheme, netloc) if use_env_proxies else None
    tls = _trust(ca_file) if scheme == "https" else None
    return Origin(scheme, netloc, host, port, proxy, tls)


def dial(
    origin: Origin, connect_s: float, stall_s: float, session: "ssl.SSLSession | None" = None
) -> Channel:
    """Connect, within ``connect_s`` seconds for each step.

    Args:
        origin: where to.
        connect_s: for one address, for the proxy's answer, and for the handshake.
        stall_s: what the channel waits for a byte.
        session: of an earlier connection to this origin, to be gone on with.

    Raises:
        OSError: nobody there, or nobody to be trusted.
    """
    loop = running()
    host, port = origin.host, origin.port
    if origin.proxy is not None:
        host, port = origin.proxy.host, origin.proxy.port
    sock = _connect(host, port, loop, connect_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if origin.tls is not None and origin.proxy is not None:
            _tunnel(sock, loop, origin, connect_s)
        channel = Channel(sock, loop, connect_s)
        if origin.tls is not None:
            from osssync.oss.tls import Tls

            channel.secure(Tls(origin.tls, origin.host, session))
        channel.limit_waits(stall_s)
    except BaseException:
        sock.close()
        raise
    else:
        return channel


def _connect(host: str, port: int, loop: Loop | None, connect_s: float) -> socket.socket:
    # Text would load Python's tables for names that are not ASCII.
    name: Any = host.encode() if host.isascii() else host
    if loop is None:
        return socket.create_connection((name, port), connect_s)
    failure: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        name, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(0)
            _connect_in_fiber(sock, address, loop, connect_s)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError(f"{host} has no address")


def _connect_in_fiber(
    sock: socket.socket, address: tuple[object, ...], loop: Loop, connect_s: float
) -> None:
    loop.watch(sock.fileno())
    try:
        sock.connect(address)
    except BlockingIOError:
        loop.wait_writable(sock.fileno(), connect_s)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, "cannot connect") from None


def _tunnel(sock: socket.socket, loop: Loop | None, origin: Origin, connect_s: float) -> None:
    target = f"{origin.host}:{origin.port}"
    headers = {}
    if origin.proxy is not None and origin.proxy.login:
        headers["Proxy-Authorization"] = origin.proxy.login
    channel = Channel(sock, loop, connect_s)
    channel.send(request_head("CONNECT", target, target, headers), None)
    head = channel.read_head(is_head_request=True)
    if head.status != 200:
        raise BrokenReplyError(f"the proxy refused the connection with status {head.status}")


def _env_proxy(scheme: str, netloc: str) -> Proxy | None:
    import urllib.request

    if urllib.request.proxy_bypass(netloc):
        return None
    url = urllib.request.getproxies().get(scheme, "")
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if not host or parts.scheme != "http":
        raise UsageError(
            "the proxy of the environment cannot be used: give http://HOST:PORT"
        ) from None  # the address may hold a password
    login = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        login = f"Basic {b64encode(pair.encode()).decode()}"
    return Proxy(host, port, login)


def _trust(ca_file: str) -> "ssl.SSLContext":
    import ssl  # here: 6 ms that a run without TLS needs not

    paths = ssl.get_default_verify_paths()
    if not (ca_file or paths.cafile or paths.capath):
        import certifi

        ca_file = certifi.where()  # a container without the system's store
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise UsageError(f"CA file {ca_file}: cannot be read as PEM certificates") from error
