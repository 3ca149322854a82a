"""A connection over a pair of sockets: every framing, every way to end, on threads and fibers."""

import array
import contextlib
import io
import mmap
import socket
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osssync.errors import SourceChangedError
from osssync.fibers import Loop, pause, running
from osssync.oss.channel import BUFFER_BYTES, Channel
from osssync.oss.wire import MAX_HEAD_BYTES, BrokenReplyError, ClosedEarlyError
from tests.oss.both_ways import BOTH, REST_S, both_ways

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = bytes(range(251)) * 12_000  # 3 MB: more than any buffer on the way holds


class Choosy(socket.socket):
    """Receives no more at once than it is told to, and all there is once nothing is left to say."""

    amounts = ()

    def recv_into(self, view, _size=0, flags=0):
        most = self.amounts.pop(0) if self.amounts else len(view)
        return super().recv_into(view[:most], 0, flags)


@pytest.fixture(autouse=True)
def _swept_often(monkeypatch):
    """A fiber notices soon that its time is up."""
    monkeypatch.setattr("osssync.fibers._SWEEP_S", 0.02)


@pytest.fixture
def connect():
    """Make a channel, where it is called, and the socket of its other side."""
    with contextlib.ExitStack() as stack:

        def make(timeout_s=20.0):
            left, right = socket.socketpair()
            ours, theirs = Choosy(fileno=left.detach()), stack.enter_context(right)
            stack.enter_context(ours)
            loop = running()
            if loop is not None:
                ours.settimeout(0)
                loop.watch(ours.fileno())
            return Channel(ours, loop, timeout_s), theirs

        yield make


@pytest.fixture
def beside():
    """Run something on a thread beside the test; it has ended when the test has."""
    threads = []

    def start(work):
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def body_of(channel):
    """All that can be taken."""
    pieces = []
    while piece := channel.take():
        assert len(piece) <= BUFFER_BYTES
        pieces.append(bytes(piece))
    return b"".join(pieces)


def reply_of(channel, *, is_head_request=False):
    """Status and body of the next reply."""
    head = channel.read_head(is_head_request=is_head_request)
    return head.status, body_of(channel)


def all_from(theirs):
    """All bytes that were sent until the end."""
    with theirs.makefile("rb") as stream:
        return stream.read()


@both_ways
def test_one_reply_after_the_other_on_one_connection(connect):
    """Whatever frames them, each ends where it should, and the next request may follow."""
    channel, theirs = connect()
    replies = [
        (OK + b"Content-Length: 5\r\n\r\nfirst", b"first"),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (CHUNKED + b"3;x=y\r\nsec\r\n3\r\nond\r\n0\r\nTrailer: 1\r\nAnother: 2\r\n\r\n", b"second"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nxml", b"xml"),
    ]

    for number, (reply, body) in enumerate(replies, 1):
        channel.send(b"request", None)
        theirs.sendall(reply)
        assert (int(reply[9:12]), body) == reply_of(channel)
        assert channel.is_clean()
        assert number == channel.uses

    assert b"request" * len(replies) == theirs.recv(1000)


@both_ways
def test_a_reply_to_head_has_no_body(connect):
    """Its length is of the body that a GET would have."""
    channel, theirs = connect()
    theirs.sendall(OK + b"Content-Length: 5\r\n\r\n")

    assert (200, b"") == reply_of(channel, is_head_request=True)
    assert channel.is_clean()


@both_ways
def test_interim_replies_are_passed_over(connect):
    """100 and 103 may come before any reply; the change to another protocol may not."""
    channel, theirs = connect()
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    theirs.sendall(interim + OK + b"Content-Length: 2\r\n\r\nok")
    assert (200, b"ok") == reply_of(channel)

    theirs.sendall(interim + b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    with pytest.raises(BrokenReplyError, match="protocol"):
        channel.read_head()


@pytest.mark.parametrize("framing", ["length", "one chunk", "chunks", "close"])
@both_ways
def test_bodies_larger_than_the_buffer_come_in_order(connect, beside, framing):
    """In pieces of a buffer at most."""
    channel, theirs = connect()
    step = {"one chunk": len(LARGE), "chunks": 70_001}.get(framing, 0)

    def answer():
        if framing == "length":
            theirs.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE)
        elif framing == "close":
            theirs.sendall(OK + b"\r\n" + LARGE)
        else:
            pieces = [LARGE[start : start + step] for start in range(0, len(LARGE), step)]
            chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
            theirs.sendall(CHUNKED + b"".join(chunks) + b"0\r\n\r\n")
        theirs.shutdown(socket.SHUT_WR)

    beside(answer)

    status, body = reply_of(channel)
    assert (200, True) == (status, body == LARGE)
    assert (framing != "close") == channel.is_clean()


@both_ways
def test_no_more_is_taken_than_was_asked_for(connect):
    """And what is left is there the next time."""
    channel, theirs = connect()
    theirs.sendall(OK + b"Content-Length: 10\r\n\r\n0123456789")
    channel.read_head()

    taken = [bytes(channel.take(4)) for _ in range(4)]

    assert [b"0123", b"4567", b"89", b""] == taken


@both_ways
def test_a_reply_of_which_bytes_are_left_is_not_clean(connect):
    """Neither where the body was not read, nor where more came than it was to have."""
    channel, theirs = connect()
    theirs.sendall(OK + b"Content-Length: 4\r\n\r\nbodyHTTP/1.1 200 unasked\r\n")
    channel.read_head()

    before = channel.is_clean()
    body = body_of(channel)

    assert (b"body", False, False) == (body, before, channel.is_clean())


@both_ways
def test_a_server_that_closes_is_not_asked_again(connect):
    """It said so, or speaks HTTP/1.0."""
    for reply in (
        OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ):
        channel, theirs = connect()
        theirs.sendall(reply)

        assert (200, b"") == reply_of(channel)
        assert not channel.is_clean()


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        (b"", "before it answered"),
        (OK[:9], "before it answered"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "before it answered"),
        (OK + b"Content-Length: 9\r\n\r\n", "with 9 B more expected"),
        (OK + b"Content-Length: 9\r\n\r\n12", "with 7 B more expected"),
        (CHUNKED, "between chunks"),
        (CHUNKED + b"5", "between chunks"),
        (CHUNKED + b"a\r\n12", "with 8 B more expected"),
        (CHUNKED + b"2\r\n12", "behind a chunk"),
        (CHUNKED + b"2\r\n12\r\n", "between chunks"),
        (CHUNKED + b"0\r\n", "before the trailers end"),
        (CHUNKED + b"0\r\nTrailer: 1\r\n", "before the trailers end"),
    ],
)
@both_ways
def test_a_reply_that_is_cut_short_says_what_was_missing(connect, sent, missing):
    """The end of the connection is the end of a body only where nothing else frames it."""
    channel, theirs = connect()
    theirs.sendall(sent)
    theirs.close()

    with pytest.raises(ClosedEarlyError) as caught:
        reply_of(channel)

    assert f"closed by the other side {missing}" == caught.value.strerror


@both_ways
def test_a_large_body_that_is_cut_short_says_how_much_was_missing(connect, beside):
    """Of all of it, whatever has been taken before."""
    channel, theirs = connect()

    def answer():
        theirs.sendall(OK + b"Content-Length: %d\r\n\r\n" % (len(LARGE) + 77) + LARGE)
        theirs.close()

    beside(answer)

    with pytest.raises(ClosedEarlyError, match="with 77 B more expected"):
        reply_of(channel)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (CHUNKED + b"2\r\n123\r\n0\r\n\r\n", "more than 0 B behind a chunk"),
        (CHUNKED + b"2\r\n1\r\n0\r\n\r\n", "more than 0 B behind a chunk"),
        (CHUNKED + b"2\n12\n0\n\n" + b"\r\n", "a chunk that begins"),
        (CHUNKED + b"-1\r\n", "a chunk that begins"),
        (CHUNKED + b"\r\n", "a chunk that begins"),
        (CHUNKED + b"1;" + b"x" * 5000, "more than 4096 B between chunks"),
        (CHUNKED + b"1;" + b"x" * 5000 + b"\r\n", "more than 4096 B between chunks"),
        (CHUNKED + b"0\r\n" + b"x" * 5000, "more than 4096 B before the trailers end"),
        (CHUNKED + b"0\r\n" + b"x" * 5000 + b"\r\n", "more than 4096 B before the trailers end"),
        (OK + b"x" * MAX_HEAD_BYTES, f"more than {MAX_HEAD_BYTES} B before it answered"),
        (OK + b"A: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", "before it answered"),
        (b"220 ready\r\n\r\n", "first line"),
    ],
)
@pytest.mark.parametrize("most", [BUFFER_BYTES, 1000])
@both_ways
def test_what_is_no_http_is_refused_however_it_comes(connect, sent, why, most):
    """Bounds hold also for what comes all at once."""
    channel, theirs = connect()
    channel.sock.amounts = [most] * 100
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    theirs.sendall(sent)

    with pytest.raises(BrokenReplyError, match=why):
        reply_of(channel)


@both_ways
def test_a_head_of_the_largest_size_is_read(connect):
    """The bound is of the bytes before the empty line."""
    channel, theirs = connect()
    head = OK + b"Content-Length: 1\r\nA: "
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    theirs.sendall(head + b"x" * (MAX_HEAD_BYTES - len(head)) + b"\r\n\r\n!")

    assert (200, b"!") == reply_of(channel)


chunk_lists = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
framings = st.sampled_from(["length", "chunks", "close", "cut", "garbled"])


def rendered(pieces, framing):
    """The bytes of a reply."""
    body = b"".join(pieces)
    if framing == "close":
        return OK + b"ETag: x\r\n\r\n" + body
    if framing in ("length", "cut"):
        reply = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return reply[:-1] if framing == "cut" else reply
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    reply = CHUNKED + chunks + b"0\r\nT: 1\r\n\r\n"
    return reply.replace(b"\r\n", b"\n\r", 2) if framing == "garbled" else reply


@BOTH
@given(chunk_lists, framings, st.lists(st.integers(1, 30), max_size=60))
@settings(deadline=None, max_examples=60)
def test_a_reply_is_the_same_however_it_is_split(where, pieces, framing, amounts):
    """Over one read or many: the same body, or the same kind of failure."""

    def read(split):
        left, right = socket.socketpair()
        with right, Choosy(fileno=left.detach()) as ours:
            loop = running()
            if loop is not None:
                ours.settimeout(0)
                loop.watch(ours.fileno())
            ours.amounts = split
            right.sendall(rendered(pieces, framing))
            right.shutdown(socket.SHUT_WR)
            channel = Channel(ours, loop, 20.0)
            try:
                return (*reply_of(channel), channel.is_clean())
            except (ClosedEarlyError, BrokenReplyError) as error:
                return type(error)

    expected = (200, b"".join(pieces), framing != "close")
    if framing in ("cut", "garbled"):
        expected = ClosedEarlyError if framing == "cut" else BrokenReplyError

    assert expected == where(lambda: read([])) == where(lambda: read(list(amounts)))


@both_ways
def test_an_idle_connection_is_fresh_until_the_other_side_moves(connect):
    """Closed, reset, or with a word nobody asked for, it is of no use any more."""
    for is_stale, move in (
        (False, lambda _theirs: None),
        (True, lambda theirs: theirs.close()),
        (True, lambda theirs: theirs.shutdown(socket.SHUT_WR)),
        (True, lambda theirs: theirs.sendall(b"H")),
    ):
        channel, theirs = connect()
        theirs.sendall(OK + b"Content-Length: 2\r\n\r\nok")
        reply_of(channel)
        pause(0.01)
        assert not channel.is_stale()

        move(theirs)
        pause(0.01)  # a fiber learns of it from its loop

        assert is_stale == channel.is_stale()


@both_ways
def test_an_idle_connection_that_was_reset_is_stale(connect):
    """As servers do that have restarted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    loop = running()
    if loop is not None:
        ours.settimeout(0)
        loop.watch(ours.fileno())
    with ours:
        channel = Channel(ours, loop, 5.0)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        pause(0.01)

        assert channel.is_stale()
        with pytest.raises(ConnectionError):
            channel.send(b"request", None)


@pytest.mark.parametrize(
    "sent", [b"", OK, OK + b"Content-Length: 5\r\n\r\n123", CHUNKED, CHUNKED + b"5\r\n1"]
)
@both_ways
def test_a_server_that_falls_silent_times_out(connect, sent):
    """Wherever it stops."""
    channel, theirs = connect(timeout_s=0.05)
    theirs.sendall(sent)

    with pytest.raises(TimeoutError):
        reply_of(channel)

    assert bool(sent) == channel.heard


@both_ways
def test_a_server_that_takes_nothing_times_out(connect):
    """A request larger than what the system keeps for it."""
    channel, _theirs = connect(timeout_s=0.05)

    with pytest.raises(TimeoutError):
        channel.send(b"head", LARGE)


@both_ways
def test_a_server_that_is_slow_is_waited_for_anew_with_every_byte(connect, beside):
    """The limit is of silence, not of the whole."""
    channel, theirs = connect(timeout_s=1.0)

    def answer():
        theirs.sendall(OK + b"Content-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.15)
            theirs.sendall(b"x")

    beside(answer)

    assert (200, b"x" * 8) == reply_of(channel)


@both_ways
def test_another_thread_can_break_off_a_wait(connect, beside):
    """It ends as if the other side had closed the connection."""
    channel, _theirs = connect()

    def break_off():
        time.sleep(0.05)
        channel.break_off()

    beside(break_off)

    with pytest.raises(ClosedEarlyError, match="before it answered"):
        channel.read_head()
    channel.close()
    channel.close()
    channel.break_off()
    assert not channel.is_clean()


class Ranged:
    """A RangeSource over bytes."""

    def __init__(self, content):
        self._content = content
        self._at = 0

    @property
    def len(self):
        return len(self._content)

    def rewind(self):
        self._at = 0

    def read_into(self, view):
        view[:] = self._content[self._at : self._at + len(view)]
        self._at += len(view)


class Sized:
    """A SizedFile over bytes, which says how much it will be."""

    def __init__(self, content, length=None):
        self._file = io.BytesIO(content)
        self.len = len(content) if length is None else length

    def read(self, amt):
        return self._file.read(min(amt, 100_000))


def mapped(content):
    anonymous = mmap.mmap(-1, len(content))
    anonymous.write(content)
    return anonymous


SMALL = b"0123456789abcdef"


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "make",
    [
        bytes, bytearray, memoryview, lambda some: array.array("I", some), mapped, Sized, Ranged,
    ],
    ids=["bytes", "bytearray", "memoryview", "array", "mmap", "file", "range"],
)  # fmt: skip
@both_ways
def test_every_kind_of_body_arrives_whole(connect, beside, make, content):
    """Behind its head, byte by byte."""
    channel, theirs = connect()
    received = []
    beside(lambda: received.append(all_from(theirs)))
    body = make(content)

    channel.send(b"head", memoryview(body) if isinstance(body, array.array) else body)
    channel.break_off()
    while not received:
        pause(0.002)

    assert received == [b"head" + content]


@both_ways
def test_empty_bodies_are_nothing(connect):
    """Neither bytes nor chunks."""
    channel, theirs = connect()

    for body in (None, b"", bytearray(), memoryview(b""), Sized(b""), Ranged(b"")):
        channel.send(b"head;", body)

    assert b"head;" * 6 == theirs.recv(1000)


@both_ways
def test_what_is_iterated_is_sent_in_chunks(connect):
    """An empty piece is left out: it would end the body."""
    channel, theirs = connect()

    channel.send(b"head;", iter([b"0123456789", b"", b"ab"]))

    assert b"head;a\r\n0123456789\r\n2\r\nab\r\n0\r\n\r\n" == theirs.recv(1000)


@both_ways
def test_a_file_that_ends_early_is_a_changed_source(connect):
    """The server is not left to wait for the rest."""
    channel, _theirs = connect()

    with pytest.raises(SourceChangedError, match="ended 4 of 20 bytes early"):
        channel.send(b"head", Sized(SMALL, length=20))


@both_ways
def test_whether_anything_was_heard_is_of_the_current_request(connect):
    """Only a request that nobody answered may be sent again without a thought."""
    channel, theirs = connect()
    theirs.sendall(OK + b"Content-Length: 0\r\n\r\n")
    channel.send(b"one", None)
    reply_of(channel)
    first = channel.heard

    channel.send(b"two", None)

    assert (True, False) == (first, channel.heard)


def test_fibers_of_one_thread_wait_side_by_side(connect, beside):
    """Twenty slow replies take as long as one."""
    bodies, barrier = [], threading.Barrier(20)
    loop = Loop(between=lambda: REST_S)

    def one():
        channel, theirs = connect()

        def answer():
            barrier.wait(20)  # until all are waited for
            theirs.sendall(OK + b"Content-Length: 2\r\n\r\nok")

        beside(answer)
        bodies.append(reply_of(channel))

    for _ in range(20):
        loop.spawn(one)
    loop.run(goes_on=lambda: False)
    loop.close()

    assert [(200, b"ok")] * 20 == bodies
