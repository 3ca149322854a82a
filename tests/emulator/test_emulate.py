"""The emulate command: one line that says it all, then service until a signal."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import oss2
import pytest

from osssync.cli.app import main
from tests.emulator.serving import ask

TIMEOUT_S = 60  # for a machine that is busy; a start takes about a second


@contextmanager
def running(*flags):
    """The command in a process of its own; yields the process and what its first line says."""
    command = [sys.executable, "-m", "osssync", "emulate", *flags]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def refused(capsys, *flags):
    """What the command says on stderr when it refuses to start."""
    assert main(["emulate", *flags]) == 1
    return capsys.readouterr().err


def port_of(address):
    return int(address.rpartition(":")[2])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_line_has_all_a_client_needs_and_a_signal_ends_it(number):
    """Endpoint, credential, bucket and region of the line are enough to put and get an object."""
    with running("--bucket", "first", "--role", "Reader", "--lifetime", "20s") as (process, said):
        (credential,) = said["credentials"]
        auth = oss2.AuthV4(credential["access_key_id"], credential["access_key_secret"])
        bucket = oss2.Bucket(auth, said["endpoint"], said["buckets"][0], region=said["region"])
        bucket.put_object("key", b"hello")
        body = bucket.get_object("key").read()
        bucket.get_object("key").resp.response.close()
        role = ask(
            port_of(said["metadata_endpoint"]),
            "GET",
            "http://100.100.100.200/latest/meta-data/ram/security-credentials/",
        )
        state = json.loads(ask(port_of(said["control"]), "GET", "/state").text)
        process.send_signal(number)
        code = process.wait(TIMEOUT_S)

    assert body == b"hello"
    assert role.text == "Reader"
    assert state["requests"] == 3
    assert said["lifetime_s"] == 20
    assert said["environment"]["OSS_ENDPOINT"] == said["endpoint"]
    assert code == 0


def test_given_credentials_are_used_and_repeated():
    """Every credential of the command line works, tokens included."""
    with running("--credential", "a:b", "--credential", "c:d:e") as (_, said):
        pass

    assert said["credentials"] == [
        {"access_key_id": "a", "access_key_secret": "b", "security_token": ""},
        {"access_key_id": "c", "access_key_secret": "d", "security_token": "e"},
    ]


def test_a_taken_port_is_a_clear_error(capsys):
    """Exit 1 and a message that names the address, no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        error = refused(capsys, "--port", str(port))

    assert str(port) in error
    assert "Traceback" not in error


def test_other_machines_are_kept_out(capsys):
    """Only loopback, unless it is asked for in so many words."""
    error = refused(capsys, "--bind", "0.0.0.0")

    assert "--allow-remote" in error


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--bind", "localhost"], "not an IP address"),
        (["--lifetime", "soon"], "duration"),
        (["--lifetime", "0.5s"], "one second"),
        (["--bucket", "No_Bucket"], "bucket name"),
        (["--port", "70000"], "--port"),
        (["--policy", "/nonexistent/policy.json"], "policy.json"),
        (["--request-log", "/nonexistent/log"], "/nonexistent/log"),
    ],
)
def test_wrong_flags_are_refused(capsys, flags, reason):
    """Every wrong value is named before anything is served."""
    assert reason in refused(capsys, *flags)


def test_a_malformed_credential_is_not_repeated(capsys):
    """It may hold a secret, so the message has its number only."""
    error = refused(capsys, "--credential", "sesame")

    assert "number 1" in error
    assert "sesame" not in error


def test_a_certificate_needs_its_key(capsys, tmp_path):
    """One without the other serves nothing."""
    certificate = tmp_path / "cert.pem"
    certificate.write_text("")

    assert "--tls-key" in refused(capsys, "--tls-cert", str(certificate))


@pytest.mark.parametrize(
    ("flag", "text", "reason"),
    [
        ("--policy", '{"Version": "1", "Statement": [{"Effect": "Maybe"}]}', "Effect"),
        ("--faults", '[{"effect": "explode"}]', "explode"),
    ],
)
def test_broken_files_are_refused(capsys, tmp_path, flag, text, reason):
    """A policy or a rule that cannot be enforced stops the start."""
    path = tmp_path / "file.json"
    path.write_text(text)

    error = refused(capsys, flag, str(path))

    assert reason in error
    assert str(path) in error
