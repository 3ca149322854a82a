"""Who has no ``logging`` loaded hears of what is wrong, and pays for nothing else."""

import logging
import subprocess
import sys

from osssync.log import Log

PROGRAM = """
import sys
from osssync.log import Log
log = Log("osssync.credentials")
log.debug("a detail: %s", 1)
log.info("a step: %s", 2)
print("logging" in sys.modules)
log.warning("a trouble: %s", 3)
"""


def test_only_a_warning_loads_logging():
    """Nobody can have asked for less; a warning without a handler is on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    assert ("False\n", "a trouble: 3\n") == (done.stdout, done.stderr)


def test_whoever_listens_hears_everything_and_from_where(caplog):
    """Level, name and text, and the function that says it."""
    caplog.set_level(logging.DEBUG)
    log = Log("osssync.credentials")

    log.debug("a detail: %s", 1)
    log.info("a step: %s", 2)
    log.warning("a trouble: %s", 3)

    assert [
        (logging.DEBUG, "osssync.credentials", "a detail: 1"),
        (logging.INFO, "osssync.credentials", "a step: 2"),
        (logging.WARNING, "osssync.credentials", "a trouble: 3"),
    ] == [(each.levelno, each.name, each.getMessage()) for each in caplog.records]
    assert {"test_whoever_listens_hears_everything_and_from_where"} == {
        each.funcName for each in caplog.records
    }
