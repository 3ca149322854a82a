"""Connections: reused, bounded, and never led astray by redirects, proxies or netrc."""

import gzip
import mmap
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from osssync.errors import (
    AccessDeniedError,
    NetworkError,
    NotFoundError,
    OssError,
    ServerFaultError,
    UsageError,
)
from osssync.oss.bucket import open_bucket
from osssync.oss.endpoint import Endpoint
from osssync.oss.signature import ClockOffset
from tests.oss.stub_server import (
    CLOSE,
    STALL,
    Answer,
    FixedCredentials,
    StubServer,
    error_xml,
    opened,
    raw_server,
    read,
)


def test_a_hundred_requests_of_every_kind_use_one_connection(server, bucket):
    """HEAD, GET, PUT, DELETE, errors of each: every body is drained."""
    listing = b"<ListBucketResult><EncodingType>url</EncodingType></ListBucketResult>"

    def reply(seen):
        if "missing" in seen.target:
            body = b"" if seen.method == "HEAD" else error_xml("NoSuchKey") + b" " * 9000
            return Answer(404, {"x-oss-request-id": "R"}, body, length=None)
        if "list-type" in seen.target:
            return Answer(body=listing)
        if seen.method == "HEAD":
            return Answer(headers={"Content-Length": "5"})
        return Answer(204) if seen.method == "DELETE" else Answer(body=b"12345")

    server.reply = reply
    for _ in range(13):
        bucket.head("k")
        read(bucket)
        bucket.put("k", b"x" * 300_000, headers={}, crc64=None)
        bucket.delete("k")
        bucket.list_page("")
        for call in (bucket.head, bucket.delete, lambda key: read(bucket, key)):
            with pytest.raises(NotFoundError):
                call("missing")

    assert len(server.requests) == 13 * 8
    assert server.connections == 1


def test_no_more_idle_connections_than_the_pool_has_places(server, session, bucket):
    """Eight threads, four places: everybody is served at once, and four connections stay."""
    server.answers(Answer(body=b"x"))

    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda _: read(bucket), range(80)))

    ((idle,),) = (pool.idle.values() for pool in session._pools.values())
    assert bodies == [b"x"] * 80
    assert 1 <= len(idle) <= 4
    assert session._busy == {}


def test_the_quickest_answer_tells_how_far_the_service_is(server, session, bucket):
    """Slower ones say something about the service, not about the way there."""
    pauses_s = [0.2, 0.1, 0.2]

    def reply(_seen):
        time.sleep(pauses_s.pop(0))
        return Answer(body=b"12345")

    server.reply = reply
    nearest_s = [session.nearest_s]
    while pauses_s:
        read(bucket)
        nearest_s.append(session.nearest_s)

    assert float("inf") == nearest_s[0]
    assert 0.2 <= nearest_s[1]
    assert 0.1 <= nearest_s[2] < nearest_s[1]
    assert nearest_s[2] == nearest_s[3]


def test_requests_say_who_sends_them_and_ask_for_no_compression(server, bucket):
    """User-Agent of osssync; identity; small packets are not held back."""
    from osssync.version import __version__

    read(bucket)

    sent = server.requests[0].headers
    assert sent["user-agent"].startswith(f"osssync/{__version__} (")
    assert sent["accept-encoding"] == "identity"


def test_sockets_do_not_wait_to_fill_packets(server, bucket, session):
    """TCP_NODELAY is on."""
    read(bucket)

    (((channel,),),) = (pool.idle.values() for pool in session._pools.values())
    assert channel.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_stored_compression_is_left_alone(server, bucket):
    """An object with Content-Encoding: gzip arrives as it is stored."""
    stored = gzip.compress(b"text")
    server.answers(Answer(headers={"Content-Encoding": "gzip"}, body=stored))

    assert read(bucket) == stored


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_errors(server, bucket, status):
    """The token is not sent to whoever a reply names; the message names the host."""
    elsewhere = StubServer()
    try:
        server.answers(Answer(status, {"Location": elsewhere.url + "/bucket/k"}))

        with pytest.raises(OssError, match=r"redirected to 127\.0\.0\.1") as caught:
            bucket.put("k", b"x", headers={}, crc64=None)

        assert elsewhere.requests == []
        assert (caught.value.status, caught.value.retryable) == (status, False)
    finally:
        elsewhere.close()


def test_netrc_does_not_replace_the_signature(server, bucket, tmp_path, monkeypatch):
    """A "default" entry is for other tools."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))

    read(bucket)

    assert server.requests[0].headers["authorization"].startswith("OSS4-HMAC-SHA256 ")


def test_proxies_of_the_environment_are_ignored(server, bucket, monkeypatch):
    """Unless asked for."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    read(bucket)

    assert len(server.requests) == 1


def test_proxies_of_the_environment_are_used_when_asked_for(server, monkeypatch):
    """The proxy is told the whole address, and its password is for it alone."""
    address = server.url.removeprefix("http://")
    monkeypatch.setenv("http_proxy", f"http://user:password@{address}")

    with opened("http://oss.example.com", path_style=False, use_env_proxies=True) as bucket:
        bucket.delete("a/../b")

    (sent,) = server.requests
    assert sent.target == "http://bucket.oss.example.com/a%2F..%2Fb"
    assert sent.headers["host"] == "bucket.oss.example.com"
    assert sent.headers["proxy-authorization"].startswith("Basic ")


def test_no_proxy_is_respected_where_proxies_are(server, monkeypatch):
    """Hosts that the environment excepts are reached directly."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    with opened(server.url, use_env_proxies=True) as bucket:
        read(bucket)

    assert len(server.requests) == 1


def test_a_proxy_that_cannot_be_is_a_usage_error_without_its_password(server, monkeypatch):
    """socks:// is not spoken here."""
    monkeypatch.setenv("http_proxy", "socks5://user:password@127.0.0.1:1080")

    with (
        opened(server.url, use_env_proxies=True) as bucket,
        pytest.raises(UsageError, match="proxy") as caught,
    ):
        read(bucket)

    assert "password" not in str(caught.value)


def test_a_connection_closed_while_idle_is_replaced(server, bucket):
    """The server hung up after an answer: the next request notices before it is sent."""
    server.answers(Answer(body=b"1", hang_up=True))

    first = read(bucket)
    server.wait_until_hung_up()
    second = read(bucket)

    assert (first, second, server.connections) == (b"1", b"1", 2)


def test_a_kept_connection_closed_under_a_request_is_replaced(server, bucket):
    """The race that keep-alive cannot avoid: the request is sent once more, on a new one."""
    server.answers(Answer(body=b"1"), CLOSE, Answer(body=b"2"))

    assert (read(bucket), read(bucket)) == (b"1", b"2")
    assert server.connections == 2


def test_a_new_connection_closed_under_a_request_is_a_network_error(server, bucket):
    """Nothing was idle, so it is a failure; repeated one floor higher, with patience."""
    server.answers(CLOSE, Answer(body=b"2"))

    with pytest.raises(NetworkError, match="get oss://bucket/k"):
        read(bucket)

    assert read(bucket) == b"2"


def test_what_must_not_be_done_twice_is_not_sent_twice(server, bucket):
    """A POST on a kept connection that breaks: whether it was done is for others to find out."""
    server.answers(Answer(body=b"1"), CLOSE, Answer(body=b"2"))
    read(bucket)

    with pytest.raises(NetworkError):
        bucket.restore("k", 1)

    assert [seen.method for seen in server.requests] == ["GET", "POST"]


def test_a_server_that_says_nothing_times_out(server):
    """Without a byte for the read timeout."""
    server.answers(STALL)

    with (
        opened(server.url, read_timeout_s=0.1) as bucket,
        pytest.raises(NetworkError, match="timed out"),
    ):
        read(bucket)


def test_a_body_that_stops_times_out(server):
    """Inside the loop that reads it, not only before."""
    server.answers(Answer(body=b"half", length=8))

    with (
        opened(server.url, read_timeout_s=0.1) as bucket,
        pytest.raises(NetworkError, match="timed out"),
    ):
        read(bucket)


def test_a_slow_receiver_is_not_a_slow_connect():
    """While a body is sent the read timeout counts, not the shorter one for connecting."""

    def serve(connection):
        time.sleep(0.4)
        left = 8 << 20
        while left > 0 and (chunk := connection.recv(1 << 20)):
            left -= len(chunk)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw_server(serve) as url, opened(url, connect_timeout_s=0.1) as bucket:
        result = bucket.put("k", b"x" * (8 << 20), headers={}, crc64=None)

    assert result.crc64 is None


def test_a_receiver_that_stops_times_out():
    """No byte taken for the read timeout."""
    done = threading.Event()

    with raw_server(lambda _: done.wait(5)) as url, opened(url, read_timeout_s=0.2) as bucket:
        with pytest.raises(NetworkError, match="timed out"):
            bucket.put("k", b"x" * (32 << 20), headers={}, crc64=None)
        done.set()


def test_a_mapped_file_can_be_closed_while_the_error_lives():
    """An error in the middle of a body holds frames, but no view of the file."""
    done = threading.Event()

    with raw_server(lambda _: done.wait(5)) as url, opened(url, read_timeout_s=0.2) as bucket:
        mapped = mmap.mmap(-1, 32 << 20)
        with pytest.raises(NetworkError) as caught:
            bucket.put("k", mapped, headers={}, crc64=0)
        done.set()
        mapped.close()

    assert caught.value.__traceback__ is not None


def test_a_refusal_before_the_body_is_read_is_heard():
    """The reply counts, not the broken pipe behind it."""
    body = error_xml("AccessDenied")

    def serve(connection):
        connection.recv(1000)
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with raw_server(serve) as url, opened(url) as bucket, pytest.raises(AccessDeniedError):
        bucket.put("k", b"x" * (4 << 20), headers={}, crc64=None)


def test_nobody_listening_is_a_network_error():
    """Connection refused, in words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with opened(url) as bucket, pytest.raises(NetworkError, match="refused"):
        read(bucket)


def test_a_name_that_does_not_resolve_says_what_to_check(monkeypatch):
    """Retryable, for DNS has bad moments, and with a hint."""

    def fail(*_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with (
        opened("http://oss.example.com") as bucket,
        pytest.raises(NetworkError, match="cannot be resolved; check --endpoint"),
    ):
        read(bucket)


def test_a_garbled_reply_is_a_network_error():
    """Not HTTP."""
    with (
        raw_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n")) as url,
        opened(url) as bucket,
        pytest.raises(NetworkError),
    ):
        read(bucket)


def test_a_huge_error_page_costs_one_connection_and_no_more(server, bucket):
    """A proxy's page of megabytes is not read to its end."""
    server.answers(Answer(502, body=b"<html>" * 500_000), Answer(body=b"ok"))

    with pytest.raises(ServerFaultError):
        read(bucket)

    assert read(bucket) == b"ok"


def test_a_broken_error_page_does_not_hide_its_status(server, bucket):
    """The connection breaks inside the body of a 503."""
    server.answers(Answer(503, body=b"<Err", length=100, hang_up=True))

    with pytest.raises(OssError) as caught:
        read(bucket)

    assert caught.value.status == 503


def test_an_iterator_is_sent_in_chunks(server, bucket):
    """A body of unknown length."""
    bucket.put("k", iter([b"ab", b"", b"c"]), headers={}, crc64=None)

    assert (server.requests[0].body, server.requests[0].chunked) == (b"abc", True)


def test_a_token_that_would_break_its_line_is_refused_unseen(settings, server, session):
    """The message names the header, never the value."""
    provider = FixedCredentials(token="secret\r\nx-evil: 1")
    endpoint = Endpoint(server.url, "cn-test", path_style=True)
    bucket = open_bucket("bucket", settings, endpoint, provider, session, ClockOffset())

    with pytest.raises(UsageError, match="x-oss-security-token") as caught:
        read(bucket)

    assert "secret" not in str(caught.value)
    assert server.requests == []
