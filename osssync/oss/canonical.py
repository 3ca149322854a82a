"""What a V4 signature is made over, and queries: text in, text out.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
read 2026-09.
"""

from collections.abc import Collection, Mapping
from operator import methodcaller
from urllib.parse import quote

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
ALWAYS_SIGNED = frozenset(("content-type", "content-md5"))

by_name = methodcaller("partition", b":")
"""The order of ``signable_lines``: what is before the colon decides."""


def query_string(params: Mapping[str, str]) -> str:
    """A query with every name and value percent-encoded ("+" too), and no "=" after a bare name.

    A server that decodes it and encodes it again gets the string V4 signs, whatever the order.
    """
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" if value else quote(name, safe="")
        for name, value in params.items()
    )


def canonical_query(params: Mapping[str, str]) -> str:
    """The same in the order that is signed."""
    encoded = {quote(name, safe=""): quote(value, safe="") for name, value in params.items()}
    return "&".join(
        f"{name}={encoded[name]}" if encoded[name] else name for name in sorted(encoded)
    )


def signable_lines(
    headers: Mapping[str, str | bytes], additional: Collection[str] = ()
) -> list[bytes]:
    """Those headers that are signed, a line each, as they come.

    Args:
        headers: in any case.
        additional: names, in lower case, of those that are signed beside the ones that always are.
    """
    lines = []
    for raw, value in headers.items():
        name = raw.lower()
        if name.startswith("x-oss-") or name in ALWAYS_SIGNED or name in additional:
            lines.append(b"%b:%b\n" % (name.encode(), octets(value)))
    return lines


def octets(value: str | bytes) -> bytes:
    """A header's value as it is sent."""
    return value.encode() if isinstance(value, str) else value
