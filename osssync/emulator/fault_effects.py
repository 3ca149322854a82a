"""What faults do to a connection, on every service of the emulator alike."""

import asyncio
import socket
import struct

from aiohttp import web

_POLL_S = 0.02  # how soon a hanging answer notices that its client has gone


async def hang(request: web.BaseRequest) -> None:
    """Answer nothing until the client hangs up."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(_POLL_S)


def reset(request: web.BaseRequest) -> None:
    """Reset the connection (RST), dropping what was not sent yet."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Linger on with 0 s makes the close a reset; without it the client sees an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
