"""Bodies by TLS: whole, however records and pieces fall, and few waits for a large one."""

import contextlib
import resource
import socket
import ssl
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osssync.fibers import running
from osssync.oss.channel import Channel
from osssync.oss.tls import WIRE_BYTES, Tls
from osssync.oss.wire import ClosedEarlyError
from tests.oss.both_ways import BOTH
from tests.oss.test_naps import KIB, answer, beside, body_of_size, head_of, rest_of, taken
from tests.oss.test_tls import server_context

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """Of a server and of a client that trusts it."""
    server, ca_file = server_context(tmp_path_factory.mktemp("tls"), HOST)
    return server, ssl.create_default_context(cafile=ca_file)


@contextlib.contextmanager
def connected(contexts, timeout_s=20.0):
    """A channel of whoever asks, thread or fiber, and the secure socket of its other side."""
    server, client = contexts
    accepted = []
    with socket.create_server((HOST, 0)) as listener:
        loop = running()
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if loop is not None:
            ours.setblocking(False)
            loop.watch(ours.fileno())
        channel = Channel(ours, loop, timeout_s)
        with beside(lambda: accepted.append(server.wrap_socket(theirs, server_side=True))):
            channel.secure(Tls(client, HOST))
        with ours, accepted[0]:
            yield channel, accepted[0]


@BOTH
@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(
        st.one_of(
            st.sampled_from([0, 1, 16 * KIB, WIRE_BYTES, 256 * KIB, 1024 * KIB, 2048 * KIB + 1]),
            st.integers(0, 3000 * KIB),
        ),
        min_size=1,
        max_size=3,
    ),
    pieces=st.lists(st.integers(5 * KIB, 900 * KIB), min_size=1, max_size=5),
)
def test_bodies_of_all_sizes_come_whole_however_they_are_split(contexts, where, sizes, pieces):
    """One after the other on one connection, each at once: nothing is waited for in vain."""

    def talk():
        with connected(contexts) as (channel, theirs):
            for size in sizes:
                began_s = time.monotonic()
                with beside(partial(answer, theirs, size, pieces)):
                    channel.send(b"request", None)
                    assert body_of_size(size) == taken(channel)
                    assert channel.is_clean()
                assert time.monotonic() - began_s < 10.0  # a wait would end by itself after twenty

    where(talk)


@pytest.mark.parametrize("left", [60 * KIB, 150 * KIB, 250 * KIB, 280 * KIB, 300 * KIB])
def test_what_comes_late_is_not_waited_for_in_one_piece(contexts, left):
    """A pause near the end: less is to come than a thread sleeps for, some of it taken already."""
    size = 1024 * KIB
    reply = head_of(size) + body_of_size(size)

    def answer():
        theirs.sendall(reply[:-left])
        time.sleep(0.1)
        theirs.sendall(reply[-left:])

    with connected(contexts) as (channel, theirs):
        began_s = time.monotonic()
        with beside(answer):
            assert body_of_size(size) == taken(channel)
    assert time.monotonic() - began_s < 10.0


@BOTH
@pytest.mark.parametrize("size", [1000, 100 * KIB, 5000 * KIB])
def test_a_request_with_a_body_arrives_whole(contexts, where, size):
    """Its records are made in pieces as large as those that are received."""
    heard = bytearray()

    def listen(theirs):
        while len(heard) < 4 + size:
            heard.extend(theirs.recv(1 << 20))

    def talk():
        with connected(contexts) as (channel, theirs), beside(partial(listen, theirs)):
            channel.send(b"head", body_of_size(size))

    where(talk)
    assert b"head" + body_of_size(size) == heard


@BOTH
def test_a_body_that_is_cut_short_is_noticed_at_once(contexts, where):
    """With or without a word of farewell."""

    def talk():
        with connected(contexts) as (channel, theirs):
            theirs.sendall(head_of(1024 * KIB) + body_of_size(5000))
            channel.read_head()
            with beside(theirs.close), pytest.raises(ClosedEarlyError):
                rest_of(channel)

    where(talk)


def test_silence_times_out(contexts):
    """The system's own limit holds for what is encrypted, too."""
    with connected(contexts, timeout_s=0.3) as (channel, theirs):
        theirs.sendall(head_of(4096 * KIB) + body_of_size(4000))
        channel.read_head()
        with pytest.raises(TimeoutError):
            rest_of(channel)


@pytest.mark.parametrize("event", ["nothing", "tickets", "said", "left", "lost"])
def test_an_idle_connection_is_stale_once_it_was_closed_or_spoke_unasked(contexts, event):
    """What TLS itself has to say does not count: tickets may come at any time."""
    with connected(contexts) as (channel, theirs):
        if event != "tickets":  # those of the handshake come with the first reply
            theirs.sendall(head_of(2) + b"ok")
            assert b"ok" == taken(channel)
        if event == "said":
            theirs.sendall(b"by the way")
        if event == "left":
            with contextlib.suppress(OSError):
                theirs.settimeout(0.1)
                theirs.unwrap()
        if event == "lost":
            theirs.close()
        time.sleep(0.05)
        assert (event in ("said", "left", "lost")) == channel.is_stale()


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_THREAD"), reason="threads are not accounted")
def test_a_thread_sleeps_through_most_of_a_large_body(contexts):
    """256 records with pauses, and it wakes for every eighth until near the end."""
    record = body_of_size(16 * KIB)

    def answer():
        theirs.sendall(head_of(256 * len(record)))
        for _ in range(256):
            theirs.sendall(record)
            time.sleep(0.0005)

    with connected(contexts) as (channel, theirs), beside(answer):
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        assert record * 256 == taken(channel)
        woken = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before

    assert woken < 100


@BOTH
def test_nobody_waits_for_who_left_during_the_handshake(contexts, where):
    """Half a record and the end come as one event."""
    _, client = contexts

    def talk():
        with socket.create_server((HOST, 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
            loop = running()
            if loop is not None:
                ours.setblocking(False)
                loop.watch(ours.fileno())
            theirs.sendall(b"\x16\x03\x03")
            theirs.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
            with ours, theirs, pytest.raises(OSError, match="EOF"):
                Channel(ours, loop, 5.0).secure(Tls(client, HOST))

    where(talk)
