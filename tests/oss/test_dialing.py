"""From an origin to a connection: addresses, proxies, TLS; on threads and in fibers."""

import base64
import contextlib
import socket
import ssl
import threading
from pathlib import Path

import pytest

from osssync.errors import UsageError
from osssync.oss.channel import Channel
from osssync.oss.dialing import Origin, Proxy, dial, origin_of
from osssync.oss.wire import BrokenReplyError
from tests.oss.both_ways import both_ways, in_a_fiber, on_a_thread
from tests.oss.test_tls import certificate

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG_S, SHORT_S = 20.0, 0.1


@pytest.fixture(autouse=True)
def _swept_often(monkeypatch):
    """A fiber notices soon that its time is up."""
    monkeypatch.setattr("osssync.fibers._SWEEP_S", 0.02)


class Listener:
    """Gives each connection to ``serve``, on a thread of its own; remembers what it wants to."""

    def __init__(self, serve):
        self.heard = []
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._connections = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=self._run, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _run(self, connection):
        with connection, contextlib.suppress(OSError):
            self._serve(self, connection)


@pytest.fixture
def listen():
    """Start listeners."""
    running = []

    def start(serve):
        running.append(Listener(serve))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory):
    """A CA file, and a chain with its key, for 127.0.0.1."""
    public, private = certificate("127.0.0.1")
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(public)
    (folder / "chain.pem").write_bytes(public + private)
    return folder / "ca.pem", folder / "chain.pem"


@pytest.fixture
def server_side(tls_files):
    """The server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls_files[1])
    return context


@pytest.fixture
def trusting(tls_files):
    """The client's side of TLS."""
    return ssl.create_default_context(cafile=tls_files[0])


def answer(_listener, connection):
    """Answer requests until the client goes."""
    while connection.recv(10_000):
        connection.sendall(REPLY)


def silence(_listener, connection):
    """Say nothing until the client goes."""
    while connection.recv(10_000):
        pass


def origin_at(port, *, host="127.0.0.1", proxy=None, tls=None):
    scheme = "http" if tls is None else "https"
    return Origin(scheme, f"{host}:{port}", host, port, proxy, tls)


def ask(channel):
    """One exchange over a channel."""
    channel.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", None)
    status = channel.read_head().status
    return status, bytes(channel.take()), channel.is_clean()


def descriptors():
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@both_ways
def test_a_plain_connection_carries_requests_at_once(listen):
    """And does not wait to fill packets."""
    channel = dial(origin_at(listen(answer).port), LONG_S, LONG_S)

    with channel.sock:
        assert [(200, b"ok", True)] * 2 == [ask(channel), ask(channel)]
        assert channel.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@both_ways
def test_nobody_there_is_a_refused_connection():
    """As the system says it; nothing is left open."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    before = descriptors()

    with pytest.raises(ConnectionRefusedError):
        dial(origin_at(port), LONG_S, LONG_S)

    assert descriptors() <= before


@both_ways
def test_the_next_address_is_tried(listen, monkeypatch):
    """A name with a dead address and a live one is reached."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()
    live = ("127.0.0.1", listen(answer).port)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (dead, live)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)

    channel = dial(origin_at(1, host="name"), LONG_S, LONG_S)

    with channel.sock:
        assert (200, b"ok", True) == ask(channel)


@both_ways
def test_a_name_without_an_address_is_not_reached(monkeypatch):
    """Whatever the resolver makes of it."""

    def resolve(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(socket.gaierror):
        dial(origin_at(1, host="name"), LONG_S, LONG_S)


@both_ways
def test_a_host_that_does_not_answer_times_out():
    """A full queue drops what comes, as a firewall does."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # the queue takes one or two more than it is told
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(full.getsockname())
        before = descriptors()

        with pytest.raises(TimeoutError):
            dial(origin_at(full.getsockname()[1]), SHORT_S, LONG_S)

        assert descriptors() <= before


@both_ways
def test_tls_is_spoken_and_its_session_gone_on_with(listen, server_side, trusting):
    """The second connection needs no certificate again."""

    def serve(listener, connection):
        with server_side.wrap_socket(connection, server_side=True) as secure:
            listener.heard.append(secure.session_reused)
            answer(listener, secure)

    listener = listen(serve)
    origin = origin_at(listener.port, tls=trusting)
    first = dial(origin, LONG_S, LONG_S)
    with first.sock:
        one = ask(first)
        session = first.tls.session

    second = dial(origin, LONG_S, LONG_S, session)
    with second.sock:
        two = ask(second)

    assert [(200, b"ok", True)] * 2 == [one, two]
    assert [False, True] == listener.heard


@both_ways
def test_large_bodies_pass_through_tls_both_ways(listen, server_side, trusting):
    """Records and buffers do not end in the same places."""
    body = bytes(range(251)) * 8_000

    def serve(_listener, connection):
        with server_side.wrap_socket(connection, server_side=True) as secure:
            received = b""
            while len(received) < 4 + len(body):
                received += secure.recv(1 << 20)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            secure.sendall(received[4:])
            secure.recv(1)

    channel = dial(origin_at(listen(serve).port, tls=trusting), LONG_S, LONG_S)
    with channel.sock:
        channel.send(b"head", body)
        channel.read_head()
        pieces = []
        while piece := channel.take():
            pieces.append(bytes(piece))

    assert b"".join(pieces) == body


@both_ways
def test_a_certificate_of_another_host_is_refused(listen, server_side, trusting):
    """The name dialed is the name proven."""

    def serve(_listener, connection):
        server_side.wrap_socket(connection, server_side=True).close()

    origin = origin_at(listen(serve).port, host="localhost", tls=trusting)

    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        dial(origin, LONG_S, LONG_S)


@both_ways
def test_who_does_not_shake_hands_times_out(listen, trusting):
    """A port that takes connections and is silent."""
    origin = origin_at(listen(silence).port, tls=trusting)

    with pytest.raises(TimeoutError):
        dial(origin, SHORT_S, LONG_S)


@both_ways
def test_who_speaks_no_tls_is_an_error(listen, trusting):
    """Plain http at a https port."""
    origin = origin_at(listen(answer).port, tls=trusting)

    with pytest.raises(ssl.SSLError):
        dial(origin, LONG_S, LONG_S)


@both_ways
def test_a_proxy_is_asked_for_a_tunnel_and_sees_no_request(listen, server_side, trusting):
    """CONNECT with host, port and login; TLS is with the host behind it."""

    def serve(listener, connection):
        listener.heard.append(connection.recv(10_000))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n")
        with server_side.wrap_socket(connection, server_side=True) as secure:
            answer(listener, secure)

    listener = listen(serve)
    origin = origin_at(443, tls=trusting, proxy=Proxy("127.0.0.1", listener.port, "Basic bG9naW4="))

    channel = dial(origin, LONG_S, LONG_S)

    with channel.sock:
        assert (200, b"ok", True) == ask(channel)
    (asked,) = listener.heard
    lines = asked.decode().split("\r\n")
    assert "CONNECT 127.0.0.1:443 HTTP/1.1" == lines[0]
    assert {"Host: 127.0.0.1:443", "Proxy-Authorization: Basic bG9naW4="} == set(lines[1:-2])


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 x", "302 Found"])
@both_ways
def test_a_proxy_that_refuses_says_with_what_status(listen, trusting, status):
    """Its login is not in the message."""

    def serve(_listener, connection):
        connection.recv(10_000)
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        connection.recv(1)

    proxy = Proxy("127.0.0.1", listen(serve).port, "Basic bG9naW4=")

    with pytest.raises(BrokenReplyError, match=f"status {status[:3]}") as caught:
        dial(origin_at(443, tls=trusting, proxy=proxy), LONG_S, LONG_S)

    assert "bG9naW4" not in str(caught.value)


@both_ways
def test_a_silent_proxy_times_out(listen, trusting):
    """The limit of connecting holds for its answer too."""
    proxy = Proxy("127.0.0.1", listen(silence).port, "")

    with pytest.raises(TimeoutError):
        dial(origin_at(443, tls=trusting, proxy=proxy), SHORT_S, LONG_S)


@both_ways
def test_a_proxy_for_plain_http_is_no_tunnel(listen):
    """It reads the requests, and is connected to in place of the host."""
    origin = origin_at(
        80, host="example.invalid", proxy=Proxy("127.0.0.1", listen(answer).port, "")
    )

    channel = dial(origin, LONG_S, LONG_S)

    with channel.sock:
        assert (200, b"ok", True) == ask(channel)
    assert origin.is_forwarded


@both_ways
def test_after_connecting_it_is_silence_that_is_limited(listen):
    """The patience of connecting ends with the handshake; another is for each byte."""
    channel = dial(origin_at(listen(silence).port), LONG_S, SHORT_S)

    with channel.sock, pytest.raises(TimeoutError):
        ask(channel)


def test_a_connection_belongs_to_the_loop_that_dialed_it(listen):
    """Threads have none."""
    origin = origin_at(listen(answer).port)

    def loop_of():
        channel = dial(origin, LONG_S, LONG_S)
        with channel.sock:
            assert isinstance(channel, Channel)
            return channel.loop

    assert on_a_thread(loop_of) is None
    assert in_a_fiber(loop_of) is not None


@pytest.mark.parametrize(
    ("scheme", "netloc", "host", "port"),
    [
        ("http", "h.example", "h.example", 80),
        ("https", "h.example", "h.example", 443),
        ("http", "h.example:8080", "h.example", 8080),
        ("http", "[::1]:81", "::1", 81),
    ],
)
def test_an_origin_has_a_host_and_a_port(scheme, netloc, host, port):
    """The scheme's own port unless another is given."""
    origin = origin_of(scheme, netloc, "", use_env_proxies=False)

    assert (host, port, None) == (origin.host, origin.port, origin.proxy)
    assert (scheme == "https") == (origin.tls is not None)
    assert netloc == origin.netloc


@pytest.mark.parametrize("netloc", ["h:port", "h:70000", "h:-1", "[::1"])
def test_an_origin_that_cannot_be_is_a_usage_error(netloc):
    """Before anything is connected."""
    with pytest.raises(UsageError, match="check --endpoint"):
        origin_of("http", netloc, "", use_env_proxies=False)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://p.example:3128", Proxy("p.example", 3128, "")),
        ("p.example:3128", Proxy("p.example", 3128, "")),
        ("http://p.example", Proxy("p.example", 80, "")),
        (
            "http://us%40er:p%3Aw@p.example:1",
            Proxy("p.example", 1, "Basic " + base64.b64encode(b"us@er:p:w").decode()),
        ),
        (
            "http://user@p.example:1",
            Proxy("p.example", 1, "Basic " + base64.b64encode(b"user:").decode()),
        ),
    ],
)
def test_the_proxy_of_the_environment(monkeypatch, url, proxy):
    """With its login, percent-decoded; only when it is asked for."""
    monkeypatch.setenv("http_proxy", url)

    assert proxy == origin_of("http", "h.example", "", use_env_proxies=True).proxy
    assert origin_of("http", "h.example", "", use_env_proxies=False).proxy is None
    assert origin_of("https", "h.example", "", use_env_proxies=True).proxy is None


def test_a_host_that_needs_no_proxy_has_none(monkeypatch):
    """no_proxy, and all below it."""
    monkeypatch.setenv("http_proxy", "http://p.example:1")
    monkeypatch.setenv("no_proxy", "inside.example")

    assert origin_of("http", "b.inside.example", "", use_env_proxies=True).proxy is None
    assert origin_of("http", "b.outside.example", "", use_env_proxies=True).proxy is not None


@pytest.mark.parametrize(
    "url", ["socks5://u:secret@p:1", "https://u:secret@p:1", "http://u:secret@p:x", "http://:1"]
)
def test_a_proxy_that_cannot_be_used_is_a_usage_error(monkeypatch, url):
    """Which does not repeat its password, neither in itself nor in what it came from."""
    monkeypatch.setenv("http_proxy", url)

    with pytest.raises(UsageError, match="http://HOST:PORT") as caught:
        origin_of("http", "h.example", "", use_env_proxies=True)

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
