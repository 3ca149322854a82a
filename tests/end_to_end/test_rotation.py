"""Credentials that expire and are replaced while bytes move: the reason osssync exists."""

import threading
from collections import Counter

import pytest
from msgspec.structs import replace

import osssync
from osssync.config import CredentialSettings
from osssync.credentials.provider import RefreshingCredentialsProvider
from osssync.credentials.sources import open_provider
from osssync.emulator.faults import Effect, Rule
from osssync.emulator.settings import Settings
from tests.conftest import options_for
from tests.trees import make_tree, tree_bytes

MIB = 1 << 20


@pytest.fixture
def settings():
    """Credentials that live for three seconds."""
    return Settings(buckets=("bucket",), lifetime_s=3)


class RevokeWithinLargeObject:
    """Ends all credentials once, when a good part of the bytes has moved."""

    def __init__(self, emulator, at_bytes):
        self._emulator = emulator
        self._left = at_bytes

    def decided(self, action):
        pass

    def moved(self, byte_count):
        before, self._left = self._left, self._left - byte_count
        if before > 0 >= self._left:
            self._emulator.authority.revoke()

    def ended(self, outcome):
        pass

    def warned(self, message):
        pass


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_mixed_tree_survives_credentials_of_three_seconds(emulator, tmp_path, direction):
    """8 workers, 200 objects, one of 64 MiB: all arrive, nothing begins again from zero."""
    options = options_for(emulator, jobs=8, part_size=MIB)
    sizes = {f"small/{number:03}": 100 + number for number in range(200)}
    sizes["large"] = 64 * MIB
    if direction == "up":
        make_tree(tmp_path / "source", sizes)
        places, operation = (tmp_path / "source", "oss://bucket/t"), "UploadPart"
    else:
        make_tree(tmp_path / "source", sizes)
        for name, body in tree_bytes(tmp_path / "source").items():
            emulator.objects.put("bucket", f"t/{name}", body)
        places, operation = ("oss://bucket/t", tmp_path / "out"), "GetObject"
    # 64 parts, 8 at a time, 0.8 s each: more than six seconds, so more than two lifetimes. The
    # first eight are done, and the next ones on their way, long before any set is replaced by age.
    emulator.faults.add(Rule(Effect.DELAY, operation=operation, key="t/large", delay_s=0.8))

    report = osssync.sync(*places, options, RevokeWithinLargeObject(emulator, 8 * MIB))

    assert (0, 201) == (report.exit_code, report.totals.transferred)
    if direction == "up":
        arrived = {
            key.removeprefix("t/"): emulator.objects.get("bucket", key)
            for key in emulator.objects.keys("bucket")
        }
    else:
        arrived = tree_bytes(tmp_path / "out")
    assert tree_bytes(tmp_path / "source") == arrived
    _assert_parts_moved_once(emulator, operation)
    keys_used = {one.access_key_id for one in emulator.requests if one.status < 300}
    assert len(keys_used) >= 3
    assert len(emulator.metadata_requests) <= 2 * len(keys_used)
    refused = [one for one in emulator.requests if one.code == "SecurityTokenExpired"]
    assert refused
    assert report.totals.rotations == len(keys_used) - 1


def _assert_parts_moved_once(emulator, operation):
    parts = Counter(
        one.part_number or one.range
        for one in emulator.requests
        if one.operation == operation and one.key == "t/large" and one.status < 300
    )
    assert {1} == set(parts.values())
    assert 64 == len(parts)
    initiated = [one for one in emulator.requests if one.operation == "InitiateMultipartUpload"]
    assert (1 if operation == "UploadPart" else 0) == len(initiated)


def test_a_torn_credential_is_refused_and_ours_never_tears(emulator):
    """10,000 reads while sets are replaced as fast as can be: each is one set, whole."""
    provider = open_provider(
        CredentialSettings(role_name=emulator.settings.role, metadata_proxy=emulator.metadata_proxy)
    )
    stop = threading.Event()

    def rotate():
        while not stop.wait(0.002):
            emulator.authority.rotate()
            provider.invalidate(provider.snapshot().access_key_id)

    rotating = threading.Thread(target=rotate)
    rotating.start()
    torn = reads = 0
    try:
        while reads < 10_000 or provider.rotations < 10:
            reads += 1
            read = provider.get_credentials()
            known = emulator.authority._sets[read.get_access_key_id()]
            whole = (read.get_access_key_secret(), read.get_security_token())
            torn += whole != (known.access_key_secret, known.security_token)
    finally:
        stop.set()
        rotating.join()

    assert 0 == torn


@pytest.mark.parametrize("swap", ["token", "secret"])
def test_the_emulator_refuses_half_of_a_rotation(emulator, options, tmp_path, swap):
    """One set's id with another set's token or secret is an error that OSS would give, too."""
    first = emulator.authority.current()
    emulator.authority.rotate()
    second = emulator.authority.current()
    environ = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": first.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": (
            second if swap == "secret" else first
        ).access_key_secret,
        "ALIBABA_CLOUD_SECURITY_TOKEN": (second if swap == "token" else first).security_token,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        torn = replace(options, credentials=CredentialSettings(source=osssync.CredentialSource.ENV))

        report = osssync.sync("oss://bucket/", tmp_path, torn)

    assert 7 == report.exit_code
    codes = {one.code for one in emulator.requests}
    assert codes <= {"InvalidSecurityToken", "AccessKeyIdAndSecurityTokenNotMatch",
                     "SignatureDoesNotMatch"}  # fmt: skip


def test_a_role_switched_in_the_middle_is_taken_up(emulator, tmp_path):
    """Detached, another one attached, the old set ended: the run goes on with the new identity."""
    options = replace(
        options_for(emulator, jobs=4),
        credentials=CredentialSettings(metadata_proxy=emulator.metadata_proxy),
    )
    make_tree(tmp_path / "source", {f"{number}": 10_000 for number in range(60)})

    class Switching(RevokeWithinLargeObject):
        def moved(self, byte_count):
            before, self._left = self._left, self._left - byte_count
            if before > 0 >= self._left:
                emulator.authority.switch("AnotherRole")
                emulator.authority.revoke()

    report = osssync.sync(
        tmp_path / "source", "oss://bucket/t", options, Switching(emulator, 200_000)
    )

    assert (0, 60) == (report.exit_code, report.totals.transferred)
    roles = {emulator.authority._sets[one.access_key_id].role for one in emulator.requests}
    assert {emulator.settings.role, "AnotherRole"} == roles


def test_an_outage_is_survived_while_the_set_is_valid(emulate, tmp_path):
    """The metadata service is down for good: a valid snapshot goes on being used, quietly."""
    emulator = emulate(Settings(buckets=("bucket",), lifetime_s=3600))
    options = options_for(emulator, jobs=4)
    make_tree(tmp_path / "source", {f"{number}": 100 for number in range(50)})

    class Outage(RevokeWithinLargeObject):
        def moved(self, _byte_count):
            if not emulator.faults.snapshot():
                emulator.faults.inject(Effect.ERROR, service="metadata", status=500)

    threads = threading.active_count()

    report = osssync.sync(tmp_path / "source", "oss://bucket/t", options, Outage(emulator, 1))

    assert (0, 50) == (report.exit_code, report.totals.transferred)
    assert threads >= threading.active_count()


def test_expired_credentials_are_never_sent(emulator, tmp_path):
    """Once the set has expired and none can be had, nothing is signed and the error says why."""
    provider: RefreshingCredentialsProvider = open_provider(
        CredentialSettings(role_name=emulator.settings.role, metadata_proxy=emulator.metadata_proxy)
    )
    first = provider.snapshot()
    emulator.authority.detach()
    provider._clock = lambda: first.expires_at_s + 1  # later, without waiting

    with pytest.raises(osssync.OsssyncError) as caught:
        provider.get_credentials()

    assert "expired" in str(caught.value)
