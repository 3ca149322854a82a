"""The OSS server: one request from the wire to its reply, and the record of it.

raw target, Host → address → who signed → bucket there? → may they? → operation → reply → log
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from aiohttp import web

from osssync.emulator import injection, operations
from osssync.emulator.addressing import Address, resolve, wrong_endpoint
from osssync.emulator.authority import Authority
from osssync.emulator.body import BodyReader
from osssync.emulator.call import Call, Reply, World
from osssync.emulator.clock import CloudClock
from osssync.emulator.cors import response_headers
from osssync.emulator.errors import OssFault
from osssync.emulator.faults import Faults, Rule
from osssync.emulator.moments import extended, http_date
from osssync.emulator.objects import Bucket
from osssync.emulator.permissions import authorize
from osssync.emulator.replies import fault_reply, request_id
from osssync.emulator.request_log import LoggedRequest, RequestLog, blank_query, blank_target
from osssync.emulator.signature import WireRequest, authenticate, claimed_access_key_id
from osssync.emulator.wire import headers_by_name, parameters

_log = logging.getLogger(__name__)

# Room for the longest key in %XX and for 8 KiB of metadata with everything a client adds.
MAX_LINE_BYTES = 64 << 10
READ_BUFFER_BYTES = 1 << 20
_http_date = lru_cache(maxsize=4)(http_date)


@dataclass(slots=True)
class _Exchange:
    """One request while it is answered; what is known of it so far."""

    request: web.BaseRequest
    request_id: str
    now_s: float
    address: Address = field(default_factory=lambda: Address("", "", "", "", ""))
    query: dict[str, str] = field(default_factory=dict)
    operation: str = ""
    access_key_id: str = ""
    code: str = ""
    body: BodyReader | None = None
    rule: Rule | None = None  # the fault that hits it


class OssServer:
    """Answers OSS requests. ``answer`` is what aiohttp's low-level server calls."""

    def __init__(
        self,
        world: World,
        authority: Authority,
        faults: Faults,
        log: RequestLog,
        clock: CloudClock,
    ) -> None:
        self._world = world
        self._authority = authority
        self._faults = faults
        self._requests = log
        self._clock = clock

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        try:
            return await self._answer(request)
        except ConnectionError as error:
            # aiohttp takes any other exception for a bug, and tries to answer it with a 500.
            raise asyncio.CancelledError from error

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        now_s = self._clock()
        exchange = _Exchange(request, request_id(now_s), now_s)
        try:
            reply = await self._reply(exchange)
            self._add_common_headers(exchange, reply, started)
            if exchange.rule is not None:
                reply = injection.alter(exchange.rule, request, reply)
        except ConnectionError:
            self._requests.finish(self._begin_record(exchange, Reply(status=0), started))
            raise
        record = self._begin_record(exchange, reply, started)
        response: web.StreamResponse | None = None
        try:
            response = await injection.deliver(exchange.rule, request, reply)
        finally:
            elapsed_s = time.perf_counter() - started
            sent = record.sent if response is not None else 0
            self._requests.finish(replace(record, sent=sent, duration_s=elapsed_s))
        return response

    def _begin_record(self, exchange: _Exchange, reply: Reply, started: float) -> LoggedRequest:
        """Log an exchange before its client can have read the answer."""
        record = _record(exchange, reply, self._requests.next_number(), started)
        self._requests.begin(record)
        return record

    async def _reply(self, exchange: _Exchange) -> Reply:
        request = exchange.request
        try:
            return await self._operate(exchange)
        except OssFault as fault:
            exchange.code = fault.code
            host = exchange.address.host
            return fault_reply(fault, exchange.request_id, host, request.method)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - a bug of the emulator is a 500, and a traceback in the log
            _log.exception("%s %s", request.method, blank_target(request.raw_path))
            exchange.code = "InternalError"
            text = "We encountered an internal error. Please try again."
            broken = OssFault(500, "InternalError", text, ec="0000-00000001")
            return fault_reply(broken, exchange.request_id, exchange.address.host, request.method)

    async def _operate(self, exchange: _Exchange) -> Reply:
        request = exchange.request
        settings = self._world.settings
        address = resolve(request.raw_path, request.headers.get("Host", ""), settings.domains)
        exchange.address = address
        headers = tuple(request.headers.items())
        by_name = headers_by_name(headers)
        exchange.query = {one.name: one.value for one in parameters(address.target)}
        operation = operations.find(
            request.method, address.bucket, address.key, exchange.query, by_name
        )
        exchange.operation = operation.name
        exchange.body = _body_reader(request)
        exchange.access_key_id = claimed_access_key_id(by_name, exchange.query)
        hit = injection.occasion(
            request.method, operation.name, address.bucket, address.key, exchange.query
        )
        exchange.rule = self._faults.take(hit)
        if exchange.rule is not None:
            instead = await injection.before(exchange.rule, request, hit, self._world.objects)
            if instead is not None:
                return instead
            exchange.now_s += injection.skew_s(exchange.rule)
        wire = WireRequest(request.method, address.target, headers, address.bucket, address.key)
        region = address.region or settings.region
        identity = authenticate(wire, self._authority, region=region, now_s=exchange.now_s)
        exchange.access_key_id = identity.access_key_id
        call = Call(
            method=request.method,
            host=address.host,
            region=region,
            bucket=address.bucket,
            key=address.key,
            query=exchange.query,
            headers=by_name,
            body=exchange.body,
            identity=identity,
            context=_context(exchange, operation.action),
            now_s=exchange.now_s,
            world=self._world,
        )
        bucket = self._find_bucket(address, operation)
        if not operation.authorizes:
            authorize(call, _action(operation, exchange.query), bucket, address.key)
        return await operation.run(call)

    def _find_bucket(self, address: Address, operation: operations.Operation) -> Bucket | None:
        """The bucket of the request, None where it need not exist.

        Raises:
            OssFault: NoSuchBucket, or the bucket lives at another endpoint.
        """
        objects = self._world.objects
        bucket = objects.buckets.get(address.bucket)
        if bucket is None:
            return objects.bucket(address.bucket) if operation.needs_bucket else None
        if address.region and bucket.location != f"oss-{address.region}":
            raise wrong_endpoint(bucket.name, bucket.location)
        return bucket

    def _add_common_headers(self, exchange: _Exchange, reply: Reply, started: float) -> None:
        elapsed_ms = int((time.perf_counter() - started) * 1000)
        reply.headers["Server"] = "AliyunOSS"
        reply.headers["Date"] = _http_date(int(exchange.now_s))
        reply.headers["x-oss-request-id"] = exchange.request_id
        reply.headers["x-oss-server-time"] = str(elapsed_ms)
        if origin := exchange.request.headers.get("Origin"):
            bucket = self._world.objects.buckets.get(exchange.address.bucket)
            reply.headers.update(response_headers(bucket, exchange.request.method, origin))


def _record(exchange: _Exchange, reply: Reply, number: int, started: float) -> LoggedRequest:
    """The log's view of an exchange whose reply is about to be sent."""
    address, request = exchange.address, exchange.request
    part = exchange.query.get("partNumber", "")
    size = len(reply.body) if reply.content is None else reply.content.size
    return LoggedRequest(
        number=number,
        time_s=exchange.now_s,
        method=request.method,
        host=address.host,
        target=blank_target(request.raw_path),
        bucket=address.bucket,
        key=address.key,
        operation=exchange.operation,
        query=blank_query(exchange.query),
        status=reply.status,
        code=exchange.code,
        access_key_id=exchange.access_key_id,
        range=request.headers.get("Range", ""),
        received=exchange.body.received if exchange.body else 0,
        sent=0 if request.method == "HEAD" else size,
        part_number=int(part) if part.isascii() and part.isdigit() else 0,
        duration_s=time.perf_counter() - started,
        request_id=exchange.request_id,
    )


def _action(operation: operations.Operation, query: dict[str, str]) -> str:
    """The RAM action; naming a version needs a permission of its own."""
    if "versionId" not in query or not operation.action.startswith(("oss:GetObject", "oss:Delete")):
        return operation.action
    return operation.action.replace("Object", "ObjectVersion")


def _context(exchange: _Exchange, action: str) -> dict[str, str]:
    """What conditions of a policy may look at; a listing without a prefix has an empty one."""
    request = exchange.request
    context = {
        "acs:AccessId": exchange.access_key_id,
        "acs:CurrentTime": extended(exchange.now_s),
        "acs:SecureTransport": "true" if request.secure else "false",
        "acs:SourceIp": request.remote or "",
        "acs:UserAgent": request.headers.get("User-Agent", ""),
    }
    if action == "oss:ListObjects":
        context["oss:Prefix"] = exchange.query.get("prefix", "")
        context["oss:Delimiter"] = exchange.query.get("delimiter", "")
    for name in ("x-oss-acl", "x-oss-object-acl"):
        if name in request.headers:
            context["oss:x-oss-acl"] = request.headers[name]
    return context


def _body_reader(request: web.BaseRequest) -> BodyReader:
    text = request.headers.get("Content-Length", "")
    expected = int(text) if text.isascii() and text.isdigit() else None
    if expected is None and "Transfer-Encoding" not in request.headers:
        expected = None if request.method == "PUT" else 0
    return BodyReader(request.content, expected, _continuation(request))


def _continuation(request: web.BaseRequest) -> Callable[[], None]:
    """How to tell a client that waits for it that its body may come."""

    def proceed() -> None:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    return proceed
