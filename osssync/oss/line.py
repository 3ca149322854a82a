"""A connection that is asked again and again, with nobody waiting there for the replies.

send ─▶ hear ─ NOTHING of use ─▶ hear again when more is there
          ├─── WHOLE ──────────▶ reply ─▶ is_ready ─▶ the next send
          └─── PART, or broken ▶ response, which waits for the rest, or says what broke
"""

from enum import Enum

from osssync.oss.channel import Channel
from osssync.oss.session import Pool, PooledResponse, PooledSession
from osssync.oss.wire import Head


class Heard(Enum):
    """How much of a reply is here."""

    NOTHING = "nothing of use"
    PART = "a part, or no more will come"
    WHOLE = "the whole of it"


class Line:
    """A connection of this thread's loop, lent by the session. One request at a time.

    Args:
        session: whose connection it is.
        channel: that connection, idle.
        pool: where it belongs.
    """

    __slots__ = (
        "_channel",
        "_failed",
        "_head",
        "_is_left",
        "_is_waiting",
        "_pool",
        "_session",
        "fd",
        "reply",
        "signed_with",
        "timeout_s",
    )

    def __init__(self, session: PooledSession, channel: Channel, pool: Pool) -> None:
        self._session = session
        self._channel = channel
        self._pool = pool
        self._head: Head | None = None
        self._failed: OSError | None = None
        self._is_waiting = False  # for a reply, none of which is here
        self._is_left = False
        self.fd = channel.fd
        """To be watched for what comes."""
        self.timeout_s = channel.timeout_s
        """For how long nothing may come."""
        self.signed_with = ""
        """The AccessKeyId of the last request's signature."""
        self.reply: tuple[Head, memoryview]
        """Head and body of a WHOLE reply; the body is valid until the next ``send``."""

    def send(
        self, method: str, target: str, lines: bytes, body: bytes | None, signed_with: str
    ) -> bool:
        """Send a request as ``PooledSession.request`` would; False if that could not be.

        Then the line is to be left.
        """
        channel = self._channel
        if channel.is_stale():
            return False
        self.signed_with = signed_with
        self._is_waiting = True
        try:
            channel.send(self._pool.head(method, target, lines, body), body)
        except OSError:
            return False
        return True

    def hear(self, *, in_time: bool) -> Heard:
        """Take what has come; waits for nothing.

        Args:
            in_time: False if nothing has come for ``timeout_s``.
        """
        try:
            if not in_time:
                raise TimeoutError("timed out")
            head = self._channel.hear()
        except OSError as error:
            self._failed = error
            self._session.drop(self._channel)
            return Heard.PART
        if head is None:
            return Heard.NOTHING
        self._is_waiting = False
        self._head = head
        body = self._channel.whole()
        if body is None:
            return Heard.PART
        self.reply = head, body
        return Heard.WHOLE

    @property
    def was_dead(self) -> bool:
        """Whether the other side had closed it before it was asked: ask somebody else."""
        return isinstance(self._failed, ConnectionError) and not self._channel.heard

    def is_ready(self) -> bool:
        """Pass over the body of a WHOLE reply; whether another request may follow."""
        return self._channel.pass_over()

    def response(self) -> PooledResponse:
        """The reply, to be read from its body's beginning; the line is left.

        Raises:
            OSError: there is none.
        """
        if self._failed is not None:
            raise self._failed
        if self._head is None:
            raise AssertionError("asked for a response before any of it was heard")
        self._is_left = True
        try:
            return PooledResponse(self._session, self._channel, self._head)
        except BaseException:
            self._session.drop(self._channel)
            raise

    def leave(self) -> None:
        """Give the connection back; one whose reply is still to come is closed. Idempotent."""
        if self._is_left:
            return
        self._is_left = True
        if self._is_waiting:
            self._session.drop(self._channel)
        else:
            self._session.put_back(self._channel)
