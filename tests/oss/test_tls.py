"""TLS: who is trusted, and what is said of who is not."""

import contextlib
import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from osssync.errors import OsssyncError, UsageError
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


@contextlib.contextmanager
def tls_server(tmp_path, host):
    """A TLS server at 127.0.0.1 with a certificate for ``host``; yields its port and CA file."""
    public, private = certificate(host)
    ca_file, chain = tmp_path / "ca.pem", tmp_path / "chain.pem"
    ca_file.write_bytes(public)
    chain.write_bytes(public + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)

    def serve(connection):
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(connection, server_side=True) as secure,
        ):
            secure.recv(10_000)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw_server(serve) as url:
        yield url.replace("http:", "https:"), str(ca_file)


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
