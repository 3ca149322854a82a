"""What the runner asks of an engine: take tasks, give outcomes. Where they run is its business."""

from collections.abc import Sequence
from typing import Protocol

from osssync.model import Effort, Outcome, Task, Width


class Engine(Protocol):
    """Runs tasks somewhere. Used by one thread, the runner's.

    Every submitted task comes back as exactly one outcome, whatever happens to its worker.
    """

    @property
    def capacity(self) -> int:
        """How many tasks it wants to hold at once, the queued ones included."""

    @property
    def outstanding(self) -> int:
        """Tasks submitted whose outcome is not there yet."""

    @property
    def effort(self) -> Effort:
        """What it took so far, all workers together."""

    def widen(self, width: Width) -> None:
        """Run so many at once from now on, more or fewer."""

    def submit(self, batch: Sequence[Task]) -> None:
        """Take tasks; never blocks."""

    def wait(self) -> Sequence[Outcome]:
        """Give all outcomes there are; blocks for the first, but not for long.

        Nothing within half a second is an empty answer, so that the caller can look around.
        """

    def stop(self) -> None:
        """Let workers give up waiting between retries; their tasks come back as failures."""

    def flush(self) -> None:
        """Make durable what all workers have done so far.

        Raises:
            LocalFileError: a disk could not.
        """

    def abandon(self) -> None:
        """Wait for no running task any more: outcomes that are not there yet are lost."""

    def close(self) -> None:
        """End the workers; tasks still queued are dropped."""
