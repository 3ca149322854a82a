"""A thread is not woken for every packet of a large body over TCP, and never sleeps too long."""

import contextlib
import itertools
import resource
import socket
import threading
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osssync.oss.channel import Channel
from osssync.oss.wire import ClosedEarlyError

KIB = 1 << 10
pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_RCVLOWAT"), reason="no SO_RCVLOWAT here")


@contextlib.contextmanager
def connected(timeout_s=20.0):
    """A channel of a thread, and the socket of its other side."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with ours, theirs:
            yield Channel(ours, None, timeout_s), theirs


@contextlib.contextmanager
def beside(work):
    """Run something on a thread; it has ended when the block has."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
        assert not thread.is_alive()


def body_of_size(size):
    """Bytes that show when they are out of place."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def head_of(size):
    """The head of a reply with a body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size


def answer(theirs, size, pieces):
    """A reply in pieces of these sizes, over and over, with short pauses."""
    reply = memoryview(head_of(size) + body_of_size(size))
    for most in itertools.cycle(pieces):
        theirs.sendall(reply[:most])
        reply = reply[most:]
        if not reply:
            return
        time.sleep(0.0005)


def taken(channel):
    """The body of the next reply."""
    channel.read_head()
    return rest_of(channel)


def rest_of(channel):
    """What follows of a body."""
    pieces = []
    while piece := channel.take():
        pieces.append(bytes(piece))
    return b"".join(pieces)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(
        st.one_of(
            st.sampled_from([0, 1, 256 * KIB - 1, 256 * KIB, 1024 * KIB, 2048 * KIB + 1]),
            st.integers(0, 3000 * KIB),
        ),
        min_size=1,
        max_size=3,
    ),
    pieces=st.lists(st.integers(40 * KIB, 900 * KIB), min_size=1, max_size=5),
)
def test_bodies_of_all_sizes_come_whole_however_they_are_split(sizes, pieces):
    """One after the other on one connection, each at once: nothing is waited for in vain."""
    with connected() as (channel, theirs):
        for size in sizes:
            began_s = time.monotonic()
            with beside(partial(answer, theirs, size, pieces)):
                channel.send(b"request", None)
                assert body_of_size(size) == taken(channel)
                assert channel.is_clean()
            assert time.monotonic() - began_s < 10.0  # a wait would end by itself after twenty


@pytest.mark.parametrize("came", [0, 1, 100 * KIB, 767 * KIB, 769 * KIB, 1023 * KIB])
def test_a_body_that_is_cut_short_is_noticed_at_once(came):
    """However little had come since the thread fell asleep."""
    with connected() as (channel, theirs):
        theirs.sendall(head_of(1024 * KIB))
        channel.read_head()
        closing = threading.Timer(0.05, theirs.shutdown, (socket.SHUT_WR,))

        def answer():
            theirs.sendall(body_of_size(came))
            closing.start()

        began_s = time.monotonic()
        with beside(answer), pytest.raises(ClosedEarlyError, match=f"{1024 * KIB - came} B more"):
            rest_of(channel)
        closing.join()

    assert time.monotonic() - began_s < 10.0


def test_less_than_a_nap_in_all_the_time_there_is_still_counts():
    """A slow network is no dead one: the limit is for silence."""
    size = 400 * KIB

    def answer():
        reply = head_of(size) + body_of_size(size)
        for start in range(0, len(reply), 20 * KIB):
            theirs.sendall(reply[start : start + 20 * KIB])
            time.sleep(0.06)

    with connected(timeout_s=0.3) as (channel, theirs), beside(answer):
        assert body_of_size(size) == taken(channel)


def test_silence_times_out():
    """In the middle of a nap."""
    with connected(timeout_s=0.3) as (channel, theirs):
        theirs.sendall(head_of(4096 * KIB) + body_of_size(4000))
        channel.read_head()

        with pytest.raises(TimeoutError):
            rest_of(channel)


def test_another_thread_ends_a_nap():
    """As when a run is to end."""
    with connected() as (channel, theirs):
        theirs.sendall(head_of(4096 * KIB) + body_of_size(4000))
        channel.read_head()
        stop = threading.Timer(0.1, channel.break_off)
        stop.start()

        began_s = time.monotonic()
        with pytest.raises(ClosedEarlyError):
            channel.take()
        stop.join()

    assert time.monotonic() - began_s < 10.0


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_THREAD"), reason="threads are not accounted")
def test_a_thread_sleeps_through_most_of_a_large_body():
    """64 packets of 64 KiB with pauses, and it wakes for every eighth until near the end."""
    packet = body_of_size(64 * KIB)

    def answer():
        theirs.sendall(head_of(64 * len(packet)))
        for _ in range(64):
            theirs.sendall(packet)
            time.sleep(0.002)

    with connected() as (channel, theirs), beside(answer):
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        assert packet * 64 == taken(channel)
        woken = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before

    assert woken < 45
