"""Cross-origin requests: the preflight, and the headers of the answers that follow.

Source: help.aliyun.com, OptionObject, PutBucketCors; Fetch standard (read 2026-11).
"""

import re
from xml.etree.ElementTree import Element

from osssync.emulator.call import Call, Reply
from osssync.emulator.errors import OssFault
from osssync.emulator.objects import Bucket
from osssync.emulator.xml import parse, text_of


def _texts(rule: Element, name: str) -> list[str]:
    return [one.text or "" for one in rule.findall(name)]


def _matches(patterns: list[str], text: str) -> bool:
    return any(
        re.fullmatch(".*".join(re.escape(piece) for piece in one.split("*")), text, re.IGNORECASE)
        for one in patterns
    )


def _rule(bucket: Bucket, origin: str, method: str, headers: list[str]) -> Element | None:
    """The first rule that lets a request pass."""
    text = bucket.configurations.get("cors")
    for rule in parse(text.encode()).findall("CORSRule") if text else ():
        allowed = _texts(rule, "AllowedHeader")
        if (
            _matches(_texts(rule, "AllowedOrigin"), origin)
            and method in _texts(rule, "AllowedMethod")
            and all(_matches(allowed, name) for name in headers)
        ):
            return rule
    return None


def _headers(rule: Element, origin: str) -> dict[str, str]:
    headers = {
        "Access-Control-Allow-Origin": "*" if "*" in _texts(rule, "AllowedOrigin") else origin,
        "Access-Control-Allow-Methods": ", ".join(_texts(rule, "AllowedMethod")),
    }
    exposed = _texts(rule, "ExposeHeader")
    if exposed:
        headers["Access-Control-Expose-Headers"] = ", ".join(exposed)
    age = text_of(rule, "MaxAgeSeconds").strip()
    if age:
        headers["Access-Control-Max-Age"] = age
    return headers


async def preflight(call: Call) -> Reply:
    """OptionObject: may this origin send such a request? Needs no signature."""
    origin = call.header("origin")
    method = call.header("access-control-request-method")
    if not origin or not method:
        name = "Access-Control-Request-Method" if origin else "Origin"
        text = f"Insufficient information. {name} request header needed."
        raise OssFault(400, "BadRequest", text, ec="0034-00000011")
    wanted = [
        name.strip() for name in call.header("access-control-request-headers").split(",")
        if name.strip()
    ]  # fmt: skip
    rule = _rule(call.the_bucket(), origin, method, wanted)
    if rule is None:
        text = (
            "CORSResponse: This CORS request is not allowed. This is usually because the "
            "evalution of Origin, request method / Access-Control-Request-Method or "
            "Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec."
        )
        raise OssFault(403, "AccessForbidden", text, ec="0034-00000010")
    headers = _headers(rule, origin)
    if wanted:
        headers["Access-Control-Allow-Headers"] = ", ".join(wanted)
    return Reply(headers=headers)


def response_headers(bucket: Bucket | None, method: str, origin: str) -> dict[str, str]:
    """What the answer to a request with an Origin says; nothing if no rule lets it pass."""
    if bucket is None or method == "OPTIONS" or "cors" not in bucket.configurations:
        return {}
    rule = _rule(bucket, origin, method, [])
    return _headers(rule, origin) if rule is not None else {}
