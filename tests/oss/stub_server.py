"""A scripted HTTP server on loopback that speaks byte by byte, and credentials to sign with."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field

from osssync.checksums import crc64
from osssync.config import OssSettings
from osssync.oss.bucket import open_bucket
from osssync.oss.endpoint import Endpoint
from osssync.oss.session import PooledSession
from osssync.oss.signature import ClockOffset

ACCESS_KEY_ID = "STS.test-key-id"
SECRET = "test-access-key-secret-0123456789"
TOKEN = "CAIStest-security-token/" + "x" * 80


class FixedCredentials:
    """One set; counts how often it was asked for."""

    def __init__(self, access_key_id=ACCESS_KEY_ID, secret=SECRET, token=TOKEN):
        self._set = (access_key_id, secret, token)
        self.reads = 0

    def get_credentials(self):
        self.reads += 1
        return self

    def get_access_key_id(self):
        return self._set[0]

    def get_access_key_secret(self):
        return self._set[1]

    def get_security_token(self):
        return self._set[2]


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]  # names lower-cased
    body: bytes
    chunked: bool
    names: tuple[str, ...]  # of the headers, each as often as it came


@dataclass
class Answer:
    """One reply: ``body`` is sent as it is; ``hang_up`` closes the connection after it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang_up: bool = False
    length: int | None = None  # announced, if not that of the body


CLOSE = Answer(status=0)
"""The connection is closed without a byte of an answer."""

STALL = Answer(status=-1)
"""No byte is answered until the client gives up."""


class StubServer:
    """Answers each request by ``reply(seen)``; knows its requests and connections."""

    def __init__(self):
        self.requests = []
        self.connections = 0
        self.reply = lambda _seen: Answer()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def answers(self, *answers):
        """Answer with these in order, the last one for ever."""
        left = list(answers)
        self.reply = lambda _seen: left.pop(0) if len(left) > 1 else left[0]

    def wait_until_hung_up(self):
        """Until every connection so far is closed on this side."""
        for thread in self._threads[1:]:
            thread.join(5)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while self._serve_one(connection, stream):
                    pass
            except OSError:
                pass

    def _serve_one(self, connection, stream):
        seen = _read_request(stream)
        if seen is None:
            return False
        self.requests.append(seen)
        answer = self.reply(seen)
        if answer is STALL:
            stream.read(1)
            return False
        if answer is CLOSE:
            return False
        connection.sendall(_render(answer, seen.method))
        return not answer.hang_up


def _read_request(stream):
    line = stream.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers, names = {}, []
    while (line := stream.readline().rstrip(b"\r\n")) != b"":
        name, _, value = line.decode("utf-8").partition(":")
        headers[name.lower()] = value.strip()
        names.append(name.lower())
    chunked = headers.get("transfer-encoding") == "chunked"
    body = _read_chunks(stream) if chunked else stream.read(int(headers.get("content-length", 0)))
    return Seen(method, target, headers, body, chunked, tuple(names))


def _read_chunks(stream):
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def _render(answer, method):
    length = len(answer.body) if answer.length is None else answer.length
    lines = [f"HTTP/1.1 {answer.status} Whatever", f"Content-Length: {length}"]
    if answer.status == 204 or (method == "HEAD" and answer.length is None):
        lines.pop()
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("utf-8") + (b"" if method == "HEAD" else answer.body)


def error_xml(code, message="what happened", **extra):
    """An error document of OSS."""
    elements = {"Code": code, "Message": message, **extra}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def crc_header(body):
    """What OSS says of an object with this body."""
    return {
        "x-oss-hash-crc64ecma": str(crc64(body)),
        "ETag": '"E1"',
        "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
    }


@contextlib.contextmanager
def opened(url, *, pool_size=4, path_style=True, **settings):
    """A bucket at ``url`` with its own session."""
    oss_settings = OssSettings(**({"connect_timeout_s": 5.0, "read_timeout_s": 5.0} | settings))
    session = PooledSession(oss_settings, pool_size)
    endpoint = Endpoint(url, "cn-test", path_style=path_style)
    try:
        yield open_bucket(
            "bucket", oss_settings, endpoint, FixedCredentials(), session, ClockOffset()
        )
    finally:
        session.close()


def read(bucket, key="k"):
    """All bytes of an object."""
    received = bytearray()
    bucket.get(key, received.extend)
    return bytes(received)


@contextlib.contextmanager
def raw_server(serve):
    """A listener whose one connection is given to ``serve``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run():
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join(10)
