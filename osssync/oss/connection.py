"""Everything one process shares when it talks to OSS: identity, clock, endpoint, connections."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from msgspec import Struct

from osssync.config import CredentialSettings, CredentialSource, OssSettings
from osssync.credentials.metadata import MetadataService
from osssync.credentials.provider import RefreshingCredentialsProvider
from osssync.credentials.sources import open_provider
from osssync.errors import (
    ClockSkewedError,
    CredentialsError,
    CredentialsRefusedError,
    OsssyncError,
)
from osssync.oss.bucket import Bucket, Service
from osssync.oss.client import Client
from osssync.oss.endpoint import Endpoint, resolve
from osssync.oss.errand import Errand
from osssync.oss.request import Route
from osssync.oss.session import PooledSession
from osssync.oss.signature import ClockOffset
from osssync.retry import Retry, RetryPolicy, sleep_through
from osssync.throttle import Pace, Slot

T = TypeVar("T")

LARGE_SKEW_S = 60.0
"""A clock that is further off than this is worth a word; OSS itself tolerates 15 minutes."""


class Patience(Struct, frozen=True):
    """How often a call is repeated, and what waits between; ``wait`` is True when it is to stop."""

    retries: int = 9
    wait: Callable[[float], bool] = sleep_through


class Connection:
    """An identity at an endpoint. Threads may share it; every process opens its own.

    Args:
        credentials: where the identity comes from.
        settings: how OSS is reached.
        pool_size: requests in flight at once; fewer while OSS asks to slow down.
        warn: hears what the user should know, such as a wrong clock; in any thread.
        patience: of calls that bring none of their own, listings among them.

    Raises:
        UsageError: endpoint or region cannot be, or are missing.
        CredentialsError: the source of credentials cannot be used at all.
    """

    def __init__(
        self,
        credentials: CredentialSettings,
        settings: OssSettings,
        pool_size: int,
        warn: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self._warn = warn
        self._patience = patience or Patience()
        self.provider: RefreshingCredentialsProvider = open_provider(credentials)
        self.endpoint: Endpoint = resolve(settings, lambda: _region(credentials))
        self.clock_offset = ClockOffset()
        self.pace = Pace(pool_size)
        self._warning = threading.Lock()
        self._told_offsets_s: list[float] = []  # each is told of once, however often it comes back
        self._closed = False
        self._session = PooledSession(settings, pool_size)
        self._route = Route(
            settings, self.endpoint, self.provider, self._session, self.clock_offset
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._session.close()

    @property
    def nearest_s(self) -> float:
        """How long the quickest answer took so far; infinite before the first one."""
        return self._session.nearest_s

    def bucket(self, name: str) -> Bucket:
        """The verbs of one bucket. No request is made."""
        return Bucket(Client(self._route, name))

    def service(self) -> Service:
        """The verbs above buckets. No request is made."""
        return Service(Client(self._route, ""))

    def retry(
        self, retries: int | None = None, wait: Callable[[float], bool] | None = None
    ) -> Retry:
        """A retry loop for one call, to be given to ``repeat``; None: as this connection has it."""
        patience = self._patience
        policy = RetryPolicy(retries=patience.retries if retries is None else retries)
        return Retry(policy, wait=wait or self._wait)

    def stopped(self) -> bool:
        """Whether the patience of this connection has been told to stop."""
        return self._patience.wait(0.0)

    def send(self, call: Callable[[], T], retries: int | None = None) -> Errand[T]:
        """``repeat`` a call in a thread of its own, for those who must hear a stop meanwhile.

        Raises:
            InterruptedRunError: it is too late to begin.
        """
        return Errand(lambda: self.repeat(self.retry(retries), call), self.stopped)

    def repeat(self, retry: Retry, call: Callable[[], T]) -> T:
        """Call until it succeeds, with fresh credentials and a corrected clock where they help.

        Each attempt waits for its place in ``pace``, and no place is held between attempts. So
        ``call`` must not come back here.

        Raises:
            OsssyncError: the last error.
        """
        return self.go_on(retry, call, self.pace.slot(), None)

    def go_on(
        self, retry: Retry, call: Callable[[], T], slot: Slot, failed: OsssyncError | None
    ) -> T:
        """``repeat`` for a call whose first attempt was made already.

        Args:
            retry: the loop.
            call: makes another attempt.
            slot: where the first one had its place, which it has given back.
            failed: how it ended; None if there was none.

        Raises:
            OsssyncError: the last error.
        """

        def attempt(number: int) -> T:
            if number == 1 and failed is not None:
                raise failed
            with slot:
                return call()

        return retry.run(
            attempt,
            on_refused=self._refresh,
            on_skew=self._adjust,
            on_throttle=slot.throttled,
            since_s=None if failed is None else slot.began_s,
        )

    def _wait(self, delay_s: float) -> bool:
        return self._patience.wait(delay_s) or self._closed  # then nobody waits for the answer

    def _refresh(self, error: CredentialsRefusedError) -> bool:
        """Drop the refused set; another thread having dropped it already is as good."""
        self.provider.invalidate(error.access_key_id)
        return True

    def _adjust(self, error: ClockSkewedError) -> None:
        if not error.server_time_s:
            raise error
        offset_s = self.clock_offset.learn(error.server_time_s)
        with self._warning:  # of all threads that learn of the same change, one says so
            known_s = self._told_offsets_s or [0.0]
            if any(abs(offset_s - one_s) < LARGE_SKEW_S for one_s in known_s):
                return
            self._told_offsets_s.append(offset_s)
        self._warn(_about_clock(offset_s))


def _about_clock(offset_s: float) -> str:
    if abs(offset_s) < LARGE_SKEW_S:
        return (
            "this machine's clock agrees with OSS's now: one of them was set while the run went on"
        )
    side = "behind" if offset_s > 0 else "ahead of"
    return (
        f"this machine's clock is {abs(offset_s):.0f} s {side} OSS's; signing with the "
        "service's time. Set the clock (chrony, NTP)"
    )


def _region(credentials: CredentialSettings) -> str:
    if credentials.source is not CredentialSource.INSTANCE_ROLE:
        raise CredentialsError(
            "no region: only the instance-role source knows its own; give --region or --endpoint"
        )
    service = MetadataService(
        proxy=credentials.metadata_proxy, imds_v2_only=credentials.imds_v2_only
    )
    return service.get("region-id")
