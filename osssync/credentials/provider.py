"""One immutable set of credentials, read without a lock and replaced whole: what signs requests.

    get_credentials ─ still young ──────────────────────────────────▶ the set we hold
          ├─ valid, refresh due ─ one caller fetches, the others ────▶ the set we hold
          └─ expired, refused, none ─ one caller fetches, others wait ▶ the new set, or its error

Where sets come from is a ``Fetcher``'s business (``instance_role``, ``sources``); when to look is
``schedule``'s. There is no thread here: a fetch runs in the thread of the caller who needs it.
"""

import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn, Protocol

from msgspec import Struct
from msgspec.structs import replace

from osssync.credentials.locks import ForkSafeLock
from osssync.credentials.schedule import Pace
from osssync.errors import CredentialsError
from osssync.log import Log
from osssync.veiled import Veiled

_log = Log(__name__)

# No temporary credential lives for years. A source that says so has mixed up its units
# (milliseconds), and believing it would mean never to refresh again.
_ABSURD_LIFE_S = 10 * 365.25 * 86400


class Snapshot(Veiled, frozen=True):
    """One set of credentials as its source handed it out. Never changes, never leaves the process.

    Instants are epoch seconds. ``expires_at_s`` is ``math.inf`` for keys that never expire.
    ``identity`` is the role or profile, for people. The getters are what oss2 signs with.
    """

    access_key_id: str
    access_key_secret: str
    security_token: str  # empty for long-lived keys
    expires_at_s: float
    fetched_at_s: float
    identity: str

    def get_access_key_id(self) -> str:
        """The AccessKeyId; not a secret, but masked in output."""
        return self.access_key_id

    def get_access_key_secret(self) -> str:
        """The AccessKeySecret."""
        return self.access_key_secret

    def get_security_token(self) -> str:
        """The STS token; empty for a long-lived key."""
        return self.security_token

    @property
    def masked_id(self) -> str:
        """Enough of the access key id to tell two apart, for people and logs."""
        shown = self.access_key_id
        return f"{shown[:6]}…{shown[-4:]}" if len(shown) > 14 else f"{shown[:2]}…"

    def __repr__(self) -> str:
        return (
            f"Snapshot(identity={self.identity!r}, access_key_id={self.masked_id!r}, "
            f"expires={when(self.expires_at_s)})"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "credentials are not pickled: every process fetches its own (send CredentialSettings)"
        )

    def __copy__(self) -> NoReturn:
        self.__reduce__()


class Fetcher(Protocol):
    """A source of credentials."""

    def __call__(self) -> Snapshot:
        """One genuinely fresh fetch: nothing cached, no thread, nothing logged.

        Raises:
            CredentialsError: what was tried, what came back, what to do.
        """
        ...


class _Held(Struct, frozen=True):
    """A snapshot with all that the signing path needs, worked out once."""

    snapshot: Snapshot
    taken_at_s: float  # epoch
    taken_at_mono_s: float
    refresh_after_s: float  # age
    life_s: float  # age
    refused: bool = False


class _Failure(Struct, frozen=True):
    """The last failed fetch. Only its words are kept: a traceback would keep secrets alive."""

    message: str
    in_a_row: int
    retry_at_mono_s: float


class RefreshingCredentialsProvider:
    """The credentials provider for ``oss2.ProviderAuth`` and ``ProviderAuthV4``.

    oss2 only ever calls ``get_credentials()`` and checks no type, so this is not a subclass of
    ``oss2.CredentialsProvider``: importing it must not load oss2. One instance serves any number of
    threads; a forked child may go on with its copy.
    """

    def __init__(
        self,
        fetch: Fetcher,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._fetch = fetch
        self._pace = pace or Pace()
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._held: _Held | None = None
        self._failure: _Failure | None = None
        self._fetches = 0
        self._rotations = 0
        self._flight = ForkSafeLock()  # whoever is in it may fetch
        self._swap = ForkSafeLock()  # held for an instant around a change of _held

    def __repr__(self) -> str:
        held = self._held
        return f"{type(self).__name__}({held.snapshot if held else 'nothing fetched yet'!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credentials provider is not pickled: open one in every process")

    @property
    def rotations(self) -> int:
        """How often a set with another access key id replaced the one before."""
        return self._rotations

    @property
    def fetches(self) -> int:
        """How often the source was asked, failures included."""
        return self._fetches

    def get_credentials(self) -> Snapshot:
        """The set to sign with now, as oss2's own type; the same object until the next rotation.

        Raises:
            CredentialsError: there is no valid set and none could be fetched.
        """
        return self._current().snapshot

    def snapshot(self) -> Snapshot:
        """The set ``get_credentials`` would sign with now.

        Raises:
            CredentialsError: there is no valid set and none could be fetched.
        """
        return self._current().snapshot

    def invalidate(self, access_key_id: str) -> bool:
        """Drop the set with this id because OSS refused it; the next read fetches.

        False, and nothing happens, if another set is current by now: somebody was faster. A source
        that hands out the same id again is believed; giving up is the caller's decision.
        """
        with self._swap.entered():
            held = self._held
            if held is None or held.refused or held.snapshot.access_key_id != access_key_id:
                return False
            # Kept, though dead: its id tells a rotation from a repeat, its name explains errors.
            self._held = replace(held, refused=True, refresh_after_s=-math.inf, life_s=-math.inf)
            self._failure = None  # a backoff made while this set was good must not delay us now
        _log.info("credentials %s were refused: fetching new ones", held.snapshot.masked_id)
        return True

    def _current(self) -> _Held:
        held = self._held
        if held is None:
            return self._await_fetch()
        age_s = self._age_s(held)
        if age_s < held.refresh_after_s:
            return held  # the signing path: no lock, two clocks, one attribute
        if age_s < held.life_s:
            self._look_ahead()
            valid = self._valid()  # looked at again: a slow failure may have outlived the set
            if valid is not None:
                return valid
        return self._await_fetch()

    def _age_s(self, held: _Held) -> float:
        """The older of two opinions: a wall clock may be set back, a monotonic one may sleep."""
        return max(
            self._clock() - held.taken_at_s,
            self._monotonic() - held.taken_at_mono_s,
        )

    def _valid(self) -> _Held | None:
        held = self._held
        return held if held is not None and self._age_s(held) < held.life_s else None

    def _is_backing_off(self) -> bool:
        failure = self._failure
        return failure is not None and self._monotonic() < failure.retry_at_mono_s

    def _look_ahead(self) -> None:
        """Fetch while the old set is still valid, unless somebody is at it or it just failed."""
        with self._flight.entered(0) as entered:
            if not entered or self._is_backing_off():
                return
            held = self._held
            if held is not None and self._age_s(held) < held.refresh_after_s:
                return  # somebody finished between our look and our turn
            found = self._fetch_once()
        if isinstance(found, _Failure):
            _log.warning("credentials are still valid, but a refresh failed: %s", found.message)

    def _await_fetch(self) -> _Held:
        """Fetch, or wait for the caller who does and share what he gets, be it an error."""
        known = self._failure
        with self._flight.entered(self._pace.wait_s) as entered:
            if not entered:
                raise CredentialsError(
                    f"waited {self._pace.wait_s:g} s for another thread to fetch credentials "
                    "and gave up: the source of credentials hangs"
                )
            held = self._valid()
            if held is not None:
                return held
            failure = self._failure
            if failure is None or (failure is known and not self._is_backing_off()):
                found = self._fetch_once()
                if isinstance(found, _Held):
                    return found  # ours to use once, even if another caller has it refused by now
                failure = found
        raise CredentialsError(self._explain(failure))

    def _fetch_once(self) -> _Held | _Failure:
        """Ask the source and publish its answer, or remember its failure. Inside ``_flight``."""
        self._fetches += 1
        try:
            fresh = self._publish(self._fetch())
        except CredentialsError as error:
            held, before = self._valid(), self._failure
            in_a_row = before.in_a_row + 1 if before else 1
            left_s = held.life_s - self._age_s(held) if held else 0.0
            delay_s = self._pace.retry_after_s(in_a_row, left_s, self._jitter())
            failure = self._failure = _Failure(str(error), in_a_row, self._monotonic() + delay_s)
            return failure
        self._failure = None
        return fresh

    def _publish(self, snapshot: Snapshot) -> _Held:
        now_s = self._clock()
        life_s = _life_s(snapshot, now_s)
        with self._swap.entered():
            previous = self._held
            repeated = previous is not None and (
                previous.snapshot.access_key_id == snapshot.access_key_id
            )
            pace = self._pace.look_again_after_s if repeated else self._pace.refresh_after_s
            fresh = self._held = _Held(
                snapshot=snapshot,
                taken_at_s=now_s,
                taken_at_mono_s=self._monotonic(),
                refresh_after_s=pace(life_s, self._jitter()),
                life_s=life_s,
            )
            self._rotations += previous is not None and not repeated
        _log.debug("credentials %s of %s, valid until %s",
                   snapshot.masked_id, snapshot.identity, when(snapshot.expires_at_s))  # fmt: skip
        return fresh

    def _explain(self, failure: _Failure) -> str:
        why = failure.message
        held = self._held
        if held is None:
            return why
        of = f"credentials {held.snapshot.masked_id} of {held.snapshot.identity}"
        if held.refused:
            return f"OSS refused the {of}, and new ones could not be fetched: {why}"
        return (
            f"the {of} expired at {when(held.snapshot.expires_at_s)} "
            f"and could not be refreshed: {why}"
        )


def when(instant_s: float) -> str:
    """An instant (epoch seconds) for people: UTC, whole seconds; "never" for infinity."""
    if math.isinf(instant_s):
        return "never"
    try:
        return f"{datetime.fromtimestamp(instant_s, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):  # NaN, or beyond the calendar
        return repr(instant_s)


def _life_s(snapshot: Snapshot, now_s: float) -> float:
    """Seconds the snapshot has left, by our clock.

    Raises:
        CredentialsError: a field is missing, or the expiry cannot be meant.
    """
    who = snapshot.identity
    if not (snapshot.access_key_id and snapshot.access_key_secret):
        raise CredentialsError(f"{who}: the answer holds no access key id or no secret")
    life_s = snapshot.expires_at_s - now_s
    if life_s == math.inf:
        return life_s
    if not life_s <= _ABSURD_LIFE_S:  # written so that NaN is absurd, too
        raise CredentialsError(
            f"{who}: the answer says it expires at {snapshot.expires_at_s!r} (epoch seconds), more "
            "than ten years from now: that cannot be a temporary credential"
        )
    if life_s <= 0:
        raise CredentialsError(expired_message(who, snapshot.expires_at_s, now_s))
    return life_s


def expired_message(who: str, expires_at_s: float, now_s: float) -> str:
    """What to say about a set that was dead on arrival."""
    return (
        f"{who}: the credentials handed out expired at {when(expires_at_s)}, and this machine's "
        f"clock says {when(now_s)}: either the clock is ahead (compare `date -u`, check NTP), or "
        "the source serves an old set"
    )
