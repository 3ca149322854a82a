"""The control address: change what the emulator does, and read what it saw, while it runs.

JSON over HTTP on a loopback port of its own, so that tests in any language can use it:

| request | does | answers |
|---|---|---|
| ``GET /state`` | nothing | addresses, role, key id and end of its set, counters, clock |
| ``POST /rotate`` | issue a new set of role credentials; the old one stays valid | the state |
| ``POST /revoke`` | end every role set issued so far, now | the state |
| ``POST /detach`` | take the role from the instance | the state |
| ``POST /attach?role=NAME`` | attach a role, in place of the one there is | the state |
| ``GET /faults`` | nothing | the rules, each with ``seen`` and ``fired`` |
| ``PUT /faults`` | put the rules of the body in place of all | the rules |
| ``POST /faults`` | add the one rule of the body | the rules |
| ``DELETE /faults`` | remove all rules | the rules |
| ``GET /requests`` | nothing | the OSS requests so far; ``?since=N``: those with a higher number |
| ``GET /metadata-requests`` | nothing | the metadata requests so far; ``?since=N`` too |
| ``POST /clock?offset_s=S`` | set the cloud's clock S seconds ahead of the machine's | the state |

The rules of faults are described in ``osssync.emulator.faults``. A request that cannot be
understood is answered with 400 and ``{"error": …}``. No answer holds a secret or a token.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from osssync.emulator import moments
from osssync.emulator.authority import Authority
from osssync.emulator.clock import CloudClock
from osssync.emulator.faults import FaultRuleError, Faults, read_rule, read_rules
from osssync.emulator.settings import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class ControlledEmulator(Protocol):
    """What the control address needs of an emulator."""

    @property
    def settings(self) -> Settings:
        """As it was started."""
        ...

    @property
    def authority(self) -> Authority:
        """Who may sign."""
        ...

    @property
    def faults(self) -> Faults:
        """The rules in force."""
        ...

    @property
    def clock(self) -> CloudClock:
        """The cloud's clock."""
        ...

    @property
    def endpoint(self) -> str:
        """Of OSS, as ``http://127.0.0.1:PORT``."""
        ...

    @property
    def metadata_endpoint(self) -> str:
        """Of the metadata service, in the same form."""
        ...

    @property
    def requests(self) -> "Sequence[DataclassInstance]":
        """The OSS requests that are remembered, each with a ``number``."""
        ...

    @property
    def metadata_requests(self) -> "Sequence[DataclassInstance]":
        """The metadata requests, each with a ``number``."""
        ...


class _Control:
    """The answers of the control address."""

    def __init__(self, emulator: ControlledEmulator) -> None:
        self._emulator = emulator

    async def state(self, _request: web.Request) -> web.Response:
        return self._state()

    async def rotate(self, _request: web.Request) -> web.Response:
        self._emulator.authority.rotate()
        return self._state()

    async def revoke(self, _request: web.Request) -> web.Response:
        self._emulator.authority.revoke()
        return self._state()

    async def detach(self, _request: web.Request) -> web.Response:
        self._emulator.authority.detach()
        return self._state()

    async def attach(self, request: web.Request) -> web.Response:
        try:
            self._emulator.authority.attach(request.query.get("role", ""))
        except ValueError as error:
            return _misunderstood(error)
        return self._state()

    async def set_clock(self, request: web.Request) -> web.Response:
        try:
            offset_s = float(request.query.get("offset_s", ""))
        except ValueError as error:
            return _misunderstood(error)
        if not math.isfinite(offset_s):
            return _misunderstood(ValueError("offset_s must be finite"))
        self._emulator.clock.offset_s = offset_s
        return self._state()

    async def faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._emulator.faults.snapshot())

    async def replace_faults(self, request: web.Request) -> web.Response:
        try:
            rules = read_rules(await request.json())
        except (FaultRuleError, json.JSONDecodeError) as error:
            return _misunderstood(error)
        self._emulator.faults.replace(rules)
        return await self.faults(request)

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            rule = read_rule(await request.json())
        except (FaultRuleError, json.JSONDecodeError) as error:
            return _misunderstood(error)
        self._emulator.faults.add(rule)
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._emulator.faults.clear()
        return await self.faults(request)

    async def requests(self, request: web.Request) -> web.Response:
        return _log(request, self._emulator.requests)

    async def metadata_requests(self, request: web.Request) -> web.Response:
        return _log(request, self._emulator.metadata_requests)

    def _state(self) -> web.Response:
        emulator = self._emulator
        authority = emulator.authority
        latest = authority.latest
        return web.json_response(
            {
                "endpoint": emulator.endpoint,
                "metadata_endpoint": emulator.metadata_endpoint,
                "region": emulator.settings.region,
                "role": authority.role,
                "access_key_id": latest.access_key_id if latest else "",
                "expiration": moments.extended(latest.expires_s) if latest else "",
                "sets_issued": authority.issued,
                "rotations": authority.rotations,
                "clock_offset_s": emulator.clock.offset_s,
                "requests": len(emulator.requests),
                "metadata_requests": len(emulator.metadata_requests),
            }
        )


def make_control_app(emulator: ControlledEmulator) -> web.Application:
    """The control address of one emulator, as an app to be served on a port of its own."""
    control = _Control(emulator)
    app = web.Application()
    app.router.add_get("/state", control.state)
    app.router.add_post("/rotate", control.rotate)
    app.router.add_post("/revoke", control.revoke)
    app.router.add_post("/detach", control.detach)
    app.router.add_post("/attach", control.attach)
    app.router.add_post("/clock", control.set_clock)
    app.router.add_get("/faults", control.faults)
    app.router.add_put("/faults", control.replace_faults)
    app.router.add_post("/faults", control.add_fault)
    app.router.add_delete("/faults", control.clear_faults)
    app.router.add_get("/requests", control.requests)
    app.router.add_get("/metadata-requests", control.metadata_requests)
    return app


def _log(request: web.Request, logged: "Sequence[DataclassInstance]") -> web.Response:
    since = request.query.get("since", "0")
    if not (since.isascii() and since.isdigit()):
        return _misunderstood(ValueError(f"since: {since!r} is not a number"))
    rows = [asdict(one) for one in logged]
    return web.json_response([row for row in rows if row["number"] > int(since)])


def _misunderstood(error: Exception) -> web.Response:
    return web.json_response({"error": str(error)}, status=400)
