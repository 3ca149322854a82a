"""The metadata service answers as ECS does, directly and as a proxy, and goes wrong on demand."""

import http.client
import json
from dataclasses import dataclass

import pytest

from osssync.emulator.authority import Authority
from osssync.emulator.clock import CloudClock
from osssync.emulator.faults import Effect, Faults
from osssync.emulator.metadata import MetadataLog, make_metadata_app
from osssync.emulator.settings import Settings
from tests.emulator.serving import ask, served

TOKEN = "X-aliyun-ecs-metadata-token"
TTL = "X-aliyun-ecs-metadata-token-ttl-seconds"
ROLES = "/latest/meta-data/ram/security-credentials/"


@dataclass
class Service:
    """A running metadata service, and what stands behind it."""

    port: int
    authority: Authority
    faults: Faults
    log: MetadataLog
    clock: CloudClock

    def get(self, target, **headers):
        return ask(self.port, "GET", target, {k.replace("_", "-"): v for k, v in headers.items()})

    def token(self, ttl="60"):
        return ask(self.port, "PUT", "/latest/api/token", {TTL: ttl}).text


def serve(**settings):
    given = Settings(role="Reader", lifetime_s=100.0, **settings)
    clock = CloudClock()
    authority, faults, log = Authority(given, clock), Faults(), MetadataLog()
    app = make_metadata_app(authority, given, faults, log, clock)
    return app, lambda port: Service(port, authority, faults, log, clock)


@pytest.fixture
def service():
    app, made = serve()
    with served(app) as port:
        yield made(port)


@pytest.fixture
def hardened():
    app, made = serve(imds_v2_only=True)
    with served(app) as port:
        yield made(port)


def test_the_role_list_is_the_name_and_nothing_else(service):
    """Clients take the body as the role's name, so there is no newline."""
    answer = service.get(ROLES)

    assert (answer.status, answer.text) == (200, "Reader")


def test_credentials_have_the_documented_form(service):
    """The documented JSON, with the end that is enforced."""
    answer = service.get(ROLES + "Reader")
    current = service.authority.current()

    document = json.loads(answer.text)

    assert set(document) == {
        "AccessKeyId", "AccessKeySecret", "Expiration", "SecurityToken", "LastUpdated", "Code",
    }  # fmt: skip
    assert document["Code"] == "Success"
    assert document["AccessKeyId"] == current.access_key_id
    assert document["AccessKeySecret"] == current.access_key_secret
    assert document["SecurityToken"] == current.security_token
    assert len("2026-11-24T06:00:00Z") == len(document["Expiration"])


@pytest.mark.parametrize(
    "target",
    [
        "http://100.100.100.200/latest/meta-data/ram/security-credentials/Reader",
        "http://100.100.100.200:80/latest/meta-data/ram/security-credentials/Reader",
        "/latest/meta-data/Ram/security-credentials/Reader",
        "/latest/meta-data/ram/security-credentials/Reader?",
    ],
)
def test_all_spellings_of_real_clients_are_understood(service, target):
    """Through a proxy, with a capital Ram, with a bare question mark."""
    answer = service.get(target)

    assert json.loads(answer.text)["Code"] == "Success"


def test_another_role_is_not_found(service):
    """Only the attached role has credentials."""
    assert service.get(ROLES + "Writer").status == 404


def test_a_detached_instance_has_no_role(service):
    """List and credentials are 404 until a role is attached again."""
    service.authority.detach()
    detached = service.get(ROLES).status, service.get(ROLES + "Reader").status
    service.authority.attach("Writer")

    assert detached == (404, 404)
    assert service.get(ROLES).text == "Writer"
    assert service.get(ROLES + "Writer").status == 200


@pytest.mark.parametrize("ttl", [None, "", "0", "21601", "-1", "1.5", "many", "²"])
def test_a_token_needs_a_lifetime_within_its_range(service, ttl):
    """1 to 21600 seconds, anything else is a 400."""
    headers = {} if ttl is None else {TTL: ttl.encode()}

    assert ask(service.port, "PUT", "/latest/api/token", headers).status == 400


def test_a_forwarded_request_gets_no_token(service):
    """A proxy that adds X-Forwarded-For must not hand out tokens to strangers."""
    headers = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}

    assert ask(service.port, "PUT", "/latest/api/token", headers).status == 403


def test_hardened_mode_wants_a_valid_token(hardened):
    """No token 403, a wrong one 403, a good one 200, a stale one 403."""
    token = hardened.token(ttl="60")

    without = hardened.get(ROLES).status
    wrong = ask(hardened.port, "GET", ROLES, {TOKEN: "wrong"}).status
    good = ask(hardened.port, "GET", ROLES, {TOKEN: token}).status
    hardened.clock.offset_s = 61.0
    stale = ask(hardened.port, "GET", ROLES, {TOKEN: token}).status

    assert (without, wrong, good, stale) == (403, 403, 200, 403)


def test_normal_mode_refuses_a_wrong_token_too(service):
    """A token may be left out, but not be wrong."""
    assert ask(service.port, "GET", ROLES, {TOKEN: "wrong"}).status == 403


def test_the_tree_lists_and_tells(service):
    """Folders list their children, leaves are plain text."""
    top = service.get("/latest/meta-data/").text.split("\n")

    assert {"region-id", "instance/", "ram/"} <= set(top)
    assert service.get("/latest/meta-data/ram").text == "security-credentials/"
    assert service.get("/latest/meta-data/region-id").text == "cn-hangzhou"
    assert service.get("/latest/meta-data/zone-id").text == "cn-hangzhou-a"
    assert service.get("/latest/meta-data/owner-account-id").text.isdigit()
    assert service.get("/latest/meta-data/nothing").status == 404
    assert service.get("/other").status == 404


def test_it_is_a_proxy_for_one_host_only(service):
    """Nothing is ever forwarded, and tunnels are refused."""
    assert service.get("http://example.com/latest/meta-data/").status == 403
    assert ask(service.port, "CONNECT", "100.100.100.200:443").status == 405
    assert ask(service.port, "DELETE", ROLES).status == 405


def test_every_request_is_logged_without_its_secrets(service):
    """Tests count requests; the log holds neither tokens nor credentials."""
    token = service.token()
    ask(service.port, "GET", f"http://100.100.100.200{ROLES}Reader?", {TOKEN: token})

    first, second = service.log.snapshot()

    assert (first.number, first.method, first.path) == (1, "PUT", "/latest/api/token")
    assert (second.path, second.status) == (ROLES + "Reader", 200)
    assert (second.with_token, second.through_proxy) == (True, True)
    assert token not in repr([first, second])


@pytest.mark.parametrize(
    ("effect", "values", "status"),
    [
        (Effect.ERROR, {"status": 404}, 404),
        (Effect.ERROR, {"status": 500}, 500),
        (Effect.THROTTLE, {}, 429),
        (Effect.DELAY, {"delay_s": 0.01}, 200),
    ],
)
def test_errors_happen_on_demand(service, effect, values, status):
    """A rule for the metadata service hits it, once if it says so."""
    service.faults.inject(effect, service="metadata", times=1, **values)

    assert service.get(ROLES).status == status
    assert service.get(ROLES).status == 200


def test_garbage_and_past_expirations_are_not_credentials(service):
    """Two answers with status 200 that a client must not believe."""
    key = "meta-data/ram/security-credentials/*"
    service.faults.inject(Effect.GARBAGE, service="metadata", key=key, times=1)
    service.faults.inject(Effect.EXPIRED_TOKEN, service="metadata", key=key, times=1)

    garbage = service.get(ROLES + "Reader").text
    expired = json.loads(service.get(ROLES + "Reader").text)
    healthy = json.loads(service.get(ROLES + "Reader").text)

    with pytest.raises(json.JSONDecodeError):
        json.loads(garbage)
    assert expired["Expiration"] <= expired["LastUpdated"] < healthy["Expiration"]


def test_a_reset_connection_is_no_answer(service):
    """The client sees the connection go, and the log says that no answer was given."""
    service.faults.inject(Effect.RESET, service="metadata", times=1)

    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        service.get(ROLES)

    assert [one.status for one in service.log.snapshot()] == [0]


def test_a_hanging_service_answers_nobody_but_lives_on(service):
    """A client that gives up frees the service for the next one."""
    service.faults.inject(Effect.HANG, service="metadata", times=1)

    with pytest.raises(TimeoutError):
        ask(service.port, "GET", ROLES, timeout_s=0.1)

    assert service.get(ROLES).status == 200
