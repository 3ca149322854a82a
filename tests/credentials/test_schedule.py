"""When to look for new credentials."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.credentials.schedule import Pace

LIVES_S = st.floats(min_value=0.001, max_value=1e7)
JITTERS = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("life_s", "expected_s"),
    [
        (6 * 3600, 3600),  # a look an hour
        (3600, 3060),  # 15 % of an hour
        (4400, 3600),
        (3, 2.55),
        (math.inf, math.inf),
    ],
)
def test_a_new_set_is_replaced_after_an_hour_or_a_margin_before_its_end(life_s, expected_s):
    """Without jitter the rule is min(1 h, life - min(15 min, 15 % of life))."""
    assert Pace().refresh_after_s(life_s, 0.0) == pytest.approx(expected_s)


@given(LIVES_S, JITTERS)
def test_a_refresh_is_always_due_after_the_fetch_and_before_the_end(life_s, jitter):
    """No life is so short that the schedule is in the past or after the end."""
    assert 0 < Pace().refresh_after_s(life_s, jitter) < life_s


@given(LIVES_S, JITTERS)
def test_jitter_moves_a_refresh_within_a_third_of_the_margin(life_s, jitter):
    """A service that rotates at 80 % of a life is asked after that, and in time."""
    pace = Pace()

    due_s = pace.refresh_after_s(life_s, jitter)

    assert due_s >= min(0.9 * pace.look_s, 0.85 * life_s) - 1e-6
    assert life_s - due_s >= min(0.7 * pace.margin_s, 0.1 * life_s)


@pytest.mark.parametrize(
    ("life_s", "expected_s"), [(6 * 3600, 3600), (3600, 1800), (3, 1.5), (0.3, 0.2), (0.1, 0.2)]
)
def test_a_repeated_set_is_looked_at_again_after_half_of_what_is_left(life_s, expected_s):
    """Never sooner than the floor, never later than an hour."""
    assert Pace().look_again_after_s(life_s, 0.0) == pytest.approx(expected_s)


def test_keys_without_an_end_are_never_looked_at_again():
    """An endless life has no half."""
    assert Pace().look_again_after_s(math.inf, 0.5) == math.inf


def test_retries_double_from_one_second_to_thirty():
    """Without a valid set the pace is a plain capped exponential."""
    delays_s = [Pace().retry_after_s(failures, 0.0, 0.0) for failures in (1, 2, 3, 4, 5, 6, 10_000)]

    assert delays_s == [1, 2, 4, 8, 16, 30, 30]


def test_retries_come_closer_when_the_end_does():
    """The last chances are not slept through, and not more than five a second."""
    assert Pace().retry_after_s(9, 10.0, 0.0) == 5
    assert Pace().retry_after_s(9, 0.01, 0.0) == 0.2


@given(st.integers(min_value=1, max_value=100), st.floats(0, 1e6), JITTERS)
def test_jitter_at_most_halves_a_retry_and_never_delays_it(failures, left_s, jitter):
    """Jitter only ever makes things earlier."""
    pace = Pace()

    plain_s = pace.retry_after_s(failures, left_s, 0.0)

    assert plain_s / 2 <= pace.retry_after_s(failures, left_s, jitter) <= plain_s
