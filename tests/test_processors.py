"""Which processors count, and what is known of their idleness."""

import os

import pytest

from osssync import processors

STAT = """cpu  1000 0 500 9000 600 0 0 0 0 0
cpu0 500 0 250 100 20 0 0 0 0 0
cpu1 500 0 250 200 30 0 0 0 0 0
cpu2 500 0 250 4000 40 0 0 0 0 0
intr 12345
"""


@pytest.fixture
def stat(tmp_path, monkeypatch):
    """What the system tells, to be written by the test."""
    path = tmp_path / "stat"
    monkeypatch.setattr(processors, "_PLACES", str(path))
    return path


def test_only_those_that_we_may_use_count(stat, monkeypatch):
    """A container may have two of a hundred."""
    stat.write_text(STAT)
    monkeypatch.setattr(processors, "usable", lambda: frozenset({0, 1}))

    assert (100 + 20 + 200 + 30) / os.sysconf("SC_CLK_TCK") == processors.idle_s()


@pytest.mark.parametrize("text", [None, "cpu0 500 0 x y\n", "cpu0 5\n"])
def test_nothing_is_made_up(stat, monkeypatch, text):
    """Where the system does not tell, nobody knows."""
    monkeypatch.setattr(processors, "usable", lambda: frozenset({0}))
    if text is not None:
        stat.write_text(text)

    assert processors.idle_s() is None


def test_there_is_always_one():
    """Or nobody could ask."""
    assert 1 <= len(processors.usable())
