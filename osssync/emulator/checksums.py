"""Checksums that clients announce, and those of stored content, outside of the event loop."""

import asyncio
import base64
import binascii
import hashlib
from concurrent.futures import Executor

from fastcrc import crc64

from osssync.emulator.blobs import Content
from osssync.emulator.call import Call
from osssync.emulator.errors import OssFault

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


def content_md5(call: Call) -> bytes | None:
    """The announced MD5 of the body.

    Raises:
        OssFault: InvalidDigest for what is no base64 of 16 bytes.
    """
    text = call.header("content-md5")
    if not text:
        return None
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != 16:
        message = "The Content-MD5 you specified was invalid."
        extra = {"Content-MD5": text}
        raise OssFault(400, "InvalidDigest", message, ec="0017-00000502", extra=extra)
    return value
