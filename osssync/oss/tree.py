"""All keys below a prefix as one sorted stream of entries, the next page fetched ahead."""

from collections.abc import Iterator
from dataclasses import replace

from osssync.errors import NotFoundError
from osssync.model import Entry, EntryKind
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.oss.errand import Errand
from osssync.oss.listing import SYMLINK, Page


def list_tree(connection: Connection, bucket: Bucket, prefix: str) -> Iterator[Entry]:
    """Entries below ``prefix`` in key order, keys relative to it; one request per 1,000 keys.

    While one page is consumed the next is on its way; memory holds two pages. The marker object
    of the prefix itself (key == prefix) is left out.

    Raises:
        InterruptedRunError: the connection's patience was told to stop.
        OsssyncError: the listing could not be read to its end.
    """

    def page_after(token: str) -> Errand[Page]:
        return connection.send(lambda: bucket.list_page(prefix, token=token))

    cut = len(prefix)
    following: Errand[Page] | None = page_after("")
    while following is not None:
        page = following.result()
        following = page_after(page.next_token) if page.next_token else None
        for listed in page.entries:
            is_link = listed.note == SYMLINK
            entry = _target_of(connection, bucket, listed) if is_link else listed
            if len(entry.key) > cut:
                yield replace(entry, key=entry.key[cut:]) if cut else entry


def _target_of(connection: Connection, bucket: Bucket, link: Entry) -> Entry:
    """A symlink object as reading it would show it: its listing gives the link's own size."""
    try:
        meta = connection.send(lambda: bucket.head(link.key)).result()
    except NotFoundError:
        return replace(link, kind=EntryKind.UNUSABLE, note="a symlink object to nothing")
    return replace(link, size=meta.size, etag=meta.etag, mtime_ns=meta.last_modified_ns, note="")
