"""The processors this process may use: how many, and how long they had nothing to do.

Source: proc_stat(5), "cpuN"; sched_setaffinity(2); read 2026-11.
"""

import os

_PLACES = "/proc/stat"
_IDLE, _WAITS = 4, 5  # columns: nothing to do; nothing to do but wait for a disk


def usable() -> frozenset[int]:
    """Their numbers; where the system does not tell, as many as there are."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def idle_s() -> float | None:
    """Seconds that they were idle since some time, all together; None if nobody knows."""
    ours = {f"cpu{number}" for number in usable()}
    try:
        with open(_PLACES, encoding="ascii") as file:  # noqa: PTH123 - twice as fast
            rows = [line.split() for line in file if line.startswith("cpu")]
        ticks = sum(int(row[_IDLE]) + int(row[_WAITS]) for row in rows if row[0] in ours)
    except (OSError, ValueError, IndexError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK")
