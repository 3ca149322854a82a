"""All keys below a prefix as one sorted stream, read ahead."""

from collections.abc import Iterator
from itertools import chain

from msgspec.structs import replace

from osssync.columns import Columns
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
    """The entries of ``list_columns``, one by one."""
    return chain.from_iterable(list_columns(connection, bucket, prefix))


def list_columns(connection: Connection, bucket: Bucket, prefix: str) -> Iterator[Columns]:
    """Entries below ``prefix`` in key order, keys relative to it; about a page at a time.

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

    for page in Stretches(ask, prefix, most).pages():
        links = {
            index: _target_of(connection, bucket, entry)
            for index, entry in page.odd.items()
            if entry.note == SYMLINK
        }
        entries = page.but({**page.odd, **links}) if links else page
        if entries.keys[0] == prefix:
            entries = entries[1:]
        yield entries.below(len(prefix))


def _target_of(connection: Connection, bucket: Bucket, link: Entry) -> Entry:
    """A symlink object as reading it would show it: its listing gives the link's own size."""
    try:
        meta = connection.send(lambda: bucket.head(link.key)).result()
    except NotFoundError:
        return replace(link, kind=EntryKind.UNUSABLE, note="a symlink object to nothing")
    return replace(link, size=meta.size, etag=meta.etag, mtime_ns=meta.last_modified_ns, note="")
