"""Faults on OSS requests: what a rule does before the operation, to its reply, and while sending.

    take rule → before (wait, refuse, answer) → operation → alter (lose, spoil, flip) → deliver

The server calls these three in that order, and nothing else here.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web

from osssync.emulator.blobs import Content
from osssync.emulator.call import Reply
from osssync.emulator.errors import OssFault
from osssync.emulator.fault_effects import hang, reset
from osssync.emulator.faults import Effect, Occasion, Rule
from osssync.emulator.objects import Objects
from osssync.emulator.sending import send, send_content

_GARBAGE = b"<html><head><title>Service</title></head><body>not what was asked for"
_DRAIN_S = 0.01  # lets the kernel hand over what was written, before a reset discards it


class NoAnswer(ConnectionResetError):  # noqa: N818 - an outcome, as the fault's author wanted it
    """The connection is gone on purpose; the client gets no answer, or not all of one."""


def occasion(
    method: str, operation: str, bucket: str, key: str, query: Mapping[str, str]
) -> Occasion:
    """An OSS request as rules see it."""
    number = query.get("partNumber", "")
    part_number = int(number) if number.isascii() and number.isdigit() else 0
    return Occasion("oss", method, operation, bucket, key, part_number, query)


async def before(
    rule: Rule, request: web.BaseRequest, hit: Occasion, objects: Objects
) -> Reply | None:
    """Do what comes before the operation.

    Returns:
        The answer to give instead of the operation's; None to go on.

    Raises:
        OssFault: the answer to give, where it is an OSS error.
        NoAnswer: the connection was reset, or the client gave up waiting.
    """
    await asyncio.sleep(rule.delay_s)
    match rule.effect:
        case Effect.REFUSE:
            raise _torn(request)
        case Effect.HANG:
            await hang(request)
            raise _torn(request)
        case Effect.RESET if rule.at is None:
            async for _ in request.content.iter_any():
                pass
            raise _torn(request)
        case Effect.ERROR | Effect.THROTTLE | Effect.EXPIRED_TOKEN:
            raise _fault(rule, request)
        case Effect.GARBAGE:
            return Reply(headers={"Content-Type": "text/html"}, body=_GARBAGE)
        case Effect.CHANGE:
            _overwrite(objects, hit)
        case _:
            pass
    return None


def skew_s(rule: Rule) -> float:
    """How far ahead the clock is that judges this request."""
    return rule.offset_s if rule.effect is Effect.SKEW else 0.0


def alter(rule: Rule, request: web.BaseRequest, reply: Reply) -> Reply:
    """Do to a reply what the rule says, before its headers go out.

    Raises:
        NoAnswer: the operation is done, but its answer is lost.
    """
    match rule.effect:
        case Effect.LOSE:
            raise _torn(request)
        case Effect.ERROR if rule.body != "xml":
            headers = {name: one for name, one in reply.headers.items() if name != "x-oss-err"}
            return Reply(reply.status, headers, _GARBAGE if rule.body == "garbage" else b"")
        case Effect.FLIP if _size(reply):
            return _flipped(reply, min(rule.at or 0, _size(reply) - 1))
        case _:
            return reply


async def deliver(rule: Rule | None, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Send a reply, to its end or only so far.

    Raises:
        NoAnswer: the body ended where the rule said.
        ConnectionError: the client has gone.
    """
    if rule is None or rule.effect not in {Effect.CUT, Effect.RESET}:
        return await send(request, reply)
    content = _content(reply)
    stream = web.StreamResponse(status=reply.status, headers=reply.headers)
    stream.content_length = content.size
    await stream.prepare(request)
    if request.method != "HEAD":
        await send_content(request, stream, content.slice(0, min(rule.at or 0, content.size)))
    await _flush(request)
    if rule.effect is Effect.RESET:
        raise _torn(request)
    if request.transport is not None:
        request.transport.close()
    raise NoAnswer("cut on purpose")


async def _flush(request: web.BaseRequest) -> None:
    transport = request.transport
    while transport is not None and transport.get_write_buffer_size():
        await asyncio.sleep(_DRAIN_S)
        transport = request.transport
    await asyncio.sleep(_DRAIN_S)


def _torn(request: web.BaseRequest) -> NoAnswer:
    reset(request)
    return NoAnswer("reset on purpose")


def _fault(rule: Rule, request: web.BaseRequest) -> OssFault:
    if rule.effect is Effect.THROTTLE:
        return OssFault(
            503,
            "DownloadTrafficRateLimitExceeded",
            "Your download traffic rate is too fast, please slow down.",
        )
    if rule.effect is Effect.EXPIRED_TOKEN:
        return OssFault(
            403,
            "SecurityTokenExpired",
            "The security token you provided has expired.",
            "0002-00000007",
            {"SecurityToken": request.headers.get("x-oss-security-token", "")},
        )
    return OssFault(rule.status, rule.code, rule.message, rule.ec)


def _overwrite(objects: Objects, hit: Occasion) -> None:
    """Replace an object by another one of the same size; one that is not there stays so."""
    with suppress(OssFault):
        data = objects.get(hit.bucket, hit.key)
        objects.put(hit.bucket, hit.key, bytes(byte ^ 0xFF for byte in data[:1]) + data[1:])


def _size(reply: Reply) -> int:
    return len(reply.body) if reply.content is None else reply.content.size


def _content(reply: Reply) -> Content:
    return Content.of(reply.body) if reply.content is None else reply.content


def _flipped(reply: Reply, at: int) -> Reply:
    content = _content(reply)
    wrong = Content.of(bytes([content.slice(at, at + 1).read()[0] ^ 0xFF]))
    pieces = (content.slice(0, at), wrong, content.slice(at + 1, content.size))
    return Reply(reply.status, reply.headers, content=Content.join(pieces))
