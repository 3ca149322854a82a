"""The instance role, through the vendor's own package, against a stub of the metadata service."""

import http.server
import threading
import time

import pytest
from msgspec.structs import replace

from osssync.config import CredentialSettings
from osssync.credentials import sdk
from osssync.credentials.instance_role import InstanceRoleFetcher
from osssync.credentials.metadata import (
    MetadataBusyError,
    MetadataForbiddenError,
    MetadataGarbledError,
    MetadataNotFoundError,
    MetadataUnreachableError,
)
from osssync.credentials.provider import RefreshingCredentialsProvider
from osssync.errors import CredentialsError, UsageError
from tests.credentials.metadata_stub import ROLE_LIST, SECRET, STS_TOKEN, TOKEN

CREDENTIALS = f"{ROLE_LIST}AppRole"


def test_a_fetch_with_a_known_role_is_two_requests(stub, settings):
    """Token and credentials, as absolute-form requests for the documented address."""
    found = InstanceRoleFetcher(settings)()

    assert (found.access_key_id, found.access_key_secret, found.security_token) == (
        "STS.Set0001ForTests", f"{SECRET}0001", f"{STS_TOKEN}0001",
    )  # fmt: skip
    assert found.identity == "AppRole"
    assert found.expires_at_s == int(stub.expires_at_s)
    assert stub.lines == [f"PUT {TOKEN}", f"GET+ {CREDENTIALS}"]
    assert stub.authorities == {"100.100.100.200"}


def test_an_unnamed_role_is_discovered_once(stub, settings):
    """Two requests more at the first fetch, none later."""
    fetch = InstanceRoleFetcher(replace(settings, role_name=""))

    assert [fetch().identity for _ in range(3)] == ["AppRole"] * 3
    assert stub.lines.count(f"GET+ {ROLE_LIST}") == 1
    assert len(stub.lines) == 2 + 3 * 2


def test_every_fetch_is_fresh(stub, settings):
    """Nothing is cached between fetches, not even for a second."""
    fetch = InstanceRoleFetcher(settings)
    first = fetch()

    stub.number = 2

    assert (first.access_key_id, fetch().access_key_id) == (
        "STS.Set0001ForTests", "STS.Set0002ForTests",
    )  # fmt: skip


def test_a_switched_role_is_found_and_used(stub, settings):
    """Detach and attach: the run goes on with the new identity."""
    fetch = InstanceRoleFetcher(replace(settings, role_name=""))
    fetch()

    stub.role = "OtherRole"

    assert [fetch().identity, fetch().identity] == ["OtherRole", "OtherRole"]
    assert stub.lines.count(f"GET+ {ROLE_LIST}") == 2


def test_a_role_that_the_user_named_is_not_exchanged_for_another(stub, settings):
    """An explicit choice is kept; the message names the role that is attached."""
    stub.role = "OtherRole"

    with pytest.raises(MetadataNotFoundError, match=r"'AppRole' is not attached.*'OtherRole' is"):
        InstanceRoleFetcher(settings)()


@pytest.mark.parametrize("role_name", ["", "AppRole"])
def test_a_detached_role_is_said_to_be_detached(stub, settings, role_name):
    """With or without a name."""
    stub.role = ""

    with pytest.raises(MetadataNotFoundError, match="no RAM role is attached to this instance"):
        InstanceRoleFetcher(replace(settings, role_name=role_name))()


def test_a_gap_between_detach_and_attach_is_survived(stub, settings, clock):
    """The old set serves while the service says 404; then the new role's does."""
    stub.expires_at_s = clock() + 3600
    fetch = InstanceRoleFetcher(replace(settings, role_name=""), clock=clock)
    provider = RefreshingCredentialsProvider(
        fetch, clock=clock, monotonic=clock, jitter=lambda: 0.0
    )
    first = provider.snapshot()
    stub.role = ""
    clock.advance(3300)
    during = provider.snapshot()

    stub.role, stub.number, stub.expires_at_s = "OtherRole", 2, clock() + 3600
    clock.advance(60)

    assert during is first
    assert provider.snapshot().identity == "OtherRole"
    assert provider.rotations == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"status": 403}, MetadataForbiddenError, "HTTP 403.*security-hardened"),
        ({"status": 429}, MetadataBusyError, "HTTP 429: busy"),
        ({"status": 500}, MetadataBusyError, "HTTP 500: busy"),
        ({"status": 302}, MetadataGarbledError, "HTTP 302, which it never does"),
        ({"body": "<html>hello"}, MetadataGarbledError, "not a JSON object"),
        ({"body": b"\xff\xfe\x00"}, MetadataGarbledError, "not a JSON object"),
        ({"body": "[1, 2]"}, MetadataGarbledError, "not a JSON object"),
        ({"body": "[" * 50_000}, MetadataGarbledError, "not a JSON object"),
        ({"body": ""}, MetadataGarbledError, "not a JSON object"),
        ({"body": "x" * 70_000}, MetadataGarbledError, "more than 65536 bytes"),
        ({"changes": {"Code": "Failed"}}, MetadataGarbledError, "Code is 'Failed'"),
        ({"changes": {"Code": None}}, MetadataGarbledError, "Code is None"),
        ({"changes": {"Expiration": None}}, MetadataGarbledError, "Expiration is None"),
        ({"changes": {"Expiration": "soon"}}, MetadataGarbledError, "Expiration is 'soon'"),
        ({"changes": {"Expiration": {"a": 1}}}, MetadataGarbledError, "Expiration is no text"),
        ({"expires_at_s": time.time() - 60}, MetadataGarbledError, "expired at.*clock is ahead"),
        ({"changes": {"AccessKeyId": None}}, CredentialsError, "no AccessKeyId"),
        ({"changes": {"AccessKeySecret": ""}}, CredentialsError, "no AccessKeySecret"),
        ({"changes": {"SecurityToken": None}}, CredentialsError, "no SecurityToken"),
        ({"changes": {"SecurityToken": 17}}, CredentialsError, "unusable SecurityToken"),
        ({"changes": {"SecurityToken": "a\r\nb: c"}}, CredentialsError, "unusable SecurityToken"),
    ],
)
def test_each_bad_answer_has_its_own_explanation(stub, settings, changes, error, message):
    """The package only says that it failed; the wire says why."""
    for name, value in changes.items():
        setattr(stub, name, value)

    with pytest.raises(error, match=message) as caught:
        InstanceRoleFetcher(settings)()

    assert SECRET not in str(caught.value)
    assert STS_TOKEN not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_slow_service_is_given_up(stub, settings):
    """Slower than the bound of one step: unreachable, and soon."""
    stub.delay_s = 3.0
    begun_s = time.monotonic()

    with pytest.raises(MetadataUnreachableError, match=r"did not answer.*timed out"):
        InstanceRoleFetcher(settings, timeout_s=0.2)()

    assert time.monotonic() - begun_s < 2.5


def test_a_service_that_is_not_there_is_named(stub, settings):
    """The first question everybody has: is this an ECS instance?"""
    with (
        socket_that_refuses() as proxy,
        pytest.raises(
            MetadataUnreachableError, match=r"Connection refused.*is this an ECS instance"
        ),
    ):
        InstanceRoleFetcher(replace(settings, metadata_proxy=proxy))()


class socket_that_refuses:  # noqa: N801 - reads as a function
    """A port on which nobody listens, kept reserved."""

    def __enter__(self):
        import socket

        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *_):
        self.socket.close()


def test_without_a_token_the_old_mode_is_used(stub, settings):
    """Where the service gives no token, v1 does."""
    stub.token_status = 404

    assert InstanceRoleFetcher(settings)().identity == "AppRole"
    assert stub.lines == [f"PUT {TOKEN}", f"GET {CREDENTIALS}"]


def test_v2_only_never_asks_without_a_token(stub, settings):
    """The hardened mode by choice: no token, no question."""
    stub.token_status = 404
    fetch = InstanceRoleFetcher(replace(settings, imds_v2_only=True))

    with pytest.raises(MetadataForbiddenError, match="imds-v2-only"):
        fetch()
    assert stub.lines == [f"PUT {TOKEN}"]


def test_v2_only_works_with_a_hardened_service(stub, settings):
    """Discovery and fetch both carry tokens."""
    stub.v2_only = True
    fetch = InstanceRoleFetcher(replace(settings, imds_v2_only=True, role_name=""))

    assert fetch().identity == "AppRole"
    assert {line.split()[0] for line in stub.lines} == {"PUT", "GET+"}


def test_a_switched_off_service_is_never_asked(stub, settings, monkeypatch):
    """The documented variable is honoured before the first packet."""
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")

    with pytest.raises(CredentialsError, match="switches the metadata service off"):
        InstanceRoleFetcher(settings)()
    assert stub.lines == []


def test_a_package_that_was_switched_off_at_its_import_says_so(stub, settings, monkeypatch):
    """It reads the variable once; unsetting it later does not help."""
    sdk.load()
    from alibabacloud_credentials.utils import auth_util

    monkeypatch.setattr(auth_util, "environment_ecs_metadata_disabled", "true")

    with pytest.raises(CredentialsError, match="was true when Python started"):
        InstanceRoleFetcher(settings)()


@pytest.mark.parametrize("role_name", ["../token", "a b", "a/b", "a?b", "röle", "x" * 129])
def test_a_name_that_is_no_role_is_refused_at_once(role_name):
    """It would become part of a path."""
    with pytest.raises(UsageError, match="--role-name"):
        InstanceRoleFetcher(CredentialSettings(role_name=role_name))


@pytest.mark.parametrize(
    "variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
)
def test_the_proxies_of_the_environment_are_never_used(stub, settings, monkeypatch, variable):
    """Such a proxy would answer with the credentials of its own machine."""
    with poisoned_proxy() as (address, contacted):
        monkeypatch.setenv(variable, address)
        fetch = InstanceRoleFetcher(replace(settings, role_name=""))

        found = fetch()

    assert found.access_key_id == "STS.Set0001ForTests"
    assert contacted == []


def test_no_proxy_at_all_means_the_address_itself(monkeypatch):
    """Without a metadata proxy the connection goes to 100.100.100.200:80, whatever HTTP_PROXY says.

    The connection is refused by the test itself, before a packet leaves.
    """
    import socket

    asked = []

    def refuse(address, *_, **__):
        asked.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    with pytest.raises(MetadataUnreachableError):
        InstanceRoleFetcher(CredentialSettings(role_name="AppRole"))()
    assert set(asked) == {("100.100.100.200", 80)}


def test_an_answer_that_went_round_our_session_is_thrown_away(stub, settings, monkeypatch):
    """A future package may not use the session we lend it; then its answer is worth nothing."""
    sdk.load()
    from Tea.core import TeaCore

    def own_session(*_, **__):
        return sdk.DirectSession("elsewhere", InstanceRoleFetcher(settings)._route)

    monkeypatch.setattr(TeaCore, "_get_session", staticmethod(own_session))

    with pytest.raises(CredentialsError, match="its answer was thrown away"):
        InstanceRoleFetcher(settings)()


def test_nothing_is_left_in_the_package_after_a_fetch(stub, settings):
    """Its session table is as before: no idle connection for a forked child to share."""
    sdk.load()
    from Tea.core import TeaCore

    before = dict(TeaCore._sessions)

    InstanceRoleFetcher(settings)()

    assert before == TeaCore._sessions


def test_two_hundred_failing_reads_start_no_thread(stub, settings, clock):
    """Outage, expiry and recovery all happen in the callers' threads."""
    provider = RefreshingCredentialsProvider(
        InstanceRoleFetcher(settings), monotonic=clock, jitter=lambda: 0.0
    )
    provider.get_credentials()
    stub.status = 500
    before = {
        thread.name for thread in threading.enumerate() if "process_request" not in thread.name
    }
    clock.advance(7 * 3600)

    for _ in range(200):
        with pytest.raises(CredentialsError, match="HTTP 500"):
            provider.get_credentials()
        clock.advance(31)

    after = {
        thread.name for thread in threading.enumerate() if "process_request" not in thread.name
    }
    assert after == before
    assert provider.fetches == 201
    stub.status = 200
    clock.advance(31)
    assert provider.snapshot().identity == "AppRole"


def test_short_lived_sets_cost_two_requests_a_rotation(stub, settings):
    """Real time: sets of two seconds, rotated when a fifth is left, read all the time."""
    issued_s = [0.0]

    def rotate_when_due():
        now_s = time.time()
        if stub.expires_at_s - now_s < 0.2 * (stub.expires_at_s - issued_s[0]):
            stub.number += 1
            issued_s[0], stub.expires_at_s = now_s, float(int(now_s + 2.999))

    stub.on_credentials = rotate_when_due
    stub.expires_at_s = 0.0
    provider = RefreshingCredentialsProvider(InstanceRoleFetcher(settings), jitter=lambda: 0.0)
    provider.get_credentials()
    end_s = time.monotonic() + 3.5

    while time.monotonic() < end_s:
        found = provider.snapshot()
        assert found.expires_at_s > time.time() - 0.05
        time.sleep(0.005)

    assert provider.rotations >= 1
    assert len(stub.requests) <= 2 * (provider.rotations + 1)


class poisoned_proxy:  # noqa: N801 - reads as a function
    """A proxy that answers everything, CONNECT included; yields its address and who came."""

    def __enter__(self):
        contacted = []

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                contacted.append(self.requestline)
                self.send_error(500)

            do_PUT = do_CONNECT = do_GET  # noqa: N815 - the names http.server calls

            def log_message(self, *args):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}", contacted

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
