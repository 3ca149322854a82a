"""Which sets are refused, and what a set shows of itself."""

import copy
import math
import pickle

import pytest

from osssync.credentials.provider import Snapshot, when
from osssync.errors import CredentialsError
from tests.credentials.numbered_source import Source, open_on


@pytest.fixture
def source(clock):
    return Source(clock)


def number_of(provider):
    return int(provider.snapshot().access_key_id[7:11])


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
