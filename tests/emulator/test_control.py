"""The control address changes the emulator while it runs, and tells what it saw."""

import json
from dataclasses import dataclass, field

import pytest

from osssync.emulator.authority import Authority
from osssync.emulator.clock import CloudClock
from osssync.emulator.control import make_control_app
from osssync.emulator.faults import Effect, Faults, Occasion
from osssync.emulator.settings import Settings
from tests.emulator.serving import ask, served


@dataclass(frozen=True)
class Logged:
    """A line of a request log."""

    number: int
    operation: str


@dataclass
class Stand:
    """What the control address needs of an emulator, without its servers."""

    settings: Settings
    clock: CloudClock
    authority: Authority
    faults: Faults = field(default_factory=Faults)
    endpoint: str = "http://127.0.0.1:1"
    metadata_endpoint: str = "http://127.0.0.1:2"
    requests: tuple = (Logged(1, "PutObject"), Logged(2, "GetObject"))
    metadata_requests: tuple = ()
    port: int = 0

    def call(self, method, target, body=None):
        data = None if body is None else json.dumps(body)
        answer = ask(self.port, method, target, body=data)
        return answer.status, json.loads(answer.text)


@pytest.fixture
def emulator():
    settings = Settings(role="Reader")
    clock = CloudClock()
    stand = Stand(settings, clock, Authority(settings, clock))
    with served(make_control_app(stand)) as port:
        stand.port = port
        yield stand


def test_the_state_tells_addresses_role_and_counters_but_no_secret(emulator):
    """Enough to know what a client will see, nothing that could sign."""
    current = emulator.authority.current()

    status, state = emulator.call("GET", "/state")

    assert status == 200
    assert state["endpoint"] == "http://127.0.0.1:1"
    assert (state["role"], state["access_key_id"]) == ("Reader", current.access_key_id)
    assert (state["sets_issued"], state["rotations"], state["requests"]) == (1, 0, 2)
    assert current.access_key_secret not in json.dumps(state)
    assert current.security_token not in json.dumps(state)


def test_asking_for_the_state_issues_nothing(emulator):
    """Looking must not rotate."""
    emulator.call("GET", "/state")

    assert emulator.authority.issued == 0


def test_credentials_can_be_rotated_and_revoked(emulator):
    """Rotation issues another set, revocation ends all."""
    first = emulator.authority.current()

    _, rotated = emulator.call("POST", "/rotate")
    emulator.call("POST", "/revoke")

    assert rotated["access_key_id"] != first.access_key_id
    assert rotated["rotations"] == 1
    assert emulator.authority.find(first.access_key_id).expires_s <= emulator.clock()


def test_the_role_can_be_detached_and_attached(emulator):
    """A switch is a detach and an attach, with a window in between."""
    _, detached = emulator.call("POST", "/detach")
    _, attached = emulator.call("POST", "/attach?role=Writer")
    nameless, _ = emulator.call("POST", "/attach")

    assert (detached["role"], attached["role"], nameless) == ("", "Writer", 400)


def test_faults_can_be_replaced_added_read_and_removed(emulator):
    """The four verbs of /faults, and the counts between them."""
    emulator.call("PUT", "/faults", [{"effect": "throttle", "times": 1}])
    emulator.call("POST", "/faults", {"effect": "hang", "key": "x"})
    emulator.faults.take(Occasion("oss", "GET"))

    _, rules = emulator.call("GET", "/faults")
    _, none = emulator.call("DELETE", "/faults")

    assert rules == [
        {"effect": Effect.THROTTLE.value, "times": 1, "seen": 1, "fired": 1},
        {"effect": Effect.HANG.value, "key": "x", "seen": 0, "fired": 0},
    ]
    assert none == []


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", "/faults", {"effect": "hang"}),
        ("POST", "/faults", {"effect": "explode"}),
        ("POST", "/clock?offset_s=soon", None),
        ("POST", "/clock?offset_s=nan", None),
        ("GET", "/requests?since=x", None),
    ],
)
def test_what_cannot_be_understood_changes_nothing(emulator, method, target, body):
    """A 400 with a reason, and everything stays as it was."""
    status, answer = emulator.call(method, target, body)

    assert status == 400
    assert answer["error"]
    assert emulator.faults.snapshot() == []
    assert emulator.clock.offset_s == 0.0


def test_a_body_that_is_not_json_is_not_a_rule(emulator):
    """Broken JSON is a 400 too."""
    assert ask(emulator.port, "POST", "/faults", body="{").status == 400


def test_requests_are_listed_all_or_since_a_number(emulator):
    """A test reads what happened, or only what happened since it looked last."""
    _, everything = emulator.call("GET", "/requests")
    _, later = emulator.call("GET", "/requests?since=1")
    _, metadata = emulator.call("GET", "/metadata-requests")

    assert [one["operation"] for one in everything] == ["PutObject", "GetObject"]
    assert later == [{"number": 2, "operation": "GetObject"}]
    assert metadata == []


def test_the_clock_of_the_cloud_can_be_moved(emulator):
    """The offset is set, not added."""
    emulator.call("POST", "/clock?offset_s=3600")
    _, state = emulator.call("POST", "/clock?offset_s=1200.5")

    assert state["clock_offset_s"] == 1200.5
    assert emulator.clock.offset_s == 1200.5
