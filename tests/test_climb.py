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
            climb.moved(1, 4096)
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

    levels = drive(climb, 5, lambda level: 100 * level, busy=lambda _level: 0.5, idle=0.12)

    assert {16} == set(levels)


@pytest.mark.parametrize(("idle", "steps"), [(0.9, [8, 32, 64]), (0.3, [4, 8, 16, 32, 64])])
def test_an_idle_machine_lets_it_climb_in_great_steps(idle, steps):
    """A part from far away is short beside the wait for it, and a run may last a second."""
    climb = Climb(2, 64, 2)

    levels = drive(climb, 2, lambda level: 100 * level, busy=lambda _level: 0.05, idle=idle)

    assert steps == [level for level, _ in itertools.groupby(levels) if level > 2]
    assert 64 in levels[: 3 * len(steps) + 3]  # each window is two or three looks


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


def test_a_step_back_that_costs_is_taken_back():
    """The first windows may have seen a burst, which no level could repeat."""
    bursts = iter([9000.0] * 3)

    levels = drive(Climb(16, 256, 2), 6, lambda level: next(bursts, level / 0.030))

    steps = [level for level, _ in itertools.groupby(levels)]
    assert [16, 32, 16, 32] == steps[:4]
    assert max(levels) > 64


def test_a_step_back_in_a_machine_that_is_full_by_then_is_kept():
    """More at once would only wait; what moves less has another reason."""
    bursts = iter([9000.0] * 3)
    before = []

    def busy(level):
        before.append(level)
        return 0.95 if 32 in before and level == 16 else 0.1

    levels = drive(Climb(16, 256, 2), 2, lambda level: next(bursts, level / 0.030), busy=busy)

    assert [16, 32, 16] == [level for level, _ in itertools.groupby(levels)]


def test_a_climb_that_pays_late_is_kept():
    """Processes and connections have to begin first."""
    climb, levels = Climb(16, 256, 2), []
    for eighth in range(20):
        pays = max(levels[:-1], default=16)  # the level of one window ago
        for _ in range(10 * pays):
            climb.moved(1, 4096)
        levels.append(climb.look(100.0 + eighth / 8, 0.0, 0))

    assert 256 == levels[-1]


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
    climb.moved(1, 0)
    climb.look(1.0, 0.0, 0)  # a climb from one request a second
    for _ in range(2):
        climb.moved(1, 0)
    level = climb.look(2.0, 0.0, 0)

    assert (4, 1 << 16) == (level, REQUEST_BYTES)


def test_the_highest_level_is_not_passed():
    """Nor is a start above it taken."""
    assert 256 == max(drive(Climb(100, 256, 2), 5, lambda level: 100 * level))
    assert 8 == Climb(16, 8, 2).level
