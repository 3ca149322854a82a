"""The ECS metadata service: one token, one tree of plain values, the role's credentials.

It answers directly (``GET /latest/…``) and as an HTTP proxy for ``http://100.100.100.200``, so that
an SDK which has that address built in reaches it through its proxy setting. As a proxy it forwards
nothing: any other host is refused.

Source: ECS user guide "Obtain instance metadata" and "Instance RAM roles" (alibabacloud.com/help,
read 2026-11).
"""

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from aiohttp import web

from osssync.emulator import moments
from osssync.emulator.authority import ACCOUNT_ID, Authority, CredentialSet
from osssync.emulator.clock import CloudClock
from osssync.emulator.fault_effects import hang, reset
from osssync.emulator.faults import Effect, Faults, Occasion, Rule
from osssync.emulator.settings import Settings

METADATA_HOST = "100.100.100.200"
TOKEN_HEADER = "X-aliyun-ecs-metadata-token"  # noqa: S105 - the name of a header
TTL_HEADER = "X-aliyun-ecs-metadata-token-ttl-seconds"
MAX_TTL_S = 21_600
REMEMBERED_REQUESTS = 100_000  # a bound for a service that runs for weeks
CREDENTIALS = "meta-data/ram/security-credentials/"

_WITHOUT_ANSWER = frozenset({Effect.HANG, Effect.REFUSE, Effect.RESET, Effect.LOSE})


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """One request as the log keeps it; never a token, never a secret."""

    number: int
    time_s: float
    method: str
    path: str  # as "/latest/meta-data/region-id"
    status: int  # 0: no answer was given
    with_token: bool
    through_proxy: bool


class MetadataLog:
    """The last requests, in order. Safe for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[MetadataRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        self._count = 0

    def append(self, request: web.Request, path: str, status: int, now_s: float) -> None:
        """Keep one request."""
        with self._lock:
            self._count += 1
            self._requests.append(
                MetadataRequest(
                    number=self._count,
                    time_s=now_s,
                    method=request.method,
                    path=path,
                    status=status,
                    with_token=TOKEN_HEADER in request.headers,
                    through_proxy="://" in request.raw_path,
                )
            )

    def snapshot(self) -> list[MetadataRequest]:
        """A copy."""
        with self._lock:
            return list(self._requests)


class _Tokens:
    """Access tokens and their ends."""

    def __init__(self, clock: CloudClock) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def issue(self, ttl_s: int) -> str:
        now_s = self._clock()
        self._ends = {token: end for token, end in self._ends.items() if end > now_s}
        token = secrets.token_urlsafe(42)
        self._ends[token] = now_s + ttl_s
        return token

    def valid(self, token: str) -> bool:
        return self._ends.get(token, 0.0) > self._clock()


class _Service:
    """What the app's one route needs."""

    def __init__(
        self, authority: Authority, settings: Settings, faults: Faults, log: MetadataLog,
        clock: CloudClock,
    ) -> None:  # fmt: skip
        self._authority = authority
        self._settings = settings
        self._faults = faults
        self._log = log
        self._clock = clock
        self._tokens = _Tokens(clock)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer and log one request."""
        host, path = _split(request)
        status = 0
        try:
            if request.method == "CONNECT":
                response = _refusal(405)
            elif host not in {"", METADATA_HOST, f"{METADATA_HOST}:80"}:
                response = _refusal(403)
            else:
                response = await self._with_faults(request, path)
            status = response.status
        finally:
            self._log.append(request, path, status, self._clock())
        return response

    async def _with_faults(self, request: web.Request, path: str) -> web.Response:
        below = path.removeprefix("/latest/")
        rule = self._faults.take(Occasion("metadata", request.method, key=below))
        if rule is None:
            return self._respond(request, path, expired=False)
        await asyncio.sleep(rule.delay_s)
        if rule.effect in _WITHOUT_ANSWER:
            if rule.effect is Effect.HANG:
                await hang(request)
            reset(request)
            raise asyncio.CancelledError
        answer = _faulty(rule)
        return answer or self._respond(request, path, expired=rule.effect is Effect.EXPIRED_TOKEN)

    def _respond(self, request: web.Request, path: str, *, expired: bool) -> web.Response:
        if request.method == "PUT":
            return self._issue_token(request, path)
        if request.method not in {"GET", "HEAD"}:
            return _refusal(405)
        if not self._may_read(request.headers.get(TOKEN_HEADER)):
            return _refusal(403)
        if not path.startswith("/latest/"):
            return _refusal(404)
        below = path.removeprefix("/latest/").replace("meta-data/Ram/", "meta-data/ram/", 1)
        if below.startswith(CREDENTIALS) and below != CREDENTIALS:
            return self._role_credentials(below.removeprefix(CREDENTIALS), expired=expired)
        return self._tree_node(below)

    def _may_read(self, token: str | None) -> bool:
        """Whether a request may read: without a token only in normal mode, never with a bad one."""
        if token is None:
            return not self._settings.imds_v2_only
        return self._tokens.valid(token)

    def _issue_token(self, request: web.Request, path: str) -> web.Response:
        """Issue an access token; never to a request that some proxy has forwarded."""
        if path != "/latest/api/token":
            return _refusal(404)
        if "X-Forwarded-For" in request.headers:
            return _refusal(403)
        ttl = request.headers.get(TTL_HEADER, "")
        if not (ttl.isascii() and ttl.isdigit() and 1 <= int(ttl) <= MAX_TTL_S):
            return _refusal(400)
        return web.Response(text=self._tokens.issue(int(ttl)))

    def _role_credentials(self, role: str, *, expired: bool) -> web.Response:
        current = self._authority.current()
        if current is None or role.rstrip("/") != current.role:
            return _refusal(404)
        expires_s = current.issued_s - 1 if expired else current.expires_s
        return web.Response(text=_credentials_document(current, expires_s))

    def _tree_node(self, below: str) -> web.Response:
        """Answer with a value, or with the names below a folder, one a line."""
        tree = self._tree()
        value = tree.get(below, tree.get(f"{below}/"))
        if value is not None:
            return web.Response(text=value)
        folder = below.rstrip("/") + "/" if below else ""
        names = {
            rest.partition("/")[0] + ("/" if "/" in rest else "")
            for rest in (path.removeprefix(folder) for path in tree if path.startswith(folder))
        }
        return web.Response(text="\n".join(sorted(names))) if names else _refusal(404)

    def _tree(self) -> dict[str, str]:
        region = self._settings.region
        role = self._authority.role
        values = {
            "hostname": "emulated",
            "image-id": "emulated_x64_20G_alibase_20260101.vhd",
            "instance-id": "i-emulated0000000000",
            "instance/instance-name": "emulated",
            "instance/instance-type": "ecs.emulated.large",
            "mac": "00:16:3e:00:00:01",
            "network-type": "vpc",
            "owner-account-id": ACCOUNT_ID,
            "private-ipv4": "192.168.0.1",
            "region-id": region,
            "serial-number": "00000000-0000-0000-0000-000000000000",
            "zone-id": f"{region}-a",
        }
        tree = {f"meta-data/{name}": value for name, value in values.items()}
        if role:  # the list has no newline: clients take it as the name of the role
            tree[CREDENTIALS] = role
        return tree


def make_metadata_app(
    authority: Authority,
    settings: Settings,
    faults: Faults,
    log: MetadataLog,
    clock: CloudClock,
) -> web.Application:
    """The metadata service as an app to be served on a port of its own."""
    service = _Service(authority, settings, faults, log, clock)

    @web.middleware  # not a route: targets such as http://100.100.100.200/… match none
    async def everything(
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],  # noqa: ARG001 - aiohttp passes it by name
    ) -> web.StreamResponse:
        return await service.answer(request)

    return web.Application(middlewares=[everything])


def _split(request: web.Request) -> tuple[str, str]:
    """Host of an absolute-form target (empty for origin-form), and the path without its query.

    Some clients end their targets in a bare question mark.
    """
    if "://" not in request.raw_path:
        return "", unquote(request.raw_path.partition("?")[0])
    target = urlsplit(request.raw_path)
    return target.netloc, unquote(target.path or "/")


def _credentials_document(current: CredentialSet, expires_s: float) -> str:
    return json.dumps(
        {
            "AccessKeyId": current.access_key_id,
            "AccessKeySecret": current.access_key_secret,
            "Expiration": _second(expires_s),
            "SecurityToken": current.security_token,
            "LastUpdated": _second(current.issued_s),
            "Code": "Success",
        },
        indent=2,
        separators=(",", " : "),
    )


def _second(moment_s: float) -> str:
    return moments.extended(moment_s).replace(".000Z", "Z")


def _faulty(rule: Rule) -> web.Response | None:
    """The answer of a rule that has one of its own."""
    match rule.effect:
        case Effect.THROTTLE:
            return _refusal(429)
        case Effect.ERROR:
            return _refusal(rule.status)
        case Effect.GARBAGE:
            return web.Response(text="<html>not what was asked for</html>")
        case _:
            return None


def _refusal(status: int) -> web.Response:
    """An error as the service writes it: a small page."""
    reason = web.Response(status=status).reason
    page = (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n'
        f"<html><head><title>{status} - {reason}</title></head>"
        f"<body><h1>{status} - {reason}</h1></body></html>\n"
    )
    return web.Response(status=status, text=page, content_type="text/html")
