"""The provider under many callers: one fetch, shared failures, never a torn set, no threads."""

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from osssync.credentials.locks import ForkSafeLock
from osssync.credentials.provider import RefreshingCredentialsProvider, Snapshot
from osssync.credentials.schedule import Pace
from osssync.errors import CredentialsError

CALLERS = 8


def numbered(number, life_s=3600.0):
    now_s = time.time()
    return Snapshot(f"id-{number}", f"secret-{number}", f"token-{number}", now_s + life_s, now_s,
                    "AppRole")  # fmt: skip


class Gate:
    """A source whose fetch takes until ``open`` is set; counts who is inside."""

    def __init__(self, outage=""):
        self.open = threading.Event()
        self.inside = threading.Event()
        self.calls = 0
        self.outage = outage

    def __call__(self):
        self.calls += 1
        number = self.calls
        self.inside.set()
        assert self.open.wait(10)
        if self.outage:
            raise CredentialsError(self.outage)
        return numbered(number)


def read(provider):
    """What a caller gets: an access key id, or the words of an error."""
    try:
        return provider.snapshot().access_key_id
    except CredentialsError as error:
        return str(error)


def until_waiting(provider, callers):
    """Wait until that many callers are inside a read; there is no event for "is blocked"."""
    deadline_s = time.monotonic() + 10
    while provider.entered_reads < callers and time.monotonic() < deadline_s:
        time.sleep(0.001)
    time.sleep(0.05)  # from the counter to the lock are a few instructions


class CountedProvider(RefreshingCredentialsProvider):
    """Counts the reads that have begun."""

    def __init__(self, fetch, **options):
        super().__init__(fetch, **options)
        self.entered_reads = 0
        self.counting = threading.Lock()

    def _current(self):
        with self.counting:
            self.entered_reads += 1
        return super()._current()


@pytest.mark.parametrize(("outage", "expected"), [("", "id-1"), ("no role", "no role")])
def test_callers_without_a_set_share_one_fetch_and_its_end(outage, expected):
    """Eight threads, one question; they all get its answer, or all its error."""
    gate = Gate(outage)
    provider = CountedProvider(gate)
    with ThreadPoolExecutor(CALLERS) as pool:
        reads = [pool.submit(read, provider) for _ in range(CALLERS)]
        until_waiting(provider, CALLERS)
        gate.open.set()

        answers = {each.result() for each in reads}

    assert answers == {expected}
    assert gate.calls == 1


def test_callers_go_on_with_the_valid_set_while_one_refreshes(clock):
    """Nobody waits for a refresh that is ahead of its time."""
    gate = Gate()
    gate.open.set()
    provider = RefreshingCredentialsProvider(gate, monotonic=clock, jitter=lambda: 0.0)
    assert read(provider) == "id-1"
    gate.open.clear()
    gate.inside.clear()
    clock.advance(3300)
    with ThreadPoolExecutor(1) as pool:
        refresher = pool.submit(read, provider)
        assert gate.inside.wait(10)

        meanwhile = [read(provider) for _ in range(100)]
        gate.open.set()
        refreshed = refresher.result()

    assert set(meanwhile) == {"id-1"}
    assert refreshed == "id-2"
    assert gate.calls == 2


def test_a_caller_does_not_wait_for_ever_for_a_hanging_fetch():
    """The bound is patience, not correctness: the message says who hangs."""
    gate = Gate()
    provider = RefreshingCredentialsProvider(gate, pace=Pace(wait_s=0.05))
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(read, provider)
        assert gate.inside.wait(10)

        with pytest.raises(CredentialsError, match="hangs"):
            provider.get_credentials()
        gate.open.set()

        assert hanging.result() == "id-1"


def test_ten_thousand_reads_of_eight_threads_never_tear():
    """Id, secret and token are always of one set, while another thread refuses set after set."""
    counter = iter(range(10**9))
    provider = RefreshingCredentialsProvider(lambda: numbered(next(counter)))
    torn = []

    def sign():
        for _ in range(10_000 // CALLERS):
            found = provider.get_credentials()
            numbers = {
                value.partition("-")[2]
                for value in (
                    found.get_access_key_id(),
                    found.get_access_key_secret(),
                    found.get_security_token(),
                )
            }
            if len(numbers) != 1:
                torn.append(numbers)
            provider.invalidate(found.get_access_key_id())

    threads = [threading.Thread(target=sign) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert torn == []
    assert provider.rotations > 1000
    assert provider.rotations == provider.fetches - 1


def test_eight_refusals_of_one_set_cost_one_fetch():
    """Eight requests in flight were signed with the same dead set."""
    counter = iter(range(10**9))
    provider = RefreshingCredentialsProvider(lambda: numbered(next(counter)))
    dead = provider.snapshot().access_key_id
    with ThreadPoolExecutor(CALLERS) as pool:

        def refuse_and_read(_):
            dropped = provider.invalidate(dead)
            return dropped, provider.snapshot().access_key_id

        outcomes = list(pool.map(refuse_and_read, range(CALLERS)))

    assert [dropped for dropped, _ in outcomes].count(True) == 1
    assert {found for _, found in outcomes} == {"id-1"}
    assert provider.fetches == 2


def test_a_set_refused_the_instant_it_is_published_still_serves_its_fetcher(caplog):
    """Another thread may read, be refused and drop it before the fetching caller is back."""
    provider = RefreshingCredentialsProvider(lambda: numbered(1))

    class RefuseAtPublication(logging.Handler):
        def emit(self, record):
            if "valid until" in record.getMessage():
                provider.invalidate("id-1")

    logger = logging.getLogger("osssync.credentials.provider")
    other_thread = RefuseAtPublication()
    caplog.set_level(logging.DEBUG, logger.name)
    logger.addHandler(other_thread)
    try:
        found = read(provider)
    finally:
        logger.removeHandler(other_thread)

    assert found == "id-1"
    assert provider._held.refused is True


def in_child(work):
    """Run in a forked child; True if it returned True within ten seconds."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() is True else 1)
        finally:
            os._exit(2)
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_during_a_fetch_fetches_for_itself():
    """The thread that held the lock does not exist in the child; the lock must not, either."""
    gate = Gate()
    provider = RefreshingCredentialsProvider(gate)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(read, provider)
        assert gate.inside.wait(10)

        def fetch_in_child():
            gate.open.set()
            return read(provider) == "id-2"

        forked = in_child(fetch_in_child)
        gate.open.set()

        assert fetching.result() == "id-1"
    assert forked is True


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_goes_on_with_the_valid_set():
    """No fetch is needed for what the parent already has."""
    provider = RefreshingCredentialsProvider(lambda: numbered(1))
    provider.get_credentials()

    assert in_child(lambda: read(provider) == "id-1" and provider.fetches == 1) is True


def test_a_lock_that_is_taken_is_not_entered():
    """Without patience the block runs outside, and leaves the lock to its owner."""
    lock = ForkSafeLock()

    with lock.entered() as first, lock.entered(0) as second:
        entered = (first, second)

    assert entered == (True, False)
    with lock.entered(0) as again:
        assert again is True
