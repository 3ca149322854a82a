"""How a reply looks on the wire: common headers, error bodies, error headers of HEAD.

Source: help.aliyun.com, "Common response headers", "Error responses" (read 2026-11).
"""

import base64
import os

from osssync.emulator.call import Reply
from osssync.emulator.errors import OssFault
from osssync.emulator.xml import document, leaf, tree


def request_id(now_s: float) -> str:
    """A new request id: 24 hexadecimal digits that begin with the time, as OSS's do."""
    return f"{int(now_s) & 0xFFFFFFFF:08X}{os.urandom(8).hex().upper()}"


def error_body(fault: OssFault, request: str, host: str) -> bytes:
    """The XML of an error answer.

    Args:
        fault: what went wrong.
        request: request id.
        host: as the client addressed it, without port.
    """
    children = [
        leaf("Code", fault.code),
        leaf("Message", fault.message),
        leaf("RequestId", request),
        leaf("HostId", host),
        *(leaf(name, text) for name, text in fault.extra.items()),
    ]
    if fault.ec:
        children.append(leaf("EC", fault.ec))
        link = f"https://api.aliyun.com/troubleshoot?q={fault.ec}"
        children.append(leaf("RecommendDoc", link))
    return document(tree("Error", *children))


def fault_reply(fault: OssFault, request: str, host: str, method: str) -> Reply:
    """The answer to a request that failed. HEAD has no body: ``x-oss-err`` carries it."""
    headers = dict(fault.headers)
    if fault.ec:
        headers["x-oss-ec"] = fault.ec
    if fault.status == 304:
        return Reply(304, headers)
    body = error_body(fault, request, host)
    headers["Content-Type"] = "application/xml"
    if method == "HEAD":
        headers["x-oss-err"] = base64.b64encode(body).decode()
        return Reply(fault.status, headers)
    return Reply(fault.status, headers, body)
