"""Checksums of content that is already stored, computed outside of the event loop."""

import asyncio
import hashlib
from concurrent.futures import Executor

from fastcrc import crc64

from osssync.emulator.blobs import Content

_CHUNK = 1 << 20  # bytes


def _digests(content: Content) -> tuple[bytes, int]:
    md5, crc = hashlib.md5(usedforsecurity=False), 0
    for start in range(0, content.size, _CHUNK):
        data = content.slice(start, min(start + _CHUNK, content.size)).read()
        md5.update(data)
        crc = crc64.xz(data, crc)
    return md5.digest(), crc


async def digests(content: Content, executor: Executor) -> tuple[bytes, int]:
    """MD5 (16 bytes) and CRC-64/XZ of a content."""
    if content.size <= _CHUNK:
        return _digests(content)
    return await asyncio.get_running_loop().run_in_executor(executor, _digests, content)
