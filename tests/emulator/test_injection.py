"""Every fault does to an OSS request what it says, and leaves the others alone."""

import http.client
import json
import time

import pytest

from osssync.emulator.emulator import Emulator
from osssync.emulator.faults import Effect
from osssync.emulator.settings import Settings, StaticCredential
from tests.emulator.serving import ask
from tests.emulator.signing import NOW_S, signed_v1

BODY = bytes(range(256)) * 1024  # 256 KiB: more than one write, and any shift shows


@pytest.fixture(scope="module")
def shared():
    settings = Settings(buckets=("bucket",), credentials=(StaticCredential("AKID", "secret"),))
    with Emulator.running(settings) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared):
    shared.faults.clear()
    shared.forget_requests()
    shared.clock.offset_s = 0.0
    shared.objects.put("bucket", "key", BODY)
    # The signer's clock stands still, so the cloud's is set to it.
    shared.clock.offset_s = NOW_S - shared.clock()
    return shared


def send(emulator, method="GET", body=None, target="/key"):
    port = int(emulator.endpoint.rpartition(":")[2])
    signed = signed_v1(target=target, method=method)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, f"/bucket{target}", body=body, headers=dict(signed.headers))
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def statuses(emulator):
    return [(one.operation, one.status) for one in emulator.requests]


def test_without_faults_all_is_well(emulator):
    """The object comes as it is."""
    status, _, body = send(emulator)

    assert (status, body) == (200, BODY)


def test_an_error_answers_instead_of_the_operation(emulator):
    """Status, code, message and EC are the rule's; the object is not written."""
    emulator.faults.inject(
        Effect.ERROR, status=409, code="Busy", message="later", ec="0000-00000001", times=1
    )

    status, headers, body = send(emulator, "PUT", b"new")

    assert (status, headers["x-oss-ec"]) == (409, "0000-00000001")
    assert b"<Code>Busy</Code><Message>later</Message>" in body
    assert emulator.objects.get("bucket", "key") == BODY
    assert send(emulator)[0] == 200


@pytest.mark.parametrize(("body", "wanted"), [("garbage", b"<html"), ("empty", b"")])
def test_an_error_may_be_unparsable(emulator, body, wanted):
    """Throttled servers answer with pages that are no OSS errors."""
    emulator.faults.inject(Effect.ERROR, status=503, body=body)

    status, headers, received = send(emulator)

    assert status == 503
    assert received[:5] == wanted
    assert "x-oss-err" not in headers


def test_throttling_is_a_503(emulator):
    """With OSS's own code for it."""
    emulator.faults.inject(Effect.THROTTLE, times=1)

    status, _, body = send(emulator)

    assert status == 503
    assert b"<Code>DownloadTrafficRateLimitExceeded</Code>" in body


def test_an_expired_token_can_be_claimed(emulator):
    """As if the token had ended this very moment."""
    emulator.faults.inject(Effect.EXPIRED_TOKEN, times=1)

    status, headers, body = send(emulator)

    assert (status, headers["x-oss-ec"]) == (403, "0002-00000007")
    assert b"<Code>SecurityTokenExpired</Code>" in body


def test_garbage_is_a_200_with_something_else(emulator):
    """As a captive portal answers."""
    emulator.faults.inject(Effect.GARBAGE, times=1)

    status, _, body = send(emulator)

    assert (status, body[:5]) == (200, b"<html")


@pytest.mark.parametrize("effect", [Effect.REFUSE, Effect.RESET])
def test_a_reset_before_the_operation_does_nothing(emulator, effect):
    """The connection is gone, the object as it was; the log says that no answer was given."""
    emulator.faults.inject(effect, times=1)

    with pytest.raises(ConnectionError):
        send(emulator, "PUT", b"new")

    assert emulator.objects.get("bucket", "key") == BODY
    assert statuses(emulator) == [("PutObject", 0)]


def test_a_lost_answer_is_of_a_done_operation(emulator):
    """The object is written, and the client cannot know."""
    emulator.faults.inject(Effect.LOSE, times=1)

    with pytest.raises(ConnectionError):
        send(emulator, "PUT", b"new")

    assert emulator.objects.get("bucket", "key") == b"new"


@pytest.mark.parametrize("at", [0, 1, 100_000])
def test_a_cut_body_ends_early_though_all_was_promised(emulator, at):
    """Content-Length says all, the connection ends in order after ``at`` bytes."""
    emulator.faults.inject(Effect.CUT, at=at, times=1)

    with pytest.raises(http.client.IncompleteRead) as caught:
        send(emulator)

    assert caught.value.partial == BODY[:at]
    assert caught.value.expected == len(BODY) - at


def test_a_reset_body_breaks_off(emulator):
    """The client gets at most the first ``at`` bytes, and then an error of its socket."""
    emulator.faults.inject(Effect.RESET, at=100_000, times=1)

    with pytest.raises(ConnectionResetError):
        send(emulator)

    assert statuses(emulator) == [("GetObject", 200)]
    assert emulator.requests[0].sent == 0


@pytest.mark.parametrize("at", [0, 100_000, len(BODY) - 1])
def test_a_flipped_byte_is_the_only_difference(emulator, at):
    """Same length, one wrong byte, the CRC of the right ones."""
    emulator.faults.inject(Effect.FLIP, at=at, times=1)

    _, wrong_headers, wrong = send(emulator)
    _, headers, right = send(emulator)

    assert [index for index in range(len(BODY)) if wrong[index] != right[index]] == [at]
    assert wrong_headers["x-oss-hash-crc64ecma"] == headers["x-oss-hash-crc64ecma"]
    assert emulator.objects.get("bucket", "key") == BODY


def test_a_changed_object_has_another_etag_and_the_same_size(emulator):
    """Only the ETag tells that the object was overwritten between two requests."""
    _, before, _ = send(emulator)
    emulator.faults.inject(Effect.CHANGE, times=1)

    _, after, body = send(emulator)

    assert before["ETag"] != after["ETag"]
    assert len(body) == len(BODY)
    assert body[1:] == BODY[1:]


def test_a_skewed_clock_judges_one_request(emulator):
    """The request is too old for a server that is 20 minutes ahead."""
    emulator.faults.inject(Effect.SKEW, offset_s=1200.0, times=1)

    status, _, body = send(emulator)

    assert status == 403
    assert b"<Code>RequestTimeTooSkewed</Code>" in body
    assert send(emulator)[0] == 200


def test_a_hanging_request_ends_when_the_client_goes(emulator):
    """No answer; the server is free for the next request."""
    emulator.faults.inject(Effect.HANG, times=1)
    port = int(emulator.endpoint.rpartition(":")[2])

    with pytest.raises(TimeoutError):
        ask(port, "GET", "/bucket/key", timeout_s=0.1)
    deadline_s = time.monotonic() + 10
    while not emulator.requests and time.monotonic() < deadline_s:
        time.sleep(0.005)

    assert statuses(emulator) == [("GetObject", 0)]
    assert send(emulator)[0] == 200


def test_a_delay_is_only_a_delay(emulator):
    """The answer comes late, and right."""
    emulator.faults.inject(Effect.DELAY, delay_s=0.05, times=1)

    send(emulator)

    assert emulator.requests[0].duration_s >= 0.05


def test_rules_see_operation_and_part(emulator):
    """A rule for one part of an upload leaves the others alone."""
    emulator.faults.inject(Effect.THROTTLE, operation="UploadPart", part_number=2)
    upload = send(emulator, "POST", target="/key?uploads")[2].decode()
    upload_id = upload.partition("<UploadId>")[2].partition("<")[0]

    parts = [
        send(emulator, "PUT", b"x", target=f"/key?partNumber={number}&uploadId={upload_id}")[0]
        for number in (1, 2, 3)
    ]

    assert parts == [200, 503, 200]


def test_the_control_address_rules_a_running_emulator(emulator):
    """Faults set over HTTP hit OSS requests, and the request log is read back."""
    control = int(emulator.control_endpoint.rpartition(":")[2])
    ask(control, "PUT", "/faults", body=json.dumps([{"effect": "throttle", "times": 1}]))

    first, second = send(emulator)[0], send(emulator)[0]
    logged = json.loads(ask(control, "GET", "/requests").text)

    assert (first, second) == (503, 200)
    assert [one["status"] for one in logged] == [503, 200]
    assert {one["access_key_id"] for one in logged} == {"AKID"}
