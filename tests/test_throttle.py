"""The limit of requests in flight, on a clock that tests move, and once with real threads."""

import pickle
import threading
import time

import pytest

from osssync.config import CredentialSettings, OssSettings
from osssync.emulator.faults import Effect
from osssync.errors import InterruptedRunError, NetworkError, NotFoundError, ThrottledError
from osssync.model import Entry, Outcome, Step, Task
from osssync.oss.connection import Connection
from osssync.oss.translate import ErrorReply, from_reply
from osssync.retry import Retry, RetryPolicy
from osssync.throttle import SETTLE_S, Pace
from osssync.transfer.worker import Worker

SLOW_DOWN = ThrottledError("slow down", 503)


class Clock:
    """Seconds that stand still until they are moved."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    return Pace(8, clock)


def throttle(pace, times=1):
    """So many requests, one after the other, all throttled."""
    for _ in range(times):
        slot = pace.slot()
        with pytest.raises(ThrottledError), slot:
            raise SLOW_DOWN
        slot.throttled(SLOW_DOWN)


def succeed(pace, times):
    for _ in range(times):
        with pace.slot():
            pass


def settle(clock):
    clock.now_s += SETTLE_S


def in_thread(work):
    """Start a thread that is waited for at the end of the test by ``join``."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until(condition):
    """Wait for other threads to bring something about."""
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s, "it never came about"
        time.sleep(0.001)


def test_several_places_are_taken_and_given_back_at_once(pace, clock):
    """As many as there are; and each that succeeded counts for the next limit."""
    throttle(pace)
    settle(clock)
    clock.now_s += 1

    with pace.slot():
        count, began_s = pace.try_enter(9)
        none, _ = pace.try_enter(1)

    assert (3, 0) == (count, none)
    pace.leave(*[began_s] * 3, succeeded=True)
    assert (5, 0) == (pace.limit, pace._in_flight)
    pace.leave(succeeded=True)
    assert 0 == pace._in_flight


def test_a_throttled_request_halves_the_limit(pace):
    """8 become 4, and the facts for the report say so."""
    throttle(pace)

    assert (4, 4, 1) == (pace.limit, pace.lowest, pace.throttled)


def test_a_burst_halves_the_limit_once(pace, clock):
    """All 8 that were under way when the first was refused are refused too: still 4."""
    slots = [pace.slot() for _ in range(8)]
    for slot in slots:
        slot.__enter__()
    clock.now_s += 3  # the requests take their time
    for slot in slots:
        slot.__exit__(ThrottledError, SLOW_DOWN, None)
        slot.throttled(SLOW_DOWN)

    assert (4, 8) == (pace.limit, pace.throttled)


def test_a_cut_is_judged_only_by_requests_that_saw_it(pace, clock):
    """Until a cut has settled no refusal cuts again; the first one after that does."""
    throttle(pace, 5)
    clock.now_s += SETTLE_S * 0.99
    throttle(pace)
    before = pace.limit
    clock.now_s += SETTLE_S * 0.02
    throttle(pace)

    assert (4, 2) == (before, pace.limit)


def test_the_limit_never_falls_below_one(pace, clock):
    """Somebody must ask, or nobody would ever learn that it is over."""
    for _ in range(10):
        throttle(pace)
        settle(clock)

    assert (1, 1) == (pace.limit, pace.lowest)


def test_it_grows_by_one_for_as_many_successes_as_the_limit(pace, clock):
    """4 successes make it 5, 5 more make it 6."""
    throttle(pace)
    settle(clock)
    limits = []
    for _ in range(9):
        succeed(pace, 1)
        limits.append(pace.limit)

    assert [4, 4, 4, 5, 5, 5, 5, 5, 6] == limits


def test_it_grows_back_to_what_was_asked_for_and_no_further(pace, clock):
    """4 + 5 + 6 + 7 successes lead from 4 to 8, and a thousand more change nothing."""
    throttle(pace)
    settle(clock)
    succeed(pace, 4 + 5 + 6 + 7)
    grown = pace.limit
    succeed(pace, 1000)

    assert (8, 8, 4) == (grown, pace.limit, pace.lowest)


def test_a_refusal_ends_a_run_of_successes(pace, clock):
    """Successes count towards growth only in a row."""
    throttle(pace)
    settle(clock)
    succeed(pace, 3)
    throttle(pace)  # 2
    settle(clock)
    succeed(pace, 1)

    assert 2 == pace.limit


def test_successes_begun_before_the_cut_do_not_count(pace, clock):
    """They speak of the load that was, not of the one that is."""
    old = [pace.slot() for _ in range(7)]
    for slot in old:
        slot.__enter__()
    throttle(pace)
    settle(clock)
    for slot in old:
        slot.__exit__(None, None, None)

    assert 4 == pace.limit


@pytest.mark.parametrize("error", [NetworkError("cut"), NotFoundError("none", 404)])
def test_other_failures_neither_cut_nor_grow(pace, clock, error):
    """They are no sign of load, and none of its absence."""
    throttle(pace)
    settle(clock)
    for _ in range(20):
        with pytest.raises(type(error)), pace.slot():
            raise error

    assert 4 == pace.limit


def test_waiters_are_served_in_the_order_they_came(clock):
    """At a limit of 1, five in line get their turns first come, first served."""
    pace, served = Pace(1, clock), []
    first = pace.slot()
    first.__enter__()

    def work(number):
        with pace.slot():
            served.append(number)

    threads = []
    for number in range(5):
        threads.append(in_thread(lambda number=number: work(number)))
        until(lambda number=number: pace.waiting == number + 1)
    first.__exit__(None, None, None)
    for thread in threads:
        thread.join()

    assert [0, 1, 2, 3, 4] == served


def test_stopping_lets_everybody_through(clock):
    """Those in line and those to come: a run that ends must not wait for a place."""
    pace = Pace(1, clock)
    first = pace.slot()
    first.__enter__()
    threads = [in_thread(lambda: pace.slot().__enter__()) for _ in range(3)]
    until(lambda: pace.waiting == 3)

    pace.stop()
    for thread in threads:
        thread.join(timeout=20)
    pace.slot().__enter__()

    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("was_served", [False, True])
def test_an_interrupted_waiter_takes_no_place_with_it(clock, monkeypatch, was_served):
    """Ctrl-C while in line, before the turn came or just then: the place goes to the next."""
    pace = Pace(1, clock)
    first = pace.slot()
    first.__enter__()

    class Interrupted:
        """A lock whose second acquisition is interrupted, as by a signal in the main thread."""

        acquired = 0

        def acquire(self):
            self.acquired += 1
            if self.acquired == 2:
                if was_served:
                    first.__exit__(None, None, None)
                raise KeyboardInterrupt

        def release(self):
            pass

    monkeypatch.setattr("osssync.throttle.threading.Lock", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        pace.slot().__enter__()
    monkeypatch.undo()
    if not was_served:
        first.__exit__(None, None, None)

    assert 0 == pace.waiting
    succeed(pace, 1)  # would wait for ever if a place were lost


def test_real_threads_never_exceed_the_limit_and_none_is_forgotten():
    """20 threads, refusals every now and then: never more in flight than allowed, all done."""
    pace = Pace(6)
    counting = threading.Lock()
    running = most = done = 0
    above_lowered_limit = []

    def work(seed):
        nonlocal running, most, done
        for turn in range(200):
            slot = pace.slot()
            try:
                with slot:
                    with counting:
                        running += 1
                        most = max(most, running)
                    if turn % 50 == seed % 50:
                        time.sleep(0.001)
                    with counting:
                        running -= 1
                    if turn == 100 and seed == 0:
                        raise SLOW_DOWN
            except ThrottledError as error:
                slot.throttled(error)
                above_lowered_limit.append(pace.limit)
        with counting:
            done += 1

    threads = [in_thread(lambda seed=seed: work(seed)) for seed in range(20)]
    for thread in threads:
        thread.join(timeout=60)

    assert 20 == done
    assert most <= 6
    assert [3] == above_lowered_limit
    assert (0, 3) == (pace.waiting, pace.lowest)
    assert 1 == pace.throttled


def test_a_lowered_limit_holds_among_threads(clock):
    """Cut to 2: of ten threads that come then, two are in flight and eight in line."""
    pace = Pace(8, clock)
    throttle(pace)
    settle(clock)
    throttle(pace)
    may_end, inside = threading.Event(), []

    def work():
        with pace.slot():
            inside.append(1)
            may_end.wait(20)

    threads = [in_thread(work) for _ in range(10)]
    until(lambda: pace.waiting == 8)
    in_flight = len(inside)
    may_end.set()
    for thread in threads:
        thread.join()

    assert 2 == in_flight
    assert 10 == len(inside)


# -- together with the retry loop and the connection ------------------------------------------


def facts(headers):
    return ErrorReply("get oss://b/k", 503, "SlowDown", "", "REQ1", headers, {})


@pytest.mark.parametrize(
    ("header", "delay_s"),
    [("1500", 1.5), (" 20 ", 0.02), ("0", 0.0), ("", 0.0), ("-5", 0.0), ("soon", 0.0), ("²", 0.0),
     ("9" * 5000, 0.0)],
)  # fmt: skip
def test_the_pause_that_oss_asks_for_is_read(header, delay_s):
    """x-oss-qos-delay-time is in milliseconds; nonsense in it is no pause and no crash."""
    error = from_reply(facts({"x-oss-qos-delay-time": header}), str)

    assert isinstance(error, ThrottledError)
    assert delay_s == error.delay_s
    assert ("REQ1", delay_s) == (error.request_id, pickle.loads(pickle.dumps(error)).delay_s)


def waits_of(*errors, policy=None, draw=0.5):
    waits, script = [], list(errors)

    def call(_attempt):
        if script:
            raise script.pop(0)

    def wait(delay_s):
        waits.append(delay_s)
        return False

    Retry(policy or RetryPolicy(), wait, lambda: draw, lambda: 0.0).run(
        call, on_refused=lambda _: True, on_skew=lambda _: None
    )
    return waits


def test_a_repeat_waits_as_long_as_oss_asks_and_a_drawn_while_more():
    """3 s asked for, half of the 1 s of the first failure on top: nobody comes back together."""
    assert [3.5] == waits_of(ThrottledError("slow down", 503, "", "", "", 3.0))
    assert [3.0] == waits_of(ThrottledError("slow down", 503, "", "", "", 3.0), draw=0.0)


def test_an_absurd_pause_is_not_believed():
    """A week in a header is cut to a minute."""
    week = ThrottledError("slow down", 503, "", "", "", 604_800.0)

    assert [60.0] == waits_of(week, draw=0.0)


@pytest.fixture
def connection(emulator):
    """A connection of 8 requests in flight to the emulator."""
    credentials = CredentialSettings(
        role_name=emulator.settings.role, metadata_proxy=emulator.metadata_proxy
    )
    oss = OssSettings(endpoint=emulator.endpoint, region=emulator.settings.region)
    with Connection(credentials, oss, 8, lambda _message: None) as opened:
        yield opened


def test_a_503_lowers_the_pace_of_the_whole_connection(emulator, connection):
    """One throttled LIST, repeated: every later request of any thread finds the lower limit."""
    emulator.faults.inject(Effect.THROTTLE, operation="ListObjectsV2", times=1)
    retry = connection.retry(3, lambda _delay_s: False)

    connection.repeat(retry, lambda: connection.bucket("bucket").list_page(""))

    assert 2 == retry.attempts
    assert (1, 4) == (connection.pace.throttled, connection.pace.lowest)


def test_no_place_is_held_while_waiting_for_a_repeat(emulator, connection):
    """At a limit of 1 others go on while a throttled call waits."""
    for _ in range(3):
        connection.pace.slow_down(connection.pace.enter())
        connection.pace.leave(0.0, succeeded=False)
        connection.pace._settled_s = 0.0
    assert 1 == connection.pace.limit
    emulator.faults.inject(Effect.THROTTLE, operation="ListObjectsV2", times=1)
    others = []

    def wait(_delay_s):
        others.append(
            connection.repeat(connection.retry(0), lambda: connection.bucket("bucket").name)
        )
        return False

    connection.repeat(connection.retry(3, wait), lambda: connection.bucket("bucket").list_page(""))

    assert 1 == len(others)


def test_calls_of_all_threads_share_the_limit(connection):
    """Cut to 2, eight threads with a call each: never more than two of them are in flight."""
    for _ in range(2):
        connection.pace._settled_s = 0.0
        throttle(connection.pace)
    counting, running, seen = threading.Lock(), [], []

    def call():
        with counting:
            running.append(1)
            seen.append(len(running))
        time.sleep(0.01)
        with counting:
            running.pop()

    threads = [
        in_thread(lambda: connection.repeat(connection.retry(0), call)) for _ in range(8)
    ]  # fmt: skip
    for thread in threads:
        thread.join()

    assert 8 == len(seen)
    assert 2 == max(seen)


class NoSteps:
    """Steps that note what was done."""

    def __init__(self):
        self.done = []

    def __getattr__(self, name):
        def step(task):
            self.done.append(name)
            raise InterruptedRunError("enough")

        return step


def test_a_stopped_worker_begins_nothing_but_still_concludes(connection):
    """Who waited for a place while the run was told to end gets it, and does not use it."""
    steps = NoSteps()
    worker = Worker(steps, lambda _entry: None, connection, 3)
    entry = Entry("k", 1, 0)
    worker.stop()

    outcomes = [worker.run(Task(1, step, entry, "k")) for step in Step]

    assert {"finish", "abort"} == set(steps.done)
    assert all(outcome.failure.error == "InterruptedRunError" for outcome in outcomes)


def test_a_task_throttled_at_first_lowers_the_pace_and_is_done_when_repeated(connection):
    """The first attempt counts like any other, and its place is given back before the wait."""

    class Throttled(NoSteps):
        def whole(self, task):
            self.done.append(connection.pace._in_flight)
            if len(self.done) == 1:
                raise ThrottledError("slow down", 503)
            return Outcome(task, moved_bytes=1)

    steps, waited = Throttled(), []
    worker = Worker(steps, lambda _entry: None, connection, 3)
    worker._wait = lambda _seconds: waited.append(connection.pace._in_flight)

    outcome = worker.run(Task(1, Step.WHOLE, Entry("k", 1, 0), "k"))

    assert (None, 1, 1) == (outcome.failure, outcome.retries, outcome.moved_bytes)
    assert ([1, 1], [0]) == (steps.done, waited)
    assert (1, 4) == (connection.pace.throttled, connection.pace.lowest)


def test_stopping_a_worker_reaches_those_who_wait_for_a_place(connection):
    """The only place is taken for long: the waiting task comes back at once, not begun."""
    steps, outcomes = NoSteps(), []
    worker = Worker(steps, lambda _entry: None, connection, 3)
    task = Task(1, Step.PART, Entry("k", 1, 0), "k")
    for _ in range(3):
        connection.pace._settled_s = 0.0
        throttle(connection.pace)
    with connection.pace.slot():
        thread = in_thread(lambda: outcomes.append(worker.run(task)))
        until(lambda: connection.pace.waiting == 1)

        worker.stop()
        thread.join(timeout=20)

        assert not thread.is_alive()
    assert ["InterruptedRunError"] == [outcome.failure.error for outcome in outcomes]
    assert [] == steps.done


def test_it_is_widened_only_while_nobody_complains():
    """What was cut grows step by step; a limit that is lowered holds at once."""
    pace = Pace(4)
    pace.widen(16)
    wide = pace.limit
    throttle(pace)
    pace.widen(32)
    cut = pace.limit
    pace.widen(3)

    assert (16, 8, 3) == (wide, cut, pace.limit)
    assert 8 == pace.lowest


def test_those_in_line_go_when_it_is_widened():
    """Nobody has to wait for somebody to leave first."""
    pace = Pace(1)
    pace.enter()
    waiting = in_thread(pace.enter)
    while not pace.waiting:
        time.sleep(0.001)

    pace.widen(2)

    waiting.join(5)
    assert not waiting.is_alive()
