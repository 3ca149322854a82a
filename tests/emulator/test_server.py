"""The server itself: what every answer carries, broken requests, addresses, permissions, logs."""

import http.client
import json
import re
import socket
import ssl
import subprocess
from urllib.parse import urlsplit

import pytest

from osssync.emulator.emulator import Emulator
from osssync.emulator.settings import Settings
from tests.emulator.client import KEY_ID, OWNER, SECRET, Client, authorization, emulated


@pytest.fixture(scope="module")
def shared():
    with emulated(buckets=("bucket", "public")) as client:
        yield client


@pytest.fixture
def client(shared):
    for name in ("bucket", "public"):
        for key in shared.emulator.objects.keys(name):
            shared.emulator.objects.delete(name, key)
    shared.emulator.forget_requests()
    return shared


def test_every_answer_says_who_and_when(client):
    """Request id, clock, server and time spent, on successes and failures alike."""
    client.put("key", b"x")

    for answer in (client.get("key"), client.get("nothing"), client.head("nothing")):
        assert re.fullmatch("[0-9A-F]{24}", answer.headers["x-oss-request-id"])
        assert "AliyunOSS" == answer.headers["server"]
        assert answer.headers["date"].endswith("GMT")
        assert answer.headers["x-oss-server-time"].isdigit()


def test_an_error_body_tells_everything_in_the_order_of_oss(client):
    """Code, Message, RequestId, HostId, what it is about, EC, RecommendDoc; no namespace."""
    answer = client.get("nothing")

    names = re.findall("<([A-Za-z]+)>", answer.body.decode())
    assert ["Error", "Code", "Message", "RequestId", "HostId", "Key", "EC", "RecommendDoc"] == names
    assert answer.headers["x-oss-request-id"] == answer.text("RequestId")
    assert answer.headers["x-oss-ec"] == answer.text("EC")
    assert b"xmlns" not in answer.body


def test_what_oss_has_no_operation_for_is_405(client):
    """A method that means nothing at its level, and a sub-resource the emulator does not know."""
    assert (405, "MethodNotAllowed") == client.post("key", "").outcome
    assert (405, "MethodNotAllowed") == client.ask("DELETE", bucket="").outcome
    assert (501, "NotImplemented") == client.post("", "metaQuery&comp=query").outcome
    assert (501, "NotImplemented") == client.ask("PUT", "", "accessPoint").outcome


def raw(client, data, *, close=False, until=b""):
    """Send bytes, and return what the server says: all of it, or up to some words."""
    address = urlsplit(client.emulator.endpoint)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(data)
        if close:
            connection.shutdown(socket.SHUT_WR)
        said = b""
        while chunk := connection.recv(65536):
            said += chunk
            if until and until in said:
                break
        return said


def signed_lines(method, target, path, headers):
    given = dict(headers)
    authorization(method, target, given, path)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("size", [100, 3 << 20])
@pytest.mark.parametrize("part", [False, True])
def test_a_body_that_is_cut_short_leaves_nothing(client, size, part):
    """Neither an object nor a part comes of fewer bytes than were announced."""
    upload_id = client.post("key", "uploads").text("UploadId")
    target = f"/bucket/key?partNumber=1&uploadId={upload_id}" if part else "/bucket/key"
    head = signed_lines(
        "PUT", target, "/bucket/key", {"Host": "127.0.0.1", "Content-Length": str(size)}
    )

    raw(client, head + b"x" * (size - 1), close=True)

    assert [] == client.emulator.objects.keys("bucket")
    assert [] == client.get("key", f"uploadId={upload_id}").texts("Part")


def test_a_chunked_body_needs_no_length_and_no_body_needs_one(client):
    """``Transfer-Encoding: chunked`` is stored; neither of the two headers is 411."""
    chunked = signed_lines(
        "PUT",
        "/bucket/key",
        "/bucket/key",
        {"Host": "127.0.0.1", "Transfer-Encoding": "chunked", "Connection": "close"},
    )
    bare = signed_lines(
        "PUT", "/bucket/other", "/bucket/other", {"Host": "127.0.0.1", "Connection": "close"}
    )

    assert b"200 OK" in raw(client, chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert b"<Code>MissingContentLength</Code>" in raw(client, bare)
    assert b"abcde" == client.emulator.objects.get("bucket", "key")
    assert ["key"] == client.emulator.objects.keys("bucket")


def test_a_client_that_waits_is_told_to_go_on_or_not(client):
    """100 Continue before the body is read; a refused request never gets it."""
    headers = {
        "Host": "127.0.0.1",
        "Content-Length": "3",
        "Expect": "100-continue",
        "Connection": "close",
    }
    good = signed_lines("PUT", "/bucket/key", "/bucket/key", headers)
    bad = good.replace(b"Signature=", b"Signature=0")

    said = raw(client, good + b"abc")
    refused = raw(client, bad, until=b"</Error>")

    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    assert refused.startswith(b"HTTP/1.1 403")


def test_a_body_nobody_asked_for_is_not_the_next_request(client):
    """A GET that announces a body ends its connection instead of confusing it."""
    client.put("key", b"x")

    answer = client.get("key", headers={"Content-Length": "9"})

    assert (200, "close") == (answer.status, answer.headers["connection"])
    assert 200 == client.get("key").status


def test_a_bucket_is_addressed_by_its_host(client):
    """Virtual-hosted names of OSS and of localhost, a port or none, and absolute targets."""
    client.put("a/b", b"x")
    hosts = ["bucket.oss-cn-hangzhou.aliyuncs.com", "bucket.localhost:9000"]

    for host in hosts:
        for target in ("/a%2Fb", "/a/b", f"http://{host}/a%2Fb"):
            headers = {"Host": host}
            authorization("GET", target, headers, "/bucket/a/b")
            assert b"x" == client.send("GET", target, headers).body


def test_another_regions_endpoint_sends_the_client_home():
    """403 AccessDenied with the endpoint that the bucket lives at."""
    with emulated(region="cn-hangzhou") as client:
        client.emulator.objects.create_bucket("bucket").location = "oss-cn-beijing"
        headers = {"Host": "bucket.oss-cn-hangzhou.aliyuncs.com"}
        authorization("GET", "/key", headers, "/bucket/key")

        answer = client.send("GET", "/key", headers)

    assert (403, "AccessDenied") == answer.outcome
    assert "oss-cn-beijing.aliyuncs.com" == answer.text("Endpoint")


def acl(client, bucket, value):
    assert 200 == client.ask("PUT", "", "acl", {"x-oss-acl": value}, bucket=bucket).status


def test_strangers_may_what_the_acls_say(client):
    """Private by default; a bucket's ACL opens all of it, an object's only itself."""
    client.ask("PUT", "key", "", None, b"x", bucket="public")
    client.ask("PUT", "secret", "", {"x-oss-object-acl": "private"}, b"x", bucket="public")
    statuses = {}
    for value in ("private", "public-read", "public-read-write"):
        acl(client, "public", value)
        statuses[value] = [
            client.send("GET", "/public/key").status,
            client.send("GET", "/public/secret").status,
            client.send("GET", "/public/").status,
            client.send("PUT", f"/public/{value}", body=b"x").status,
        ]
    acl(client, "public", "private")
    client.ask("PUT", "key", "acl", {"x-oss-object-acl": "public-read"}, bucket="public")

    assert {
        "private": [403, 403, 403, 403],
        "public-read": [200, 403, 200, 403],
        "public-read-write": [200, 403, 200, 200],
    } == statuses
    assert 200 == client.send("GET", "/public/key").status


def test_a_bucket_policy_allows_and_denies(client):
    """To strangers too; a Deny wins over an ACL, and a public access block over both."""
    client.ask("PUT", "open/key", "", None, b"x", bucket="public")
    statement = {"Principal": ["*"], "Resource": ["acs:oss:*:*:public/open/*"]}
    allow = {"Effect": "Allow", "Action": ["oss:GetObject"], **statement}
    deny = {"Effect": "Deny", "Action": ["oss:GetObject"], **statement}

    def put(*statements):
        document = json.dumps({"Version": "1", "Statement": statements}).encode()
        return client.ask("PUT", "", "policy", None, document, bucket="public").status

    def stranger():
        return client.send("GET", "/public/open/key").status

    assert [403, 200, 200] == [stranger(), put(allow), stranger()]
    public = client.ask("GET", "", "policyStatus", bucket="public").text("IsPublic")
    assert "true" == public
    acl(client, "public", "public-read")
    assert [200, 403] == [put(deny), stranger()]
    assert 204 == client.ask("DELETE", "", "policy", bucket="public").status
    block = (
        b"<PublicAccessBlockConfiguration><BlockPublicAccess>true</BlockPublicAccess>"
        b"</PublicAccessBlockConfiguration>"
    )
    assert 200 == stranger()
    client.ask("PUT", "", "publicAccessBlock", None, block, bucket="public")
    assert 403 == stranger()
    client.ask("DELETE", "", "publicAccessBlock", bucket="public")
    acl(client, "public", "private")


def test_a_bad_signature_is_refused_before_anything_is_done(client):
    """No object comes of a request that nobody signed right."""
    headers = {}
    authorization("PUT", "/bucket/key", headers, "/bucket/other")

    answer = client.send("PUT", "/bucket/key", headers, b"x")

    assert (403, "SignatureDoesNotMatch") == answer.outcome
    assert [] == client.emulator.objects.keys("bucket")


def test_requests_are_there_as_soon_as_they_are_answered(client):
    """What a test asserts cost with: operation, key, part, range, bytes, error."""
    client.put("key", b"abc")
    client.get("key", headers={"Range": "bytes=0-1"})
    client.get("nothing")
    upload_id = client.post("key", "uploads").text("UploadId")
    client.put("key", b"part", query=f"partNumber=7&uploadId={upload_id}")
    client.get("", "list-type=2")

    seen = [
        (one.operation, one.key, one.status, one.code, one.received, one.range, one.part_number)
        for one in client.emulator.requests
    ]

    assert [
        ("PutObject", "key", 200, "", 3, "", 0),
        ("GetObject", "key", 206, "", 0, "bytes=0-1", 0),
        ("GetObject", "nothing", 404, "NoSuchKey", 0, "", 0),
        ("InitiateMultipartUpload", "key", 200, "", 0, "", 0),
        ("UploadPart", "key", 200, "", 4, "", 7),
        ("ListObjectsV2", "", 200, "", 0, "", 0),
    ] == seen
    numbers = [one.number for one in client.emulator.requests]
    assert list(range(numbers[0], numbers[0] + 6)) == numbers
    assert [KEY_ID] * 6 == [one.access_key_id for one in client.emulator.requests]
    assert [0, 2] == [one.sent for one in client.emulator.requests][:2]


def test_the_log_file_holds_no_signature_and_no_token(tmp_path):
    """One JSON object a line; what would let a reader repeat a request is blanked."""
    path = tmp_path / "requests.ndjson"
    with emulated(request_log=path) as client:
        client.put("key", b"x")
        client.send("GET", "/bucket/key?security-token=TOKEN1&Signature=SIGN1&x=1")
        client.send("GET", "/bucket/key?x-oss-security-token=TOKEN2&x-oss-signature=SIGN2")

    text = path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [1, 2, 3] == [one["number"] for one in lines]
    assert "PutObject" == lines[0]["operation"]
    assert "1" == lines[1]["query"]["x"]
    for secret in ("TOKEN1", "TOKEN2", "SIGN1", "SIGN2", SECRET):
        assert secret not in text


@pytest.mark.needs("openssl")
def test_oss_is_served_over_tls(tmp_path):
    """With a certificate the endpoint is https, and large bodies come through whole."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        f"-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    data = bytes(range(251)) * 20_000
    settings = Settings(credentials=(OWNER,), buckets=("bucket",), tls_cert=cert, tls_key=key)

    with Emulator.running(settings) as emulator:
        emulator.objects.put("bucket", "key", data)
        headers = {}
        authorization("GET", "/bucket/key", headers, "/bucket/key")
        connection = http.client.HTTPSConnection(
            urlsplit(emulator.endpoint).netloc,
            context=ssl.create_default_context(cafile=str(cert)),
        )
        connection.request("GET", "/bucket/key", headers=headers)
        body = connection.getresponse().read()
        connection.close()

    assert emulator.endpoint.startswith("https://")
    assert data == body


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind():
    """The ports that were free are free again."""
    with emulated() as client:
        taken = urlsplit(client.emulator.endpoint).port
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()

        with (
            pytest.raises(OSError, match="in use"),
            Emulator.running(Settings(port=port, control_port=taken)),
        ):
            pass

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_many_clients_are_served_at_once(client):
    """Requests of several connections do not wait for each other's bodies."""
    slow = Client(client.emulator)
    slow._connection.putrequest("PUT", "/bucket/slow", skip_accept_encoding=True)
    headers = {}
    authorization("PUT", "/bucket/slow", headers, "/bucket/slow")
    for name, value in headers.items():
        slow._connection.putheader(name, value)
    slow._connection.putheader("Content-Length", "6")
    slow._connection.endheaders(b"abc")

    assert 200 == client.put("quick", b"x").status
    slow._connection.send(b"def")
    assert 200 == slow._connection.getresponse().status
    slow.close()
    assert b"abcdef" == client.emulator.objects.get("bucket", "slow")
