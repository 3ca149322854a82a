"""Static website hosting: the index document of a directory, the page for what is missing.

Routing rules are kept and read back, and redirect nobody.
Source: help.aliyun.com, "Static website hosting" (read 2026-11).
"""

from osssync.emulator.objects import Bucket
from osssync.emulator.records import Version
from osssync.emulator.xml import parse, text_of


def _page(bucket: Bucket, key: str) -> Version | None:
    found = bucket.current(key) if key else None
    return None if found is None or found.is_marker or found.kind == "Symlink" else found


def index_page(bucket: Bucket, key: str) -> Version | None:
    """What stands for a key that ends with a slash and does not exist; None without hosting."""
    text = bucket.configurations.get("website")
    if text is None or not key.endswith("/"):
        return None
    root = parse(text.encode())
    suffix = text_of(root, "IndexDocument/Suffix")
    if text_of(root, "IndexDocument/SupportSubDir") == "true":
        return _page(bucket, key + suffix)
    return _page(bucket, suffix)


def error_page(bucket: Bucket) -> Version | None:
    """What is sent with 404 for a key that does not exist; None without such a page."""
    text = bucket.configurations.get("website")
    if text is None:
        return None
    return _page(bucket, text_of(parse(text.encode()), "ErrorDocument/Key"))
