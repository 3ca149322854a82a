"""A test that runs on a thread, and again in a fiber: what waits must wait alike on both."""

import functools
import inspect

import pytest

from osssync.fibers import Loop

REST_S = 60.0
"""For how long a loop that has nothing to hand over may rest between two rounds."""


def on_a_thread(body):
    """Run it here."""
    return body()


def in_a_fiber(body):
    """Run it in a fiber of a loop of its own; what it raises is raised here."""
    results, failures = [], []

    def work():
        try:
            results.append(body())
        except BaseException as error:  # noqa: BLE001 - a fiber must not raise
            failures.append(error)

    loop = Loop(between=lambda: REST_S)
    try:
        loop.spawn(work)
        loop.run(goes_on=lambda: False)
    finally:
        loop.close()
    if failures:
        raise failures[0]
    return results[0]


BOTH = pytest.mark.parametrize("where", [on_a_thread, in_a_fiber], ids=["thread", "fiber"])


def both_ways(test):
    """Have pytest run a test both ways; its fixtures are made outside of the loop."""

    @functools.wraps(test)
    def call(where, **fixtures):
        where(lambda: test(**fixtures))

    own = list(inspect.signature(test).parameters.values())
    where = inspect.Parameter("where", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    call.__signature__ = inspect.Signature([where, *own])
    return BOTH(call)
