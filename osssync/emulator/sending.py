"""Putting a reply on the wire: headers once, bodies from memory or straight from files."""

import asyncio

from aiohttp import web

from osssync.emulator.blobs import BlobFile, Content
from osssync.emulator.call import Pacer, Reply

# Up to here header and body leave in one piece; beyond, copying them together costs more.
_JOINED = 64 << 10  # bytes


async def send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Send a reply. HEAD gets the headers of a body, and none of it.

    Raises:
        ConnectionError: the client has gone.
    """
    content = reply.content
    if reply.chunked:
        return await _send_chunked(request, reply)
    if content is None or (
        content.size <= _JOINED and request.method != "HEAD" and reply.pace is None
    ):
        body = reply.body if content is None else content.read()
        response = web.Response(status=reply.status, headers=reply.headers, body=body)
        _close_if_unread(request, response)
        await response.prepare(request)
        await response.write_eof()
        return response
    stream = web.StreamResponse(status=reply.status, headers=reply.headers)
    stream.content_length = content.size
    _close_if_unread(request, stream)
    await stream.prepare(request)
    if request.method != "HEAD":
        if reply.pace is None:
            await send_content(request, stream, content)
        else:
            await _send_paced(request, stream, content, reply.pace)
    await stream.write_eof()
    return stream


def _close_if_unread(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """End the connection after a reply that came before the body of its request.

    The rest of the body, or one that was announced and never comes (as with a GET that carries a
    Content-Length), must not be taken for the next request.
    """
    if not request.content.is_eof():
        response.force_close()


async def _send_chunked(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    stream = web.StreamResponse(status=reply.status, headers=reply.headers)
    stream.enable_chunked_encoding()
    await stream.prepare(request)
    await stream.write(reply.body)
    await stream.write_eof()
    return stream


async def _send_paced(
    request: web.BaseRequest, stream: web.StreamResponse, content: Content, pace: Pacer
) -> None:
    for start in range(0, content.size, pace.step):
        piece = content.slice(start, min(start + pace.step, content.size))
        await pace.spend(piece.size)
        await send_content(request, stream, piece)


async def send_content(
    request: web.BaseRequest, stream: web.StreamResponse, content: Content
) -> None:
    """Send the bytes of a content after the headers.

    Raises:
        ConnectionError: the client has gone.
    """
    for extent in content.extents:
        if isinstance(extent.source, BlobFile):
            await _send_file(request, extent.source, extent.start, extent.stop)
        else:
            await stream.write(memoryview(extent.source)[extent.start : extent.stop])


async def _send_file(request: web.BaseRequest, blob: BlobFile, start: int, stop: int) -> None:
    """Send from a file by sendfile(2), or in big pieces where TLS forbids it."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    with blob.path.open("rb") as file:
        await asyncio.get_running_loop().sendfile(transport, file, start, stop - start)
