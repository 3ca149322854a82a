"""A source of numbered sets, and a provider on it, both on a clock turned by hand."""

from osssync.credentials.provider import RefreshingCredentialsProvider, Snapshot
from osssync.errors import CredentialsError


class Source:
    """Hands out numbered sets; ``outage`` is the message of the next failures."""

    def __init__(self, clock, life_s=3600.0):
        self.clock = clock
        self.life_s = life_s
        self.number = 1
        self.rotates = True
        self.outage = ""
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.outage:
            raise CredentialsError(self.outage)
        found = Snapshot(
            access_key_id=f"STS.Set{self.number:04}ForTests",
            access_key_secret=f"secret-{self.number}",
            security_token=f"token-{self.number}",
            expires_at_s=self.clock() + self.life_s,
            fetched_at_s=self.clock(),
            identity="AppRole",
        )
        self.number += self.rotates
        return found


def open_on(source, clock):
    return RefreshingCredentialsProvider(source, clock=clock, monotonic=clock, jitter=lambda: 0.0)
