"""Who hears and records what happens in a run, and who may end it."""

import threading

from msgspec import Struct

from osssync.progress import ShieldedMonitor
from osssync.report import Tally


class Watch(Struct, frozen=True):
    """Who hears and records what happens in a run, and who may end it."""

    monitor: ShieldedMonitor
    tally: Tally
    stop: threading.Event
