"""The loop under all fibers: who goes on, when, and what is left when it ends."""

import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest

from osssync.fibers import Loop, acquire, pause, running, wait_for
from tests.oss.both_ways import REST_S, both_ways

LONG_S = 20.0  # never reached; a test that waits so long has hung


@pytest.fixture
def loop():
    """A loop of this thread."""
    made = Loop(between=lambda: REST_S)
    yield made
    made.close()


@pytest.fixture
def pair():
    """Two connected sockets that never block."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def serve(loop, *works):
    """Run these in fibers until the last has ended."""
    for work in works:
        loop.spawn(work)
    loop.run(goes_on=lambda: False)


def descriptors():
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_only_a_fiber_has_a_loop(loop):
    """Not the thread before and after, not another thread, and not one whose loop broke."""
    seen, elsewhere = [], []

    def work():
        seen.append(running())
        thread = threading.Thread(target=lambda: elsewhere.append(running()))
        thread.start()
        thread.join()

    before = running()
    serve(loop, work)

    assert [None, loop, None, None] == [before, *seen, *elsewhere, running()]


def test_fibers_begin_in_order_and_between_is_called_after_each_round():
    """What a round has done can be collected at once."""
    told = []
    loop = Loop(between=lambda: told.append("between") or REST_S)
    with contextlib.closing(loop):
        serve(loop, lambda: told.append("a"), lambda: told.append("b"))

    assert ["a", "b", "between"] == told


def test_those_who_sleep_wake_in_the_order_of_their_times(loop):
    """Of equal times, whoever came first; and nobody wakes early."""
    woken, early = [], []

    def sleeper(name, seconds):
        def work():
            until_s = time.monotonic() + seconds
            pause(seconds)
            if time.monotonic() < until_s:
                early.append(name)
            woken.append(name)

        return work

    naps = (("d", 0.06), ("b", 0.02), ("c", 0.04), ("a", 0.0))
    serve(loop, *(sleeper(*nap) for nap in naps))

    assert (["a", "b", "c", "d"], []) == (woken, early)


def test_equal_times_are_no_problem(loop, monkeypatch):
    """Fibers have no order of their own."""
    monkeypatch.setattr("osssync.fibers.time.monotonic", lambda: 1.0)
    woken = []

    serve(loop, *(lambda n=n: (loop.sleep(0.0), woken.append(n)) for n in range(5)))

    assert list(range(5)) == woken


def test_a_sleeper_holds_nobody_up(loop):
    """Others end first."""
    told = []

    serve(loop, lambda: (pause(0.05), told.append("slept")), lambda: told.append("at once"))

    assert ["at once", "slept"] == told


def test_another_thread_can_wake_a_loop(monkeypatch):
    """However long it would have waited; the ring is heard once, and does not keep it awake."""
    monkeypatch.setattr("osssync.fibers._SWEEP_S", LONG_S)
    done, rounds = threading.Event(), []
    loop = Loop(between=lambda: rounds.append(1) or REST_S)

    def ring():
        time.sleep(0.02)
        loop.wake()
        time.sleep(0.02)
        done.set()
        loop.wake()

    thread = threading.Thread(target=ring)
    thread.start()
    with contextlib.closing(loop):
        begun_s = time.monotonic()
        loop.run(goes_on=lambda: not done.is_set())
        thread.join()

    assert time.monotonic() - begun_s < LONG_S / 2
    assert 3 == len(rounds)


def test_a_ring_before_anybody_waits_is_not_lost(monkeypatch):
    """What was said between a look and the wait is heard."""
    monkeypatch.setattr("osssync.fibers._SWEEP_S", LONG_S)
    asked = []
    loop = Loop(between=lambda: (not asked and loop.wake()) or REST_S)

    def goes_on():
        asked.append(1)
        return len(asked) < 2

    begun_s = time.monotonic()
    with contextlib.closing(loop):
        loop.run(goes_on)

    assert time.monotonic() - begun_s < LONG_S / 2


def test_between_says_when_it_wants_to_be_called_again(monkeypatch):
    """Sooner than anything else would end the wait."""
    monkeypatch.setattr("osssync.fibers._SWEEP_S", LONG_S)
    calls = []
    loop = Loop(between=lambda: calls.append(1) or 0.01)

    begun_s = time.monotonic()
    with contextlib.closing(loop):
        loop.run(goes_on=lambda: len(calls) < 4)

    assert 4 == len(calls)
    assert time.monotonic() - begun_s < LONG_S / 2


def test_who_listens_is_called_while_there_is_something_to_read(loop, pair):
    """Again and again until it is read, beside all fibers."""
    ours, theirs = pair
    heard = []
    loop.listen(ours.fileno(), lambda: heard.append(ours.recv(2)))

    serve(loop, lambda: (theirs.send(b"abcd"), pause(0.02), theirs.send(b"ef"), pause(0.02)))

    assert [b"ab", b"cd", b"ef"] == heard


def test_parked_fibers_go_on_in_order_as_many_as_are_called(loop):
    """More than there are is no error."""
    told, counts = [], []

    def parker(name):
        return lambda: (loop.park(), told.append(name))

    def caller():
        counts.append(loop.parked)
        loop.unpark(2)
        counts.append(loop.parked)
        pause(0.01)
        told.append("between")
        loop.unpark(99)
        counts.append(loop.parked)

    serve(loop, parker("a"), parker("b"), parker("c"), caller)

    assert ["a", "b", "between", "c"] == told
    assert [3, 1, 0] == counts


def test_a_reader_waits_for_its_own_socket(loop):
    """Many at once, each served when its bytes come, whatever the order."""
    received = []
    with contextlib.ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(50)]
        for one in (one for both in pairs for one in both):
            stack.enter_context(one).setblocking(False)

        def reader(ours):
            def work():
                loop.watch(ours.fileno())
                loop.wait_readable(ours.fileno(), LONG_S)
                received.append(ours.recv(10))

            return work

        def writer():
            for number in reversed(range(50)):
                pairs[number][1].send(b"%d" % number)
                pause(0.0)

        serve(loop, *(reader(ours) for ours, _ in pairs), writer)

    assert [b"%d" % number for number in reversed(range(50))] == received


def test_what_came_while_nobody_waited_is_not_missed(loop, pair):
    """Edges are told of once: the loop remembers them."""
    ours, theirs = pair
    told = []

    def work():
        loop.watch(ours.fileno())
        pause(0.0)
        told.append(ours.fileno() in loop.unheard)
        theirs.send(b"early")
        pause(0.01)
        told.append(ours.fileno() in loop.unheard)
        loop.wait_readable(ours.fileno(), LONG_S)
        told.append(ours.recv(10))
        told.append(ours.fileno() in loop.unheard)

    serve(loop, work)

    assert [False, True, b"early", False] == told


def test_a_new_socket_has_nothing_of_an_old_one_with_its_number(loop):
    """Descriptors are used again."""
    told = []

    def work():
        for bytes_sent in (b"x", b""):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                loop.watch(ours.fileno())
                theirs.send(bytes_sent)
                pause(0.01)
                told.append((ours.fileno(), ours.fileno() in loop.unheard))

    serve(loop, work)

    (first, was), (second, is_now) = told
    assert first == second, "the number was not used again, so this test has shown nothing"
    assert (True, False) == (was, is_now)


def test_a_writer_waits_until_there_is_room(loop, pair):
    """And is not woken by what comes in meanwhile."""
    ours, theirs = pair
    told = []

    def writer():
        loop.watch(ours.fileno())
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(bytes(65_536))
        theirs.send(b"not room")
        pause(0.01)
        loop.wait_writable(ours.fileno(), LONG_S)
        told.append(ours.send(b"x"))

    def reader():
        pause(0.03)
        told.append("makes room")
        with contextlib.suppress(BlockingIOError):
            while theirs.recv(1 << 20):
                pass

    serve(loop, writer, reader)

    assert ["makes room", 1] == told


@pytest.mark.parametrize("wait", ["wait_readable", "wait_writable"])
def test_the_end_of_a_connection_ends_every_wait(loop, pair, wait):
    """Reading or writing then says what has happened."""
    ours, theirs = pair
    told = []

    def work():
        loop.watch(ours.fileno())
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(bytes(65_536))
        getattr(loop, wait)(ours.fileno(), LONG_S)
        told.append("ended")

    serve(loop, work, lambda: (pause(0.01), theirs.close()))

    assert ["ended"] == told


def test_time_is_up_for_those_whose_time_is_up(loop, pair, monkeypatch):
    """One times out, its neighbour of more patience gets what comes."""
    monkeypatch.setattr("osssync.fibers._SWEEP_S", 0.01)
    impatient, other_end = socket.socketpair()
    impatient.setblocking(False)
    ours, theirs = pair
    told = []

    def hasty():
        loop.watch(impatient.fileno())
        with pytest.raises(TimeoutError):
            loop.wait_readable(impatient.fileno(), 0.03)
        told.append("late")
        other_end.send(b"after all")
        loop.wait_readable(impatient.fileno(), LONG_S)
        told.append(impatient.recv(20))

    def patient():
        loop.watch(ours.fileno())
        loop.wait_readable(ours.fileno(), LONG_S)
        told.append(ours.recv(20))

    def writer():
        pause(0.1)
        theirs.send(b"in time")

    with impatient, other_end:
        serve(loop, hasty, patient, writer)

    assert ["late", b"after all", b"in time"] == told


def test_sleepers_do_not_keep_the_sweep_from_its_work(loop, pair, monkeypatch):
    """A loop that is always busy still notices that time is up."""
    monkeypatch.setattr("osssync.fibers._SWEEP_S", 0.01)
    ours, _theirs = pair
    told = []

    def waits():
        loop.watch(ours.fileno())
        with pytest.raises(TimeoutError):
            loop.wait_readable(ours.fileno(), 0.02)
        told.append("late")

    def is_busy():
        while not told:
            pause(0.0)

    serve(loop, waits, is_busy)

    assert ["late"] == told


@both_ways
def test_an_event_that_a_thread_sets_is_waited_for():
    """True as soon as it is set, True at once if it was, False when the time is up."""
    event = threading.Event()
    threading.Timer(0.02, event.set).start()

    assert not wait_for(threading.Event(), 0.01)
    assert wait_for(event, LONG_S)
    assert wait_for(event, 0.0)


def test_waiting_for_an_event_holds_up_no_other_fiber(loop):
    """The one who sets it may be the next fiber."""
    event, told = threading.Event(), []

    serve(
        loop,
        lambda: told.append(wait_for(event, LONG_S)),
        lambda: told.append("others go on"),
        lambda: (pause(0.01), event.set()),
    )

    assert ["others go on", True] == told


@both_ways
def test_a_lock_that_a_thread_holds_is_waited_for():
    """And is ours then."""
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.02, lock.release).start()

    acquire(lock)

    assert lock.locked()


def test_a_lock_across_a_wait_stops_no_other_fiber(loop):
    """One at a time has it, and all do in the end."""
    lock, inside, most = threading.Lock(), [], []

    def work():
        acquire(lock)
        inside.append(1)
        most.append(len(inside))
        pause(0.002)
        inside.pop()
        lock.release()

    serve(loop, *[work] * 5)

    assert [1] * 5 == most


def test_a_closed_loop_gives_its_descriptors_back():
    """Both of them; hundreds of runs in one process are no problem."""
    before = descriptors()

    loop = Loop(between=lambda: REST_S)
    during = descriptors()
    serve(loop, lambda: pause(0.0))
    loop.close()

    assert (2, 0) == (during - before, descriptors() - before)


def test_what_a_fiber_raises_ends_the_loop(loop):
    """It must not; if it does, whoever runs the loop hears of it, and the thread has no loop."""
    told = []

    def work():
        pause(0.0)
        raise KeyError("a bug")

    loop.spawn(lambda: (pause(LONG_S), told.append("never")))
    loop.spawn(work)
    with pytest.raises(KeyError, match="a bug"):
        loop.run(goes_on=lambda: True)

    assert running() is None
    assert [] == told


def test_what_is_raised_between_rounds_ends_the_loop():
    """Likewise."""

    def between():
        raise KeyError("a bug")

    with (
        contextlib.closing(Loop(between)) as loop,
        pytest.raises(KeyError, match="a bug"),
    ):
        loop.run(goes_on=lambda: True)

    assert running() is None


def test_two_threads_have_a_loop_each():
    """Neither wakes or runs the fibers of the other."""
    told = {}

    def own(name):
        loop = Loop(between=lambda: REST_S)
        with contextlib.closing(loop):

            def work():
                pause(0.01)
                told[name] = (running() is loop, threading.current_thread().name)

            serve(loop, work)

    threads = [threading.Thread(target=own, args=(n,), name=f"thread-{n}") for n in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)

    assert {"a": (True, "thread-a"), "b": (True, "thread-b")} == told


def test_a_thousand_fibers_take_turns(loop):
    """All go on, round by round."""
    rounds = [0] * 1000

    def work(number):
        for _ in range(5):
            rounds[number] += 1
            pause(0.0)

    serve(loop, *(lambda n=n: work(n) for n in range(1000)))

    assert [5] * 1000 == rounds
