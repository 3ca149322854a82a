"""PostObject: forms with policies, signed and not."""

import base64
import hashlib
import hmac
import json

import pytest

from tests.emulator.client import KEY_ID, SECRET, emulated

POLICY = {"expiration": "2099-01-01T00:00:00.000Z", "conditions": [{"bucket": "bucket"}]}


@pytest.fixture(scope="module")
def client():
    with emulated() as client:
        yield client


def form(fields, data=b"bytes", filename="a.txt", after=b""):
    parts = [
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--B\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    parts.append(head.encode() + b"Content-Type: text/x\r\n\r\n" + data + b"\r\n")
    return b"".join(parts) + after + b"--B--\r\n"


def signed(policy=None, **fields):
    """The fields of a form, its policy signed with V1."""
    text = base64.b64encode(json.dumps(policy or POLICY).encode()).decode()
    digest = hmac.new(SECRET.encode(), text.encode(), hashlib.sha1).digest()
    given = {"key": "posted", **fields, "policy": text, "OSSAccessKeyId": KEY_ID}
    return {**given, "Signature": base64.b64encode(digest).decode()}


def post(client, body):
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    return client.send("POST", "/bucket/", headers, body)


@pytest.mark.parametrize("size", [0, 5, 3 << 20])
def test_a_form_becomes_an_object(client, size):
    """Every byte of the file and none of the form, through memory or through a file."""
    data = (b"\r\n--A" * (size // 5 + 1))[:size]

    answer = post(client, form(signed(**{"x-oss-meta-a": "b", "key": "up/${filename}"}), data))

    version = client.emulator.objects.version("bucket", "up/a.txt")
    assert (204, f'"{hashlib.md5(data).hexdigest().upper()}"') == (
        answer.status,
        answer.headers["etag"],
    )
    assert data == version.content.read()
    assert (("x-oss-meta-a", "b"),) == version.metadata
    assert "text/x" == dict(version.headers)["content-type"]


def test_the_form_says_how_to_answer(client):
    """200, 201 with a body, 204 otherwise, or a redirect that names the object."""
    created = post(client, form(signed(success_action_status="201")))
    plain = post(client, form(signed(success_action_status="200")))
    other = post(client, form(signed(success_action_status="999")))
    sent = post(client, form(signed(success_action_redirect="http://x/done?a=1")))

    assert (201, "posted") == (created.status, created.text("Key"))
    assert [200, 204] == [plain.status, other.status]
    assert 303 == sent.status
    assert sent.headers["location"].startswith("http://x/done?a=1&bucket=bucket&key=posted&etag=")


def conditions(*more):
    return {**POLICY, "conditions": [*POLICY["conditions"], *more]}


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (conditions(["eq", "$key", "posted"]), (204, "")),
        (conditions(["eq", "$key", "other"]), (403, "AccessDenied")),
        (conditions(["starts-with", "$key", "post"]), (204, "")),
        (conditions(["starts-with", "$key", "pre"]), (403, "AccessDenied")),
        (conditions(["in", "$key", ["posted", "x"]]), (204, "")),
        (conditions(["not-in", "$key", ["posted"]]), (403, "AccessDenied")),
        (conditions({"bucket": "other"}), (403, "AccessDenied")),
        (conditions(["content-length-range", 1, 5]), (204, "")),
        (conditions(["content-length-range", 1, 4]), (400, "EntityTooLarge")),
        (conditions(["content-length-range", 6, 9]), (400, "EntityTooSmall")),
        (conditions(["between", "$key", "x"]), (400, "InvalidPolicyDocument")),
        ({**POLICY, "expiration": "2020-01-01T00:00:00Z"}, (403, "AccessDenied")),
        ({"conditions": []}, (400, "InvalidPolicyDocument")),
    ],
)
def test_a_policy_is_held(client, policy, outcome):
    """What its signer allowed, and nothing else."""
    assert outcome == post(client, form(signed(policy))).outcome


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (form({"key": "posted"}), (403, "AccessDenied")),
        (form(signed() | {"Signature": "AAAA"}), (403, "SignatureDoesNotMatch")),
        (form({**signed(), "key": ""}), (400, "InvalidArgument")),
        (b"--B--\r\n", (400, "IncorrectNumberOfFilesInPOSTRequest")),
        (b"--B\r\nno end of the head", (400, "MalformedPOSTRequest")),
        (form(signed())[:-20], (400, "MalformedPOSTRequest")),
    ],
)
def test_a_form_that_is_not_right_stores_nothing(client, body, outcome):
    """Unsigned, wrongly signed, incomplete or torn."""
    client.emulator.objects.delete("bucket", "posted")

    assert outcome == post(client, body).outcome
    assert "posted" not in client.emulator.objects.keys("bucket")


def test_a_post_that_is_no_form_is_told_so(client):
    """RequestIsNotMultiPartContent, as OSS calls it."""
    answer = client.send("POST", "/bucket/", {"Content-Type": "text/plain"}, b"x")

    assert (400, "RequestIsNotMultiPartContent") == answer.outcome
