"""Receiving the body of a request: counted, hashed on the way, and kept only when complete."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from aiohttp import StreamReader
from fastcrc import crc64

from osssync.emulator.blobs import Content, Extent, Vault
from osssync.emulator.errors import OssFault

# Bodies up to here are hashed on the event loop: below, a thread costs more than it saves.
SMALL_BODY = 1 << 20  # bytes
_BATCH = 1 << 20  # bytes handed to a thread at once
MAX_PUT_BYTES = 5 << 30  # OSS limit of PutObject, AppendObject, PostObject and of one part


@dataclass(frozen=True, slots=True)
class Received:
    """A complete body. ``crc64`` is CRC-64/XZ, ``md5`` the 16 raw bytes."""

    content: Content
    md5: bytes
    crc64: int


def cut_short() -> OssFault:
    """The answer to a body that ended before its announced length (nobody may read it)."""
    return OssFault(
        400,
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )


def too_large() -> OssFault:
    """The answer to a body beyond what the operation takes."""
    text = "Your proposed upload exceeds the maximum allowed size."
    return OssFault(400, "EntityTooLarge", text, ec="0016-00000501")


def digest(data: bytes, vault: Vault) -> Received:
    """Take in bytes that are already in memory."""
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    return Received(vault.keep(data), md5, crc64.xz(data))


class Spool:
    """A body on its way into a file. ``absorb`` runs in a thread, one call at a time."""

    def __init__(self, vault: Vault) -> None:
        self._blob, self._descriptor = vault.create()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = 0
        self._size = 0

    def absorb(self, chunks: list[bytes]) -> None:
        """Hash and write chunks, in order."""
        for chunk in chunks:
            self._md5.update(chunk)
            self._crc = crc64.xz(chunk, self._crc)
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self._size += len(chunk)

    def finish(self) -> Received:
        """What was received; the file is complete."""
        content = Content((Extent(self._blob, 0, self._size),))
        return Received(content, self._md5.digest(), self._crc)

    def close(self) -> None:
        """Give the descriptor back. A file nobody refers to disappears by itself."""
        os.close(self._descriptor)


class _Pacer(Protocol):
    async def spend(self, size: int) -> None: ...


class BodyReader:
    """The body of one request.

    Args:
        stream: aiohttp's reader of the decoded transfer coding, content coding untouched.
        expected: Content-Length, None for a chunked body.
        proceed: called before the first read; sends ``100 Continue`` if the client waits for it.
    """

    def __init__(
        self, stream: StreamReader, expected: int | None, proceed: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._proceed = proceed
        self.expected = expected
        self.received = 0  # bytes so far
        self.pace: _Pacer | None = None

    async def _next(self, limit: int) -> bytes:
        """The next bytes, empty at the end."""
        try:
            chunk = await self._stream.readany()
        except (OSError, ValueError, RuntimeError) as error:
            raise cut_short() from error
        except Exception as error:
            raise cut_short() from error
        self.received += len(chunk)
        if self.pace is not None:
            await self.pace.spend(len(chunk))
        if self.received > limit:
            raise too_large()
        if not chunk and self.expected is not None and self.received != self.expected:
            raise cut_short()
        return chunk

    def _begin(self, limit: int) -> None:
        if self.expected is not None and self.expected > limit:
            raise too_large()
        self._proceed()

    async def read(self, limit: int = 8 << 20) -> bytes:
        """The whole body in memory, at most ``limit`` bytes.

        Raises:
            OssFault: the body is longer than ``limit`` or was cut short.
        """
        self._begin(limit)
        chunks: list[bytes] = []
        while chunk := await self._next(limit):
            chunks.append(chunk)
        return b"".join(chunks)

    async def receive(
        self, vault: Vault, executor: Executor, limit: int = MAX_PUT_BYTES
    ) -> Received:
        """The whole body as content. Large ones go to a file while they are received.

        Raises:
            OssFault: the body is longer than ``limit`` or was cut short; nothing is kept.
        """
        self._begin(limit)
        chunks: list[bytes] = []
        while chunk := await self._next(limit):
            chunks.append(chunk)
            if self.received > SMALL_BODY:
                return await self._spool(chunks, vault, executor, limit)
        return digest(b"".join(chunks), vault)

    async def _spool(
        self, chunks: list[bytes], vault: Vault, executor: Executor, limit: int
    ) -> Received:
        """Hash and write one batch in a thread while the next one arrives."""
        loop = asyncio.get_running_loop()
        spool = Spool(vault)
        writing = loop.run_in_executor(executor, spool.absorb, chunks)
        try:
            batch: list[bytes] = []
            size = 0
            while chunk := await self._next(limit):
                batch.append(chunk)
                size += len(chunk)
                if size >= _BATCH:
                    await writing
                    writing = loop.run_in_executor(executor, spool.absorb, batch)
                    batch, size = [], 0
            await writing
            await loop.run_in_executor(executor, spool.absorb, batch)
            return spool.finish()
        finally:
            await asyncio.wait({writing})
            spool.close()
