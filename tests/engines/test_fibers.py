"""The fibers of one thread: how they share it."""

import pytest

from osssync.engines.fibers import Fibers
from osssync.fibers import AVAILABLE, pause
from osssync.model import Outcome
from tests.engines.scripted_worker import tasks

pytestmark = [
    pytest.mark.timeout(30),
    pytest.mark.skipif(not AVAILABLE, reason="fibers need epoll"),
]


class SlowService:
    """A worker whose every task asks once, and has its answer with those of all others."""

    def __init__(self):
        self.log = []

    def line(self):
        """None is idle."""

    def run(self, task):
        self.log.append("ask")
        pause(0.0)
        self.log.append("take")
        return Outcome(task)


def test_all_answers_are_taken_before_the_next_questions_go_out():
    """The same few instructions for all, then the next few: processors are fastest at that."""
    service = SlowService()
    left = [6]

    def deliver(outcomes):
        left[0] -= len(outcomes)
        if not left[0]:
            fibers.end()
        return 0.0

    fibers = Fibers(service, 3, deliver)
    fibers.submit(tasks("quick", 6))
    fibers.run()
    fibers.loop.close()
    assert ["ask", "ask", "ask", "take", "take", "take"] * 2 == service.log
