"""The one door to alibabacloud-credentials: loaded late, kept silent, asked once and let go.

Its providers cache, log tracebacks, start threads and hand out expired sets. So none of them lives
longer than one fetch here: an empty cache makes the fetch genuinely fresh, and what comes back is
copied into a ``Snapshot``.

Its exceptions never leave, nor do their tracebacks or texts: frames hold half-read answers, texts
quote whole answers (``uri.py``), OIDC tokens and signed URLs (``oidc.py``, ``ram_role_arn.py``).
"""

import functools
import importlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from osssync.credentials.document import usable
from osssync.credentials.exchange import Question, Route, Trace, ask
from osssync.credentials.locks import ForkSafeLock
from osssync.credentials.provider import Snapshot
from osssync.errors import CredentialsError
from osssync.veiled import Veiled

_LOUD_LOGGERS = ("credentials", "alibabacloud-tea")
_WAIT_S = 30.0  # longer than any single fetch of the package
# Every kind of exception that its parsing, its transport and its constructors were seen to raise,
# beside its own CredentialException and RetryError.
_STRAY = (ValueError, TypeError, AttributeError, KeyError, IndexError, OSError, RecursionError)

# Tea keeps its HTTP sessions in a class attribute, so one fetch at a time may borrow it.
_flight = ForkSafeLock()


class SdkCredentials(Protocol):
    """What the package's providers return. Any field may be None."""

    def get_access_key_id(self) -> str | None:
        """The id."""
        ...

    def get_access_key_secret(self) -> str | None:
        """The secret."""
        ...

    def get_security_token(self) -> str | None:
        """The STS token."""
        ...

    def get_expiration(self) -> int | None:
        """Epoch seconds."""
        ...


class SdkProvider(Protocol):
    """Any of the package's providers."""

    def get_credentials(self) -> SdkCredentials:
        """Fetch, or read the cache."""
        ...


class _SdkReply(Veiled, frozen=True):
    """The part of ``requests.Response`` that ``Tea.core.TeaCore.do_action`` reads."""

    status_code: int
    reason: str
    headers: dict[str, str]
    content: bytes


class DirectSession:
    """Takes the place of the ``requests.Session`` that Tea would use for one host.

    ``TeaCore.do_action`` passes the proxies of the environment explicitly and cannot be told not
    to; what it calls is ``session.send(prepared, …)`` and nothing else. Here that goes over
    ``exchange`` and every proxy and redirect is left out.

    Source: Tea/core.py ``_get_session``, ``do_action`` (alibabacloud-tea 0.4.3).
    """

    def __init__(self, origin: str, route: Route) -> None:
        """``origin`` is Tea's name of the session: ``scheme://host:port``."""
        self.origin = origin
        self.traces: list[Trace] = []
        self._route = route

    def send(self, request: Any, **_: object) -> _SdkReply:  # noqa: ANN401 - a PreparedRequest
        """One exchange; Tea's own proxies, timeouts and TLS settings are replaced by the route's.

        Raises:
            OSError: no usable reply; Tea wraps it.
        """
        headers = {str(name): str(value) for name, value in request.headers.items()}
        trace = ask(Question(str(request.method), str(request.url), headers), self._route)
        self.traces.append(trace)
        if trace.reply is None:
            raise trace.failure or OSError("no reply")
        reply = trace.reply
        return _SdkReply(reply.status, reply.reason, dict(reply.headers), reply.body)


@functools.cache
def load() -> tuple[type[Exception], ...]:
    """Import the package, silence it, and return the kinds of exceptions it raises.

    Importing it adds six handlers that would print every failed fetch several times.
    """
    importlib.import_module("alibabacloud_credentials.provider")  # all of them: oauth adds one more
    for name in _LOUD_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.addHandler(logging.NullHandler())  # or logging.lastResort would print
        logger.propagate = False
        logger.disabled = True  # its records hold tracebacks and whole answers: make none at all
    exceptions = importlib.import_module("alibabacloud_credentials.exceptions")
    tea = importlib.import_module("Tea.exceptions")
    return (exceptions.CredentialException, tea.RetryError, tea.TeaException, *_STRAY)


def fetch(
    build: Callable[[], SdkProvider],
    identity: str,
    explain: Callable[[Exception], CredentialsError],
    session: DirectSession | None = None,
    clock: Callable[[], float] = time.time,
) -> Snapshot:
    """One fresh fetch by a provider made for this one call. With a session, only through it.

    ``build`` must import the provider's class itself, so that nothing is loaded before ``load``.

    Raises:
        CredentialsError: what ``explain`` says, an incomplete set, or a package so new that it
            went round our session.
    """
    problem: CredentialsError | None = None
    found: Snapshot | None = None
    with _flight.entered(_WAIT_S) as entered:
        if not entered:
            raise CredentialsError(f"another fetch of credentials hangs since {_WAIT_S:g} s")
        failures = load()
        try:
            with _borrowed_sessions(session):
                found = _snapshot(build().get_credentials(), identity, clock())
        except CredentialsError as error:
            problem = error
        except failures as error:
            problem = explain(error)
    if found is not None and session is not None and not session.traces:
        problem = CredentialsError(
            "the installed alibabacloud-credentials or alibabacloud-tea no longer lets osssync "
            "keep its requests off the proxies of the environment; its answer was thrown away: "
            "install the versions osssync was released with"
        )
    # Raised out here, the error carries no traceback or context of the package (see above).
    if problem is not None or found is None:
        raise problem or CredentialsError(f"{identity}: no credentials came back")
    return found


@contextmanager
def _borrowed_sessions(session: DirectSession | None) -> Iterator[None]:
    """Put ours in place for one fetch; close and forget the ones the fetch has opened.

    A session that stayed would keep idle connections, which a forked child would share.
    """
    sessions: dict[str, Any]
    sessions = importlib.import_module("Tea.core").TeaCore._sessions  # noqa: SLF001 - no other seam
    before = dict(sessions)
    if session is not None:
        sessions[session.origin] = session
    try:
        yield
    finally:
        for origin in list(sessions):
            kept = before.get(origin)
            opened = sessions.pop(origin) if kept is not sessions[origin] else None
            if kept is not None and not isinstance(kept, DirectSession):  # one lost in a fork
                sessions[origin] = kept
            if opened is not None and opened is not session:
                opened.close()


def _snapshot(credentials: SdkCredentials, identity: str, now_s: float) -> Snapshot:
    expiration = credentials.get_expiration()
    if expiration is None:
        raise CredentialsError(f"{identity}: the answer does not say when it expires")
    return Snapshot(
        access_key_id=usable(credentials.get_access_key_id(), "AccessKeyId", identity),
        access_key_secret=usable(credentials.get_access_key_secret(), "AccessKeySecret", identity),
        security_token=usable(credentials.get_security_token(), "SecurityToken", identity),
        expires_at_s=float(expiration),
        fetched_at_s=now_s,
        identity=identity,
    )
