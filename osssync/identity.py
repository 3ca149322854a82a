"""Who we are, and who OSS thinks we are: what ``whoami`` shows. Names and times, no secrets."""

from collections.abc import Callable

from msgspec import Struct

from osssync.config import CredentialSource, Options
from osssync.credentials.metadata import MetadataService
from osssync.errors import OsssyncError
from osssync.oss.connection import Connection


class Whoami(Struct, frozen=True):
    """An identity. Empty strings are what could not be found out; ``notes`` say why."""

    source: str
    identity: str  # role or profile
    masked_access_key_id: str
    expires_at_s: float  # epoch; inf if never
    metadata_mode: str
    account: str
    instance: str
    region: str
    endpoint: str
    oss_owner: str  # the account that OSS answered for
    notes: tuple[str, ...]


def whoami(options: Options) -> Whoami:
    """Fetch credentials, ask the metadata service about this instance and OSS about the account.

    Raises:
        CredentialsError: no credentials.
        UsageError: no region or endpoint.
    """
    notes: list[str] = []
    with Connection(options.credentials, options.oss, 2, notes.append) as connection:
        snapshot = connection.provider.snapshot()
        account = instance = mode = ""
        if options.credentials.source is CredentialSource.INSTANCE_ROLE:
            service = MetadataService(
                proxy=options.credentials.metadata_proxy,
                imds_v2_only=options.credentials.imds_v2_only,
            )
            account = _ask(notes, "account", lambda: service.get("owner-account-id"))
            instance = _ask(notes, "instance", lambda: service.get("instance-id"))
            mode = "hardened (v2 only)" if options.credentials.imds_v2_only else "v2, v1 allowed"
        owner = _ask(notes, "OSS", lambda: _owner(connection))
        return Whoami(
            source=options.credentials.source.value,
            identity=snapshot.identity,
            masked_access_key_id=snapshot.masked_id,
            expires_at_s=snapshot.expires_at_s,
            metadata_mode=mode,
            account=account,
            instance=instance,
            region=connection.endpoint.region,
            endpoint=connection.endpoint.url,
            oss_owner=owner,
            notes=tuple(notes),
        )


def _owner(connection: Connection) -> str:
    service = connection.service()
    page = connection.repeat(connection.retry(2), lambda: service.list_buckets(limit=1))
    return page.buckets[0].owner_id if page.buckets else ""


def _ask(notes: list[str], what: str, question: Callable[[], str]) -> str:
    try:
        return question()
    except OsssyncError as error:
        notes.append(f"{what}: {error}")
        return ""
