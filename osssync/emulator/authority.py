"""Who may sign: the owner's static credentials and the role's rotating sets, with their ends.

A role's sets overlap as they do in ECS: a new one is handed out while the old one is still valid,
and a rotation never ends the old one. Only ``revoke`` does.
"""

import base64
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from osssync.emulator.policy import EMPTY_CONTEXT, Policy
from osssync.emulator.settings import Settings

RENEW_BELOW = 0.2  # of the lifetime left: ECS too renews well before the end
REMEMBERED_SETS = 4096  # beyond this the oldest is forgotten, and its key is unknown to OSS
ACCOUNT_ID = "1234567890123456"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a request, once its signature is believed, and what a policy lets it do.

    ``policy`` is None for identities without restrictions.
    """

    access_key_id: str
    name: str
    is_owner: bool = False
    is_anonymous: bool = False
    policy: Policy | None = None

    def allows(
        self, action: str, resource: str, context: Mapping[str, str] = EMPTY_CONTEXT
    ) -> bool:
        """Whether the identity's own policy allows it; bucket policies and ACLs come on top.

        Args:
            action: such as ``oss:GetObject``.
            resource: such as ``acs:oss:*:*:bucket/key``.
            context: condition keys and their values, such as ``oss:Prefix`` or ``acs:SourceIp``.
        """
        if self.is_anonymous:
            return False
        if self.is_owner or self.policy is None:
            return True
        return self.policy.allows(action, resource, context)

    def forbids(
        self, action: str, resource: str, context: Mapping[str, str] = EMPTY_CONTEXT
    ) -> bool:
        """Whether the identity's own policy denies it explicitly, which no ACL can undo."""
        if self.is_owner or self.policy is None:
            return False
        return self.policy.verdict(action, resource, context) is False


ANONYMOUS = Identity("", "anonymous", is_anonymous=True)


@dataclass(frozen=True, slots=True)
class CredentialSet:
    """One key pair with its token. ``expires_s`` is a whole second of the epoch, or infinity."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(repr=False)
    role: str  # empty for the owner's static credentials
    issued_s: float
    expires_s: float


class Authority:
    """Issues, remembers and ends credentials. Every method may be called from any thread."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lifetime_s = settings.lifetime_s
        self._policy = Policy.load(settings.policy) if settings.policy else None
        self._lock = threading.Lock()
        self._sets: dict[str, CredentialSet] = {}
        self._static = {
            one.access_key_id: CredentialSet(
                one.access_key_id, one.access_key_secret, one.security_token, "", 0.0, math.inf
            )
            for one in settings.credentials
        }
        self._role = settings.role
        self._current: CredentialSet | None = None
        self._rotations = 0
        self._issued = 0

    def __repr__(self) -> str:
        return f"Authority(role={self._role!r}, issued={self._issued}, rotations={self._rotations})"

    @property
    def role(self) -> str:
        """The attached role; empty when none is."""
        return self._role

    @property
    def rotations(self) -> int:
        """How many sets replaced an earlier one of the same attachment."""
        return self._rotations

    @property
    def issued(self) -> int:
        """How many role sets were issued in all."""
        return self._issued

    @property
    def latest(self) -> CredentialSet | None:
        """The set handed out last, without issuing one; None before the first and when detached."""
        return self._current

    def current(self) -> CredentialSet | None:
        """The set the metadata service hands out now; None when no role is attached.

        A set with less than a fifth of its lifetime left is replaced by a new one first.
        """
        with self._lock:
            if not self._role:
                return None
            current = self._current
            if current is None:
                return self._issue()
            if current.expires_s - self._clock() < RENEW_BELOW * self._lifetime_s:
                self._rotations += 1
                return self._issue()
            return current

    def rotate(self) -> CredentialSet | None:
        """Issue a new set at once; the old one stays valid until its own end."""
        with self._lock:
            if not self._role:
                return None
            if self._current is not None:
                self._rotations += 1
            return self._issue()

    def revoke(self) -> int:
        """End every role set issued so far, now. Returns how many were still valid."""
        with self._lock:
            now_s = self._clock()
            valid = [one for one in self._sets.values() if one.expires_s > now_s]
            for one in valid:
                self._sets[one.access_key_id] = replace(one, expires_s=float(math.floor(now_s)))
            self._current = None
            return len(valid)

    def detach(self) -> None:
        """Take the role away: no set is handed out any more, those that are out stay valid."""
        with self._lock:
            self._role = ""
            self._current = None

    def attach(self, role: str) -> None:
        """Attach a role to the instance, in place of the one that may be attached.

        Raises:
            ValueError: an empty name.
        """
        if not role:
            raise ValueError("a role needs a name")
        with self._lock:
            if role != self._role:
                self._current = None
            self._role = role

    def switch(self, role: str) -> None:
        """Detach and attach: new sets belong to the new role, old ones to the old."""
        self.detach()
        self.attach(role)

    def find(self, access_key_id: str) -> CredentialSet | None:
        """The set of an access key id, expired or not; None if OSS never saw it."""
        return self._static.get(access_key_id) or self._sets.get(access_key_id)

    def knows_token(self, security_token: str) -> bool:
        """Whether some credential has this token."""
        with self._lock:
            sets = [*self._static.values(), *self._sets.values()]
        wanted = security_token.encode("utf-8", "surrogateescape")
        return any(
            secrets.compare_digest(one.security_token.encode(), wanted)
            for one in sets
            if one.security_token
        )

    def identity(self, credential: CredentialSet) -> Identity:
        """Who signs with a credential."""
        if not credential.role:
            return Identity(credential.access_key_id, ACCOUNT_ID, is_owner=True)
        name = f"{ACCOUNT_ID}:assumed-role/{credential.role}"
        return Identity(credential.access_key_id, name, policy=self._policy)

    def _issue(self) -> CredentialSet:
        """Make and remember a set. The lock is held.

        The end is rounded up to a whole second, so that the one announced is the one enforced
        and no set lives shorter than asked for.
        """
        now_s = self._clock()
        credential = CredentialSet(
            access_key_id=f"STS.{secrets.token_hex(12).upper()}",
            access_key_secret=secrets.token_urlsafe(33),
            security_token="CAIS" + base64.b64encode(secrets.token_bytes(96)).decode(),
            role=self._role,
            issued_s=now_s,
            expires_s=float(math.ceil(now_s + self._lifetime_s)),
        )
        self._sets[credential.access_key_id] = credential
        if len(self._sets) > REMEMBERED_SETS:
            self._sets.pop(next(iter(self._sets)))
        self._current = credential
        self._issued += 1
        return credential
