"""Rotation, revocation and switching of the role's credentials, by an injected clock."""

import math
import threading

import pytest

from osssync.emulator.authority import Authority
from osssync.emulator.settings import Settings, StaticCredential


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1_795_500_000.5

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def authority(clock):
    return Authority(Settings(role="Reader", lifetime_s=20.0), clock)


def test_a_set_lives_at_least_its_lifetime_and_ends_on_a_whole_second(authority, clock):
    """What is announced is what is enforced: no fraction of a second is lost between them."""
    current = authority.current()

    assert current.expires_s == math.ceil(clock.now_s + 20)
    assert current.access_key_id.startswith("STS.")
    assert len(current.access_key_id) >= 24
    assert current.role == "Reader"


def test_the_same_set_is_handed_out_until_a_fifth_of_its_life_is_left(authority, clock):
    """Asking does not rotate; the end coming near does, before the end."""
    first = authority.current()
    clock.now_s = first.expires_s - 4
    early = authority.current()
    clock.now_s = first.expires_s - 3.9

    late = authority.current()

    assert early is first
    assert late is not first
    assert (authority.issued, authority.rotations) == (2, 1)


def test_old_sets_stay_valid_after_a_rotation(authority):
    """A rotation is never a revocation: the old set keeps its own end."""
    first = authority.current()

    second = authority.rotate()

    assert authority.current() is second
    assert authority.find(first.access_key_id) is first


def test_revoking_ends_all_sets_now_and_the_next_one_is_new(authority, clock):
    """Revocation is what a rotation is not."""
    first, second = authority.current(), authority.rotate()

    ended = authority.revoke()

    assert ended == 2
    assert authority.find(first.access_key_id).expires_s <= clock.now_s
    assert authority.find(second.access_key_id).expires_s <= clock.now_s
    assert authority.current().expires_s > clock.now_s


def test_a_detached_instance_has_no_credentials(authority):
    """Detaching takes the role away, not what it has handed out."""
    first = authority.current()

    authority.detach()

    assert authority.role == ""
    assert authority.current() is None
    assert authority.rotate() is None
    assert authority.find(first.access_key_id) is first


def test_a_switched_role_signs_under_its_own_name(authority):
    """New sets belong to the new role, old ones to the old."""
    old = authority.current()

    authority.switch("Writer")
    new = authority.current()

    assert (old.role, new.role) == ("Reader", "Writer")
    assert authority.identity(old).name.endswith("/Reader")
    assert authority.identity(new).name.endswith("/Writer")


def test_attaching_the_same_role_again_changes_nothing(authority):
    """Attaching is idempotent."""
    first = authority.current()

    authority.attach("Reader")

    assert authority.current() is first


def test_a_role_needs_a_name(authority):
    """An empty name would mean detached."""
    with pytest.raises(ValueError, match="name"):
        authority.attach("")


def test_static_credentials_belong_to_the_owner_and_never_end():
    """The owner may do everything, for ever."""
    authority = Authority(Settings(credentials=(StaticCredential("AKID", "secret"),)))

    credential = authority.find("AKID")

    assert credential.expires_s == math.inf
    assert authority.identity(credential).is_owner
    assert authority.find("OTHER") is None


def test_no_secret_shows_in_a_repr(authority):
    """Logs and failing tests print objects; they must not print secrets."""
    current = authority.current()

    text = repr(current) + repr(authority)

    assert current.access_key_secret not in text
    assert current.security_token not in text


def test_threads_asking_at_once_get_one_set(authority):
    """One renewal for all who ask at the same moment."""
    start = threading.Barrier(8)
    found = []

    def ask():
        start.wait()
        found.append(authority.current())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len({id(one) for one in found}) == 1
    assert authority.issued == 1


def test_the_policy_of_the_settings_is_the_roles_policy(tmp_path):
    """The role may do what the file says; the owner is not asked."""
    path = tmp_path / "policy.json"
    path.write_text(
        '{"Version": "1", "Statement": '
        '[{"Effect": "Allow", "Action": "oss:Get*", "Resource": "acs:oss:*:*:b/*"}]}'
    )
    authority = Authority(Settings(policy=path))

    identity = authority.identity(authority.current())

    assert identity.allows("oss:GetObject", "acs:oss:*:*:b/k")
    assert not identity.allows("oss:PutObject", "acs:oss:*:*:b/k")
