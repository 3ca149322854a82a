"""Whose turn it is: of several large objects under way, which gives the next task."""

from collections import deque

from osssync.planning.assembly import Assembly

ABREAST = 4
"""How many large objects move at once.

Two threads that write to one file wait for each other; two files need not. More would leave more
unfinished when a run has to end.
"""


class Turns:
    """Objects that may have a task to give, in the order of their coming; the first few take turns.

    Each is in it once, however often it is added.
    """

    def __init__(self) -> None:
        self.waiting: deque[Assembly] = deque()
        """All of them; nobody else changes it."""
        self._members: set[Assembly] = set()  # the same; an object begun again is another one

    @property
    def first(self) -> Assembly:
        """Whose turn it is."""
        return self.waiting[0]

    def add(self, assembly: Assembly) -> None:
        """It may have a task to give, now or again."""
        if assembly not in self._members:
            self._members.add(assembly)
            self.waiting.append(assembly)

    def pass_on(self) -> None:
        """The first has given a task and may have more."""
        self.waiting.insert(ABREAST - 1, self.waiting.popleft())

    def drop(self) -> None:
        """The first has nothing to give until it is added again."""
        self._members.discard(self.waiting.popleft())
