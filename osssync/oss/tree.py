"""All keys below a prefix as one sorted stream of entries, read ahead."""

from collections.abc import Iterator

from msgspec.structs import replace

from osssync.errors import NotFoundError
from osssync.model import Entry, EntryKind
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.oss.errand import Errand
from osssync.oss.listing import SYMLINK, Page
from osssync.oss.stretches import Query, Stretches

SHARE = 4
"""One listing takes at most one of so many of the requests that may be under way."""


def list_tree(connection: Connection, bucket: Bucket, prefix: str) -> Iterator[Entry]:
    """Entries below ``prefix`` in key order, keys relative to it.

    One request per 1,000 keys, and a few more where answers are slow and several are awaited at
    once (``stretches``). Memory holds two pages while they are fast, some thirty otherwise. The
    marker object of the prefix itself (key == prefix) is left out.

    Raises:
        InterruptedRunError: the connection's patience was told to stop.
        OsssyncError: the listing could not be read to its end.
    """

    def ask(query: Query) -> Errand[Page]:
        return connection.send(
            lambda: bucket.list_page(
                query.prefix,
                delimiter=query.delimiter,
                token=query.token,
                start_after=query.start_after,
            )
        )

    def most() -> int:
        return connection.pace.limit // SHARE

    cut = len(prefix)
    for page in Stretches(ask, prefix, most).pages():
        for listed in page:
            entry = listed
            if listed.note == SYMLINK:
                entry = _target_of(connection, bucket, listed)
            if not cut:
                yield entry
            elif len(entry.key) > cut:
                yield _relative(entry, cut)


def _relative(entry: Entry, cut: int) -> Entry:
    """The entry without the first characters of its key; ``replace`` takes four times as long."""
    return Entry(
        entry.key[cut:], entry.size, entry.mtime_ns, entry.kind,
        entry.etag, entry.storage_class, entry.note,
    )  # fmt: skip


def _target_of(connection: Connection, bucket: Bucket, link: Entry) -> Entry:
    """A symlink object as reading it would show it: its listing gives the link's own size."""
    try:
        meta = connection.send(lambda: bucket.head(link.key)).result()
    except NotFoundError:
        return replace(link, kind=EntryKind.UNUSABLE, note="a symlink object to nothing")
    return replace(link, size=meta.size, etag=meta.etag, mtime_ns=meta.last_modified_ns, note="")
