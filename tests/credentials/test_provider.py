"""The provider, one caller at a time, on a clock turned by hand."""

import copy

import pytest

from osssync.credentials.provider import RefreshingCredentialsProvider, Snapshot, when
from osssync.errors import CredentialsError
from tests.credentials.numbered_source import Source, open_on


@pytest.fixture
def source(clock):
    return Source(clock)


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


def test_a_refresh_that_somebody_else_has_just_done_is_not_done_again(source, clock):
    """Between seeing that one is due and having the turn, another caller may have finished."""

    class Overtaken(RefreshingCredentialsProvider):
        overtakers = 1

        def _look_ahead(self):
            if self.overtakers:
                self.overtakers -= 1
                self.get_credentials()
            super()._look_ahead()

    provider = Overtaken(source, clock=clock, monotonic=clock, jitter=lambda: 0.0)
    provider.get_credentials()
    clock.advance(3061)

    assert number_of(provider) == 2
    assert provider.fetches == 2


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
