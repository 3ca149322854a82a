"""Messages between processes: whole ones, in order, and the end."""

import threading

import pytest

from osssync.engines.pipe import Pipe


@pytest.fixture
def ends():
    """Both ends of one."""
    ours, theirs = Pipe.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("size", [0, 1, 7, 1 << 10, 5 << 20])
def test_messages_arrive_whole_and_in_order_both_ways(ends, size):
    """Also those that are larger than what the system holds on the way."""
    for one, other in (ends, ends[::-1]):
        sent = [bytes([number]) * size for number in range(3)]
        sender = threading.Thread(target=lambda one=one, sent=sent: [*map(one.send_bytes, sent)])
        sender.start()

        assert sent == [other.recv_bytes() for _ in sent]
        sender.join()


def test_the_end_is_told_apart_from_a_message(ends):
    """An empty message is one; what was sent before the end is still there."""
    ours, theirs = ends
    theirs.send_bytes(b"")
    theirs.close()

    assert b"" == ours.recv_bytes()
    with pytest.raises(EOFError):
        ours.recv_bytes()
    with pytest.raises(OSError, match="pipe"):
        ours.send_bytes(b"to nobody")


def test_a_message_that_breaks_off_is_none(ends):
    """Its sender was killed in the middle."""
    ours, theirs = ends
    theirs._stream.sendall((9).to_bytes(8, "little") + b"half")
    theirs.close()

    with pytest.raises(EOFError):
        ours.recv_bytes()
