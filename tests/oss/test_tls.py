"""TLS: who is trusted, and what is said of who is not."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from osssync.errors import OsssyncError, UsageError
from tests.oss.both_ways import BOTH
from tests.oss.stub_server import opened, raw_server, read


def certificate(host):
    """A self-signed certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "osssync test")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signed.public_bytes(pem), private


def server_context(tmp_path, host):
    """What a server with a certificate for ``host`` needs, and the CA file of its clients."""
    public, private = certificate(host)
    ca_file, chain = tmp_path / "ca.pem", tmp_path / "chain.pem"
    ca_file.write_bytes(public)
    chain.write_bytes(public + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return context, str(ca_file)


@contextlib.contextmanager
def tls_server(tmp_path, host):
    """A TLS server at 127.0.0.1 with a certificate for ``host``; yields its port and CA file."""
    context, ca_file = server_context(tmp_path, host)

    def serve(connection):
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(connection, server_side=True) as secure,
        ):
            secure.recv(10_000)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw_server(serve) as url:
        yield url.replace("http:", "https:"), ca_file


def test_a_private_ca_is_trusted_when_given(tmp_path):
    """TLS with the settings' ca_file."""
    with (
        tls_server(tmp_path, "127.0.0.1") as (url, ca_file),
        opened(url, ca_file=ca_file) as bucket,
    ):
        assert read(bucket) == b"ok"


@pytest.mark.parametrize(("host", "with_ca"), [("127.0.0.1", False), ("127.0.0.2", True)])
def test_certificates_are_verified(tmp_path, host, with_ca):
    """An unknown CA, and another host's certificate: no repeat helps, and the message says so."""
    with (
        tls_server(tmp_path, host) as (url, ca_file),
        opened(url, ca_file=ca_file if with_ca else "") as bucket,
        pytest.raises(OsssyncError, match="certificate is not trusted") as caught,
    ):
        read(bucket)

    assert not caught.value.retryable


def test_a_ca_file_that_cannot_be_read_is_a_usage_error(tmp_path):
    """Before anything is sent."""
    with (
        opened("https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem")) as bucket,
        pytest.raises(UsageError, match="CA file"),
    ):
        read(bucket)


@contextlib.contextmanager
def one_reply_each(context, count, reply):
    """A TLS server that closes each of ``count`` connections after a reply; tells who came back."""
    returned = []

    def serve(listener):
        for _ in range(count):
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(10_000)
                secure.sendall(reply)
                returned.append(secure.session_reused)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}", returned
        finally:
            thread.join(10)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@BOTH
def test_the_next_connection_goes_on_with_the_session_of_the_last(
    where, version, connection, tmp_path
):
    """No second full handshake, whoever closed the first connection, on threads and fibers."""
    context, ca_file = server_context(tmp_path, "127.0.0.1")
    context.maximum_version = version
    reply = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: {connection}\r\n\r\nok"

    with (
        one_reply_each(context, 2, reply.encode()) as (url, returned),
        opened(url, ca_file=ca_file) as bucket,
    ):
        bodies = where(lambda: [read(bucket), read(bucket)])

    assert [b"ok", b"ok"] == bodies
    assert [False, True] == returned


def test_a_session_that_the_server_has_forgotten_costs_a_handshake_and_no_more(tmp_path):
    """Another context has other keys for its tickets: the second connection begins anew."""
    first, ca_file = server_context(tmp_path, "127.0.0.1")
    second = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    second.load_cert_chain(tmp_path / "chain.pem")
    contexts = iter([first, second])

    class Forgetful:
        def wrap_socket(self, *arguments, **options):
            return next(contexts).wrap_socket(*arguments, **options)

    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with (
        one_reply_each(Forgetful(), 2, reply) as (url, returned),
        opened(url, ca_file=ca_file) as bucket,
    ):
        bodies = [read(bucket), read(bucket)]

    assert [b"ok", b"ok"] == bodies
    assert [False, False] == returned
