"""The HTTP session handed to oss2 through its ``session=`` seam: urllib3 and nothing between.

oss2's stock session follows redirects (and forwards the security token to the new host), lets
``~/.netrc`` replace the signature, takes proxies from the environment, unpacks gzip under the
checksum, and has one timeout for connecting and for reading. This one does none of that, reuses
connections, and costs a third of the CPU. It signs nothing, repeats nothing and translates no
errors; those are urllib3's until ``translate`` sees them.
"""

import logging
import mmap
import platform
import re
import socket
import ssl
import threading
import urllib.request
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol, cast, runtime_checkable

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from osssync.config import OssSettings
from osssync.errors import SourceChangedError, UsageError
from osssync.oss.signing import SdkRequest, query_string
from osssync.version import __version__

READ_BYTES = 1 << 20  # 3.2 GB per CPU second; 0.4 with oss2's 16 KiB
_SEND_BYTES = 1 << 18  # a socket's timeout is for one sendall: small enough for 10 KB/s in 30 s
_ERROR_BODY_BYTES = 1 << 16  # OSS error documents are about 1 KiB
_ILLEGAL_IN_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

USER_AGENT = (
    f"osssync/{__version__} ({platform.system()}; {platform.machine()}; "
    f"Python/{platform.python_version()})"
)


BUFFERS = (bytes, bytearray, memoryview, mmap.mmap)


@runtime_checkable
class SizedFile(Protocol):
    """A file and how many bytes of it are the body: what oss2 makes of an open file."""

    @property
    def len(self) -> int:
        """Bytes from here to the end."""

    def read(self, amt: int, /) -> bytes:
        """Up to ``amt`` bytes; nothing only at the end."""


Body = bytes | bytearray | memoryview | mmap.mmap | SizedFile | Iterable[bytes]


class _Stall:
    """Gives the socket the read timeout while the body is still being sent.

    urllib3 leaves the connect timeout on a new socket until the whole request is out.
    """

    sock: Any

    def __init__(
        self, host: str, port: int | None = None, *, stall_timeout_s: float, **options: Any  # noqa: ANN401 - urllib3's own
    ) -> None:  # fmt: skip
        super().__init__(host, port, **options)  # type: ignore[call-arg] # the next class is a connection
        self._stall_timeout_s = stall_timeout_s

    def connect(self) -> None:
        super().connect()  # type: ignore[misc] # the next class is a connection
        self.sock.settimeout(self._stall_timeout_s)


class _Connection(_Stall, HTTPConnection):
    pass


class _SecureConnection(_Stall, HTTPSConnection):
    pass


class PooledResponse:
    """What oss2 expects of a reply. Read it to its end or close it, or its connection is lost.

    ``headers`` find names in any case. Bodies come as they are stored: no content decoding.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, *, is_head: bool) -> None:
        self.response = self  # oss2 closes ``.response``
        self.status = response.status
        self.headers = response.headers
        self.request_id: str = response.headers.get("x-oss-request-id", "")
        self._raw = response
        self._body: bytes | None = None  # read ahead; None while it is on the wire
        if is_head or response.status in (204, 304):
            self._release()
        elif response.status // 100 != 2:
            self._body = self._error_body()

    def read(self, amt: int | None = None) -> bytes:
        """Up to ``amt`` bytes, fewer only at the end; everything without it; b"" at the end.

        The body of an error is one piece.

        Raises:
            urllib3.exceptions.HTTPError: the connection broke, timed out, or ended early.
        """
        if self._body is None:
            return self._raw.read(amt, decode_content=False)
        # Whole, whatever ``amt`` says: oss2 would read 4096 bytes of an error, and lose the code
        # of a document that is longer (a refused signature repeats all that was signed).
        taken, self._body = self._body, b""
        return taken

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(READ_BYTES):
            yield chunk

    def close(self) -> None:
        """Give the connection back: for reuse if the body is read, else closed. Idempotent."""
        if self._body is None and not self._raw.closed:
            self._raw.close()
        self._raw.release_conn()

    def _release(self) -> None:
        self._body = b""
        self._raw.drain_conn()
        self._raw.release_conn()

    def _error_body(self) -> bytes:
        # The status alone says enough: a connection that breaks here must not hide it.
        try:
            body = self._raw.read(_ERROR_BODY_BYTES, decode_content=False)
            if len(body) == _ERROR_BODY_BYTES:
                self._raw.close()
        except (HTTPError, OSError):
            body = b""
            self._raw.close()
        self._raw.release_conn()
        return body.decode("utf-8", "ignore").encode()  # oss2 raises on what is not UTF-8


class PooledSession:
    """Keep-alive connections to one or a few hosts; threads may share it, processes may not.

    ``pool_size`` is the number of requests in flight to one host; one more waits for its turn.
    """

    def __init__(self, settings: OssSettings, pool_size: int) -> None:
        self._settings = settings
        self._pool_size = pool_size
        self._pools: dict[str, urllib3.HTTPConnectionPool] = {}
        self._lock = threading.Lock()
        # oss2 formats whole requests, security token included, at DEBUG and whole error bodies,
        # in which OSS repeats the token, at INFO. There is no level at which that may be seen.
        logging.getLogger("oss2").setLevel(logging.CRITICAL)

    def do_request(self, req: SdkRequest, timeout: tuple[float, float]) -> PooledResponse:
        """Send one signed ``oss2.http.Request``.

        Args:
            req: the request; its body is bytes-like, has ``read`` and a length, or yields bytes
                (sent chunked).
            timeout: seconds to connect, and seconds without a single byte either way.

        Raises:
            UsageError: a header, a proxy or a CA file that cannot be used.
            SourceChangedError: the body ended before its length.
            urllib3.exceptions.HTTPError: no reply, for whatever reason.
        """
        connect_s, read_s = timeout
        origin, target = _split_url(req.url)
        if req.params:
            target = f"{target}?{query_string(req.params)}"
        pool = self._pools.get(origin) or self._open_pool(origin, read_s)
        if pool.proxy is not None and origin.startswith("http:"):
            target = origin + target  # a forwarding proxy is told the whole address
        headers = _wire_headers(req.headers)
        size = None if req.data is None else _size(req.data)
        if size is not None:
            headers["Content-Length"] = str(size)
        body = None if req.data is None else _chunks(req.data)
        try:
            response = pool.urlopen(
                req.method,
                target,
                body=cast("Any", body),
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=connect_s, read=read_s),
                chunked=body is not None and size is None,
                preload_content=False,
                decode_content=False,
            )
        finally:
            if body is not None:
                body.close()  # releases its view, so that a mapped file can be closed
        return PooledResponse(response, is_head=req.method == "HEAD")

    def close(self) -> None:
        """Close the idle connections. Idempotent; a later request opens new ones."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()

    def _open_pool(self, origin: str, read_s: float) -> urllib3.HTTPConnectionPool:
        with self._lock:
            pool = self._pools.get(origin)
            if pool is None:
                pool = self._new_pool(origin)
                secure = pool.scheme == "https"
                connection = _SecureConnection if secure else _Connection
                pool.ConnectionCls = partial(connection, stall_timeout_s=read_s)  # type: ignore[assignment]
                self._pools[origin] = pool
            return pool

    def _new_pool(self, origin: str) -> urllib3.HTTPConnectionPool:
        options: dict[str, Any] = {
            "maxsize": self._pool_size,
            "block": True,
            "blocksize": READ_BYTES,
            "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        }
        if origin.startswith("https:"):
            options["ssl_context"] = _trust(self._settings.ca_file)
        proxy = _env_proxy(origin) if self._settings.use_env_proxies else ""
        if not proxy:
            return urllib3.PoolManager(**options).connection_from_url(origin)
        try:
            address = urllib3.util.parse_url(proxy)
            login = urllib3.make_headers(proxy_basic_auth=address.auth) if address.auth else None
            plain = address._replace(auth=None).url
            manager = urllib3.ProxyManager(plain, proxy_headers=login, **options)
        except HTTPError:
            raise UsageError(
                "the proxy of the environment cannot be used: give http://HOST:PORT"
            ) from None  # the address may hold a password
        return manager.connection_from_url(origin)


def _split_url(url: str) -> tuple[str, str]:
    # Not urllib.parse: the path goes out as it was signed, never normalised.
    scheme, _, rest = url.partition("://")
    netloc, _, path = rest.partition("/")
    return f"{scheme}://{netloc}", f"/{path}"


def _env_proxy(origin: str) -> str:
    scheme, _, netloc = origin.partition("://")
    if urllib.request.proxy_bypass(netloc):
        return ""
    proxy = urllib.request.getproxies().get(scheme, "")
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _trust(ca_file: str) -> ssl.SSLContext:
    paths = ssl.get_default_verify_paths()
    if not (ca_file or paths.cafile or paths.capath):
        ca_file = certifi.where()  # a container without the system's store
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise UsageError(f"CA file {ca_file}: cannot be read as PEM certificates") from error


def _wire_headers(headers: Mapping[str, str | bytes | None]) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    for name, value in headers.items():
        if value is None:  # oss2's way to say: do not send it
            continue
        octets = value.encode() if isinstance(value, str) else value
        if _ILLEGAL_IN_HEADER.search(octets):
            raise UsageError(f"header {name}: its value holds a control character")
        wire[name] = octets  # UTF-8: http.client would refuse what is not Latin-1
    wire["User-Agent"] = USER_AGENT
    return wire


def _size(body: Body) -> int | None:
    if isinstance(body, BUFFERS):
        with memoryview(body) as view:
            return view.nbytes
    return body.len if isinstance(body, SizedFile) else None


def _chunks(body: Body) -> Generator[bytes | memoryview, None, None]:
    if isinstance(body, BUFFERS):
        with memoryview(body) as whole, whole.cast("B") as view:
            for start in range(0, len(view), _SEND_BYTES):
                with view[start : start + _SEND_BYTES] as chunk:
                    yield chunk
    elif isinstance(body, SizedFile):
        yield from _file_chunks(body)
    else:
        yield from body


def _file_chunks(file: SizedFile) -> Iterator[bytes]:
    left = file.len
    while left:
        chunk = file.read(min(left, _SEND_BYTES))
        if not chunk:  # going on would leave the server waiting for bytes until it times out
            raise SourceChangedError(f"the file ended {left} of {file.len} bytes early")
        left -= len(chunk)
        yield chunk
