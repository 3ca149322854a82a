"""What all fault tests share: waits of milliseconds, and an emulator for a whole module."""

from functools import partial

import pytest

from osssync.emulator.emulator import Emulator
from osssync.emulator.settings import Settings
from osssync.retry import RetryPolicy
from tests.conftest import _issued

AT_ONCE = partial(RetryPolicy, base_s=0.001, cap_s=0.002, throttle_base_s=0.001, asked_cap_s=0.01)


@pytest.fixture
def _at_once(monkeypatch):
    """Between attempts hardly anything is waited for."""
    monkeypatch.setattr("osssync.oss.connection.RetryPolicy", AT_ONCE)
    monkeypatch.setattr("osssync.fibers._SWEEP_S", 0.02)


@pytest.fixture(scope="module")
def shared():
    """One emulator for all tests of a module: each keeps to a prefix or bucket of its own."""
    with Emulator.running(Settings(buckets=("bucket",))) as emulator:
        yield emulator
        for one in emulator.authority._sets.values():
            _issued.update((one.access_key_secret.encode(), one.security_token.encode()))


@pytest.fixture
def emulator(shared):
    """The module's emulator, all well with it, its log empty."""
    shared.faults.clear()
    shared.forget_requests()
    yield shared
    shared.faults.clear()
