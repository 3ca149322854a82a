"""All keys below a prefix as one sorted stream of entries, the next page fetched ahead."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from osssync.model import Entry
from osssync.oss.bucket import Bucket
from osssync.oss.connection import Connection
from osssync.oss.listing import Page

LISTING_RETRIES = 9  # a listing that fails ends the run, so it is as patient as any transfer


def list_tree(connection: Connection, bucket: Bucket, prefix: str) -> Iterator[Entry]:
    """Entries below ``prefix`` in key order, keys relative to it; one request per 1,000 keys.

    While one page is consumed the next is on its way; memory holds two pages. The marker object
    of the prefix itself (key == prefix) is left out.

    Raises:
        OsssyncError: the listing could not be read to its end.
    """

    def page_after(token: str) -> Page:
        retry = connection.retry(LISTING_RETRIES)
        return connection.repeat(retry, lambda: bucket.list_page(prefix, token=token))

    cut = len(prefix)
    with ThreadPoolExecutor(1, thread_name_prefix="osssync-listing") as ahead:
        page = page_after("")
        while True:
            following = ahead.submit(page_after, page.next_token) if page.next_token else None
            for entry in page.entries:
                if len(entry.key) > cut:
                    yield replace(entry, key=entry.key[cut:]) if cut else entry
            if following is None:
                return
            page = following.result()
