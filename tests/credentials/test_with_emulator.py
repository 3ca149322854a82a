"""The whole way, from the metadata service to a signed request, on the built-in emulator."""

import threading
import time

import oss2
import pytest

from osssync.config import CredentialSettings
from osssync.credentials.instance_role import InstanceRoleFetcher
from osssync.credentials.metadata import (
    MetadataBusyError,
    MetadataGarbledError,
    MetadataNotFoundError,
    MetadataService,
    MetadataUnreachableError,
)
from osssync.credentials.provider import RefreshingCredentialsProvider
from osssync.credentials.sources import open_provider
from osssync.emulator.faults import Effect
from osssync.emulator.settings import Settings

ROLE_PATH = "meta-data/ram/security-credentials/*"


@pytest.fixture
def settings():
    """Of the emulator; elsewhere in this folder the name means credential settings."""
    return Settings(buckets=("bucket",))


def settings_of(emulator, **fields):
    return CredentialSettings(metadata_proxy=emulator.metadata_proxy, **fields)


def bucket_of(emulator, provider):
    return oss2.Bucket(
        oss2.ProviderAuthV4(provider), emulator.endpoint, "bucket", region="cn-hangzhou"
    )


@pytest.fixture(params=[False, True], ids=["normal", "hardened"])
def hardened(request):
    return request.param


@pytest.fixture
def running(emulate, hardened):
    return emulate(Settings(buckets=("bucket",), imds_v2_only=hardened))


def test_the_role_of_the_instance_signs_requests(running, hardened):
    """Discovered, fetched, signed, accepted; four requests to the metadata service in all."""
    provider = open_provider(settings_of(running, imds_v2_only=hardened))

    bucket_of(running, provider).put_object("key", b"x")

    assert provider.snapshot().identity == "EcsRamRole"
    assert [request.status for request in running.metadata_requests] == [200] * 4
    assert all(request.through_proxy for request in running.metadata_requests)


def test_the_facts_of_the_instance_are_read(running):
    """Region and account, for the endpoint and for ``whoami``."""
    service = MetadataService(running.metadata_proxy)

    facts = [service.get(name) for name in ("region-id", "instance-id", "owner-account-id")]

    assert facts[0] == "cn-hangzhou"
    assert all(facts)
    assert service.role_name() == "EcsRamRole"


def test_requests_go_on_through_rotations_and_cost_two_questions_each(emulate):
    """Real time: three-second sets, four threads that sign and send all the time."""
    emulator = emulate(Settings(buckets=("bucket",), lifetime_s=3.0))
    provider = RefreshingCredentialsProvider(
        InstanceRoleFetcher(settings_of(emulator, role_name="EcsRamRole"))
    )
    refused = []
    end_s = time.monotonic() + 3.9

    def send():
        bucket = bucket_of(emulator, provider)
        while time.monotonic() < end_s:
            try:
                bucket.put_object("key", b"x")
            except oss2.exceptions.OssError as error:
                refused.append(error.code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == []
    assert provider.rotations >= 1
    assert len(emulator.metadata_requests) <= 2 * (provider.rotations + 1)


def test_a_revoked_set_is_replaced_after_one_refusal(emulator):
    """OSS says no, the set is dropped, the next request is signed with a new one."""
    provider = open_provider(settings_of(emulator))
    bucket = bucket_of(emulator, provider)
    bucket.put_object("key", b"x")
    emulator.authority.revoke()
    with pytest.raises(oss2.exceptions.ServerError, match="403"):
        bucket.put_object("key", b"y")

    dropped = provider.invalidate(provider.snapshot().access_key_id)
    bucket.put_object("key", b"z")

    assert dropped is True
    assert provider.rotations == 1


def test_a_switched_role_signs_as_the_new_role(emulator):
    """Detached: the old set goes on. Attached: the next fetch finds the new role."""
    provider = open_provider(settings_of(emulator))
    old = provider.snapshot()
    emulator.authority.switch("OtherRole")
    assert provider.snapshot() is old

    provider.invalidate(old.access_key_id)
    bucket_of(emulator, provider).put_object("key", b"x")

    assert provider.snapshot().identity == "OtherRole"


def test_a_detached_role_is_said_to_be_detached(emulator):
    """What the user must do is in the message."""
    emulator.authority.detach()

    with pytest.raises(MetadataNotFoundError, match="no RAM role is attached"):
        InstanceRoleFetcher(settings_of(emulator))()


@pytest.mark.parametrize(
    ("effect", "fields", "error"),
    [
        (Effect.ERROR, {"status": 404}, MetadataNotFoundError),
        (Effect.ERROR, {"status": 429}, MetadataBusyError),
        (Effect.ERROR, {"status": 503}, MetadataBusyError),
        (Effect.GARBAGE, {}, MetadataGarbledError),
        (Effect.EXPIRED_TOKEN, {}, MetadataGarbledError),
        (Effect.RESET, {}, MetadataUnreachableError),
        (Effect.HANG, {}, MetadataUnreachableError),
    ],
)
def test_every_fault_of_the_service_has_its_error_and_passes(emulator, effect, fields, error):
    """The fault is told; without it the same fetcher works again."""
    fetch = InstanceRoleFetcher(settings_of(emulator, role_name="EcsRamRole"), timeout_s=0.3)
    emulator.faults.inject(effect, service="metadata", key=ROLE_PATH, **fields)
    with pytest.raises(error):
        fetch()

    emulator.faults.clear()

    assert fetch().identity == "EcsRamRole"
