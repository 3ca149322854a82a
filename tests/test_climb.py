"""How many requests at once, against models of ways there, on a clock of its own."""

import itertools

import pytest

from osssync.climb import REQUEST_BYTES, REST_S, Climb


def drive(
    climb, seconds, throughput, busy=lambda _level: 0.1, throttled=lambda _level: 0, idle=None
):
    """Let a run go on; ``throughput`` gives requests a second at a level. Levels over time."""
    now_s, cpu_s, asked, levels = 100.0, 0.0, 0, []
    idle_s = None if idle is None else 0.0
    while now_s < 100.0 + seconds:
        step_s = 0.05
        for _ in range(round(throughput(climb.level) * step_s)):
            climb.moved(4096)
        now_s += step_s
        cpu_s += busy(climb.level) * step_s * 2
        asked += throttled(climb.level)
        if idle is not None:
            idle_s += idle * step_s * 2
        levels.append(climb.look(now_s, cpu_s, asked, idle_s))
    return levels


@pytest.mark.parametrize(("delay_s", "enough"), [(0.030, 250), (0.005, 120)])
def test_latency_is_filled_within_seconds(delay_s, enough):
    """Each place gives 1/delay a second, up to what the line takes."""
    climb = Climb(16, 256, 2)

    levels = drive(climb, 4, lambda level: min(level / delay_s, 24_000))

    assert max(levels) >= enough


def test_busy_processors_are_left_alone():
    """However much a climb might seem to bring."""
    climb = Climb(16, 256, 2)

    assert {16} == set(drive(climb, 5, lambda level: 100 * level, busy=lambda _level: 0.95))


def test_a_machine_that_we_fill_with_our_server_is_left_alone():
    """Half of it answers us: more at once would only take from that half."""
    climb = Climb(16, 256, 2)

    levels = drive(climb, 5, lambda level: 100 * level, busy=lambda _level: 0.5, idle=0.01)

    assert {16} == set(levels)


def test_what_others_do_does_not_hold_us():
    """A machine may be full of work while we wait for answers."""
    climb = Climb(16, 256, 2)

    levels = drive(climb, 5, lambda level: 100 * level, busy=lambda _level: 0.1, idle=0.0)

    assert 256 == max(levels)


def test_a_climb_without_gain_is_taken_back():
    """A line that is full: it tries, comes back, and rests before it tries again."""
    climb = Climb(16, 256, 2)

    levels = drive(climb, 20, lambda _level: 2000)

    assert 16 == levels[-1] or 20 == levels[-1]
    assert {16, 20, 32} == set(levels)
    assert levels.count(16) > 0.75 * len(levels)
    assert 1 == len([1 for one, other in itertools.pairwise(levels) if (one, other) == (16, 32)])
    assert REST_S > 1


def test_throttling_is_no_time_to_climb():
    """The pace is set elsewhere then."""
    climb = Climb(16, 256, 2)

    assert {16} == set(drive(climb, 5, lambda level: 100 * level, throttled=lambda _level: 1))


def test_a_window_lasts_until_every_place_had_its_turn():
    """Parts that take seconds say nothing before they end."""
    assert {4} == set(drive(Climb(4, 64, 2), 0.9, lambda level: 0.9 * level))
    assert 8 in drive(Climb(4, 64, 2), 0.9, lambda _level: 20)


def test_large_and_small_requests_have_one_measure():
    """Bytes, and a request's own cost."""
    climb = Climb(1, 8, 1)
    climb.look(0.0, 0.0, 0)
    climb.moved(0)
    climb.look(1.0, 0.0, 0)  # a climb from one request a second
    for _ in range(2):
        climb.moved(0)
    level = climb.look(2.0, 0.0, 0)

    assert (4, 1 << 16) == (level, REQUEST_BYTES)


def test_the_highest_level_is_not_passed():
    """Nor is a start above it taken."""
    assert 256 == max(drive(Climb(100, 256, 2), 5, lambda level: 100 * level))
    assert 8 == Climb(16, 8, 2).level
