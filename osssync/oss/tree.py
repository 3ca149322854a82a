"""All keys below a prefix as one sorted stream of entries, the next page fetched ahead."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from osssync.errors import NotFoundError
from osssync.model import Entry, EntryKind
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.oss.listing import SYMLINK, Page


def list_tree(connection: Connection, bucket: Bucket, prefix: str) -> Iterator[Entry]:
    """Entries below ``prefix`` in key order, keys relative to it; one request per 1,000 keys.

    While one page is consumed the next is on its way; memory holds two pages. The marker object
    of the prefix itself (key == prefix) is left out.

    Raises:
        OsssyncError: the listing could not be read to its end.
    """

    def page_after(token: str) -> Page:
        retry = connection.retry()
        return connection.repeat(retry, lambda: bucket.list_page(prefix, token=token))

    cut = len(prefix)
    with ThreadPoolExecutor(1, thread_name_prefix="osssync-listing") as ahead:
        page = page_after("")
        while True:
            following = ahead.submit(page_after, page.next_token) if page.next_token else None
            for listed in page.entries:
                is_link = listed.note == SYMLINK
                entry = _target_of(connection, bucket, listed) if is_link else listed
                if len(entry.key) > cut:
                    yield replace(entry, key=entry.key[cut:]) if cut else entry
            if following is None:
                return
            page = following.result()


def _target_of(connection: Connection, bucket: Bucket, link: Entry) -> Entry:
    """A symlink object as reading it would show it: its listing gives the link's own size."""
    retry = connection.retry()
    try:
        meta = connection.repeat(retry, lambda: bucket.head(link.key))
    except NotFoundError:
        return replace(link, kind=EntryKind.UNUSABLE, note="a symlink object to nothing")
    return replace(link, size=meta.size, etag=meta.etag, mtime_ns=meta.last_modified_ns, note="")
