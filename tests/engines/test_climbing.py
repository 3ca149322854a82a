"""Where a run begins to climb: what the first answer took says how far away the service is."""

import math

import pytest

from osssync.climb import Climb
from osssync.config import MOST_JOBS
from osssync.engines.climbing import FAR_S, MOST_LEVEL, Climbing, width_of
from osssync.model import Width


class Wide:
    """An engine that only remembers what it was told."""

    def __init__(self):
        self.told = []

    def widen(self, width):
        self.told.append(width)

    def submit(self, batch):
        self.told.append(batch)


@pytest.mark.parametrize(
    ("answers_s", "expected"),
    [
        (0.030, [width_of(16), "one", "two"]),
        (FAR_S / 2, ["one", "two"]),
        (math.inf, ["one", "two"]),
    ],
    ids=["far", "near", "unknown"],
)
def test_far_away_a_run_begins_with_more_at_once(answers_s, expected):
    """Before its first task, and only then."""
    engine = Wide()
    climbing = Climbing(engine, Climb(2, 256, 2), lambda: answers_s)
    climbing.submit("one")
    climbing.submit("two")
    assert expected == engine.told


def test_brief_tasks_reach_their_most_before_those_that_keep_a_thread():
    """They are 32 times as many until all are as many as ``--jobs auto`` allows."""
    widths = [width_of(level) for level in (1, 8, MOST_LEVEL)]
    assert [Width(32, 2), Width(MOST_JOBS, 9), Width(MOST_JOBS, 49)] == widths


def test_the_highest_level_holds_from_the_beginning():
    """As for every other step."""
    engine = Wide()
    Climbing(engine, Climb(2, 5, 2), lambda: 0.030).submit("one")
    assert [width_of(5), "one"] == engine.told
