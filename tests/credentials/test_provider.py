"""The provider, one caller at a time, on a clock turned by hand."""

import copy
import math
import pickle

import pytest

from osssync.credentials.provider import RefreshingCredentialsProvider, Snapshot, when
from osssync.errors import CredentialsError


class Source:
    """Hands out numbered sets; ``outage`` is the message of the next failures."""

    def __init__(self, clock, life_s=3600.0):
        self.clock = clock
        self.life_s = life_s
        self.number = 1
        self.rotates = True
        self.outage = ""
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.outage:
            raise CredentialsError(self.outage)
        found = Snapshot(
            access_key_id=f"STS.Set{self.number:04}ForTests",
            access_key_secret=f"secret-{self.number}",
            security_token=f"token-{self.number}",
            expires_at_s=self.clock() + self.life_s,
            fetched_at_s=self.clock(),
            identity="AppRole",
        )
        self.number += self.rotates
        return found


@pytest.fixture
def source(clock):
    return Source(clock)


def open_on(source, clock):
    return RefreshingCredentialsProvider(source, clock=clock, monotonic=clock, jitter=lambda: 0.0)


def number_of(provider):
    return int(provider.snapshot().access_key_id[7:11])


def test_nothing_is_fetched_before_the_first_read(source, clock):
    """Opening a provider costs nothing and cannot fail."""
    provider = open_on(source, clock)

    assert (source.calls, provider.fetches, provider.rotations) == (0, 0, 0)


def test_one_fetch_serves_all_reads_of_an_hour(source, clock):
    """The signing path reads an attribute; oss2 gets the very same object each time."""
    provider = open_on(source, clock)
    first = provider.get_credentials()

    clock.advance(3059)

    assert provider.get_credentials() is first
    assert source.calls == 1


def test_the_three_values_of_oss2_belong_together(source, clock):
    """oss2 reads three getters of one immutable set."""
    credentials = open_on(source, clock).get_credentials()

    assert (
        credentials.get_access_key_id(),
        credentials.get_access_key_secret(),
        credentials.get_security_token(),
    ) == ("STS.Set0001ForTests", "secret-1", "token-1")


def test_oss2_signs_with_it_in_both_versions(source, clock):
    """ProviderAuth and ProviderAuthV4 ask for nothing but get_credentials()."""
    import oss2

    provider = open_on(source, clock)

    for auth in (oss2.ProviderAuth(provider), oss2.ProviderAuthV4(provider)):
        bucket = oss2.Bucket(auth, "http://127.0.0.1:9", "bucket", region="cn-hangzhou")
        url = bucket.sign_url("GET", "key", 60)
        assert "STS.Set0001ForTests" in url


def test_a_refresh_ahead_of_the_end_is_a_rotation(source, clock):
    """Another access key id replaced one."""
    provider = open_on(source, clock)
    provider.get_credentials()

    clock.advance(3061)

    assert number_of(provider) == 2
    assert (provider.fetches, provider.rotations) == (2, 1)


def test_a_six_hour_set_is_looked_at_every_hour(clock):
    """The service rotates when it likes; an hourly look notices."""
    source = Source(clock, life_s=6 * 3600)
    provider = open_on(source, clock)
    provider.get_credentials()

    clock.advance(3601)
    provider.get_credentials()

    assert provider.rotations == 1


def test_a_set_that_was_not_rotated_yet_is_asked_for_a_few_times_only(clock):
    """Half of what is left, again and again: logarithmic, whatever the number of reads."""
    end_s = clock() + 3600
    provider = open_on(lambda: Snapshot("STS.Same", "s", "t", end_s, clock(), "AppRole"), clock)

    while clock() < end_s - 0.5:
        provider.get_credentials()
        clock.advance(0.05 if clock() > end_s - 60 else 1)

    assert provider.rotations == 0
    assert 5 < provider.fetches < 20


def test_short_lives_cost_one_fetch_a_rotation(clock):
    """Three-second sets for a minute, read every 10 ms: no storm."""
    source = Source(clock, life_s=3.0)
    provider = open_on(source, clock)

    for _ in range(6000):
        provider.get_credentials()
        clock.advance(0.01)

    assert provider.rotations >= 20
    assert provider.fetches == provider.rotations + 1


def test_a_valid_set_goes_on_through_an_outage(source, clock):
    """A failed refresh costs nothing as long as the old set lives."""
    provider = open_on(source, clock)
    provider.get_credentials()
    source.outage = "the service is down"

    clock.advance(3590)

    assert number_of(provider) == 1


def test_an_outage_is_looked_at_with_growing_pauses(source, clock):
    """9 minutes of outage, a read every 100 ms: about twenty looks, not five thousand."""
    provider = open_on(source, clock)
    provider.get_credentials()
    source.outage = "the service is down"
    clock.advance(3061)

    for _ in range(5300):
        provider.get_credentials()
        clock.advance(0.1)

    assert 15 < provider.fetches < 40


def test_the_provider_recovers_after_an_outage(source, clock):
    """The next look after the outage finds the new set."""
    provider = open_on(source, clock)
    provider.get_credentials()
    source.outage = "the service is down"
    clock.advance(3100)
    provider.get_credentials()

    source.outage = ""
    clock.advance(30)

    assert number_of(provider) == 2


def test_an_expired_set_is_never_served(source, clock):
    """The error says when it expired, and why there is no other."""
    provider = open_on(source, clock)
    expired_at = when(provider.snapshot().expires_at_s)
    source.outage = "the service is down"

    clock.advance(3600)

    with pytest.raises(CredentialsError, match="the service is down") as caught:
        provider.get_credentials()
    assert f"expired at {expired_at}" in str(caught.value)
    assert "AppRole" in str(caught.value)


def test_a_set_that_dies_during_a_failing_refresh_is_not_served(clock):
    """A slow failure may outlive the set it was to replace."""
    source = Source(clock, life_s=3.0)
    provider = open_on(source, clock)
    provider.get_credentials()
    clock.advance(2.6)

    def slow_failure():
        clock.advance(2.0)
        raise CredentialsError("timed out")

    provider._fetch = slow_failure

    with pytest.raises(CredentialsError, match="timed out"):
        provider.get_credentials()


def test_a_failed_first_fetch_is_not_repeated_within_its_pause(source, clock):
    """Thousands of tasks that fail at once are one question to the service."""
    source.outage = "no role"
    provider = open_on(source, clock)

    for _ in range(1000):
        with pytest.raises(CredentialsError, match=r"^no role$"):
            provider.get_credentials()

    assert provider.fetches == 1


def test_after_the_pause_a_failed_fetch_is_tried_again(source, clock):
    """The pause ends; so does the outage."""
    source.outage = "no role"
    provider = open_on(source, clock)
    with pytest.raises(CredentialsError):
        provider.get_credentials()

    source.outage = ""
    clock.advance(1.0)

    assert number_of(provider) == 1


def test_a_refused_set_is_fetched_anew_at_the_next_read(source, clock):
    """OSS said no: one fetch, one rotation."""
    provider = open_on(source, clock)
    refused = provider.snapshot().access_key_id

    assert provider.invalidate(refused) is True
    assert number_of(provider) == 2
    assert (provider.fetches, provider.rotations) == (2, 1)


def test_refusing_a_set_twice_or_an_old_one_changes_nothing(source, clock):
    """Somebody was faster: his set must not be thrown away."""
    provider = open_on(source, clock)
    old = provider.snapshot().access_key_id
    provider.invalidate(old)

    assert provider.invalidate(old) is False
    provider.get_credentials()
    assert provider.invalidate(old) is False
    assert provider.fetches == 2


def test_refusing_before_the_first_fetch_changes_nothing(source, clock):
    """There is nothing to drop."""
    assert open_on(source, clock).invalidate("STS.Unknown") is False


def test_a_set_handed_out_again_after_a_refusal_is_served(source, clock):
    """Giving up is the decision of the caller who is refused a second time."""
    source.rotates = False
    provider = open_on(source, clock)
    first = provider.snapshot().access_key_id
    provider.invalidate(first)

    assert provider.snapshot().access_key_id == first
    assert (provider.fetches, provider.rotations) == (2, 0)


def test_a_refused_set_is_not_served_when_the_refetch_fails(source, clock):
    """The message tells a refusal from an expiry."""
    provider = open_on(source, clock)
    provider.invalidate(provider.snapshot().access_key_id)
    source.outage = "the service is down"

    with pytest.raises(CredentialsError, match=r"OSS refused.*the service is down"):
        provider.get_credentials()


def test_a_refusal_is_not_delayed_by_a_pause_made_while_the_set_was_good(source, clock):
    """The pause was patience; now there is none to have."""
    provider = open_on(source, clock)
    provider.get_credentials()
    source.outage = "the service is down"
    clock.advance(3061)
    provider.get_credentials()  # fails behind the scenes and begins a pause
    source.outage = ""

    provider.invalidate(provider.snapshot().access_key_id)

    assert number_of(provider) == 2


def test_a_wall_clock_set_back_does_not_prolong_a_life(source, clock):
    """The monotonic clock knows better."""
    wall = copy.copy(clock)
    provider = RefreshingCredentialsProvider(
        source, clock=wall, monotonic=clock, jitter=lambda: 0.0
    )
    provider.get_credentials()
    source.outage = "the service is down"

    wall.advance(-86_400)
    clock.advance(3600)

    with pytest.raises(CredentialsError, match="the service is down"):
        provider.get_credentials()


def test_a_machine_that_slept_does_not_prolong_a_life(source, clock):
    """A monotonic clock stands still while a machine is suspended; the wall clock does not."""
    asleep = copy.copy(clock)
    provider = RefreshingCredentialsProvider(
        source, clock=clock, monotonic=asleep, jitter=lambda: 0.0
    )
    provider.get_credentials()

    clock.advance(3600)

    assert number_of(provider) == 2


@pytest.mark.parametrize(
    ("expires_in_s", "message"),
    [
        (-1.0, "clock is ahead"),
        (0.0, "clock is ahead"),
        (11 * 366 * 86400.0, "more than ten years"),
        (1.8e12, "more than ten years"),  # milliseconds
        (math.nan, "more than ten years"),
    ],
)
def test_impossible_expirations_are_refused(source, clock, expires_in_s, message):
    """Dead on arrival hints at the clock; an absurd one would never be refreshed."""
    source.life_s = expires_in_s

    with pytest.raises(CredentialsError, match=message):
        open_on(source, clock).get_credentials()


def test_a_dead_set_from_a_refresh_does_not_replace_a_living_one(source, clock):
    """A source that falls back to an old set is an outage like any other."""
    provider = open_on(source, clock)
    provider.get_credentials()
    source.life_s = -5.0

    clock.advance(3100)

    assert number_of(provider) == 1


def test_keys_that_never_expire_are_fetched_once(source, clock):
    """Keys from the environment cost nothing after the first read."""
    source.life_s = math.inf
    provider = open_on(source, clock)
    provider.get_credentials()

    clock.advance(10 * 365 * 86_400)
    provider.get_credentials()

    assert provider.fetches == 1


@pytest.mark.parametrize("field", ["access_key_id", "access_key_secret"])
def test_an_empty_key_is_refused(clock, field):
    """A custom source cannot make us sign with nothing."""
    fields = {"access_key_id": "id", "access_key_secret": "secret"} | {field: ""}

    provider = open_on(lambda: Snapshot(**fields, security_token="", expires_at_s=math.inf,
                                        fetched_at_s=clock(), identity="x"), clock)  # fmt: skip

    with pytest.raises(CredentialsError, match="no access key id or no secret"):
        provider.get_credentials()


def test_neither_provider_nor_snapshot_can_be_pickled_or_copied(source, clock):
    """A secret never travels; the message says what to do instead."""
    provider = open_on(source, clock)

    for secret in (provider, provider.snapshot()):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)
        with pytest.raises(TypeError, match="not pickled"):
            copy.copy(secret)


def test_no_secret_shows_in_repr_or_str(source, clock):
    """Neither in a debugger nor in a log line."""
    provider = open_on(source, clock)
    before = repr(provider)
    shown = "".join((repr(provider.snapshot()), str(provider.snapshot()), repr(provider._held)))

    assert "nothing fetched yet" in before
    for text in (shown, repr(provider), str(provider)):
        assert "secret-1" not in text
        assert "token-1" not in text
    assert "AppRole" in repr(provider)


def test_an_instant_is_shown_in_utc_seconds():
    """Also one that no calendar has."""
    shown = [when(0.0), when(math.inf), when(math.nan), when(1e18)]

    assert shown == ["1970-01-01T00:00:00Z", "never", "nan", "1e+18"]
