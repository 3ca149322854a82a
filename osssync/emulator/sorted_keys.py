"""Keys in UTF-8 byte order, cheap to add, to drop and to walk from anywhere.

Python compares strings by code point, which is the order of their UTF-8 bytes. The keys live in
chunks of bounded length, so that adding one moves a few KiB and never the whole bucket.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

_CHUNK = 2048  # keys; a chunk of twice this is split


class SortedKeys:
    """A sorted set of strings. Not thread-safe; do not change it while walking."""

    def __init__(self) -> None:
        self._chunks: list[list[str]] = []
        self._lasts: list[str] = []  # the greatest key of each chunk
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str) -> None:
        """Add a key; nothing happens if it is there."""
        if not self._chunks:
            self._chunks.append([key])
            self._lasts.append(key)
            self._count = 1
            return
        index = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[index]
        place = bisect_left(chunk, key)
        if place < len(chunk) and chunk[place] == key:
            return
        insort(chunk, key)
        self._count += 1
        if len(chunk) > 2 * _CHUNK:
            self._chunks.insert(index + 1, chunk[_CHUNK:])
            del chunk[_CHUNK:]
            self._lasts.insert(index, chunk[-1])
            index += 1
        self._lasts[index] = self._chunks[index][-1]

    def discard(self, key: str) -> None:
        """Drop a key; nothing happens if it is not there."""
        index = bisect_left(self._lasts, key)
        if index == len(self._chunks):
            return
        chunk = self._chunks[index]
        place = bisect_left(chunk, key)
        if chunk[place] != key:
            return
        del chunk[place]
        self._count -= 1
        if chunk:
            self._lasts[index] = chunk[-1]
        else:
            del self._chunks[index], self._lasts[index]

    def walk(self, start: str = "", *, inclusive: bool = True) -> Iterator[str]:
        """Every key from ``start`` on, in order; without ``start`` itself unless ``inclusive``."""
        search = bisect_left if inclusive else bisect_right
        index = search(self._lasts, start)
        if index == len(self._chunks):
            return
        chunk = self._chunks[index]
        for place in range(search(chunk, start), len(chunk)):
            yield chunk[place]
        for later in range(index + 1, len(self._chunks)):
            yield from self._chunks[later]
