"""Requests signed correctly whatever they say, so that each rule can be broken alone."""

from dataclasses import replace

import pytest

from osssync.emulator import moments, signature_v1, signature_v4
from osssync.emulator.errors import OssFault
from osssync.emulator.settings import StaticCredential
from osssync.emulator.signature import WireRequest, authenticate
from osssync.emulator.signature_v4 import Scope
from osssync.emulator.wire import headers_by_name, parameters

REGION = "cn-hangzhou"
NOW_S = 1_795_500_000.0  # 2026-11-24T06:00:00Z
PLAIN = StaticCredential("AKID", "secret")
TEMPORARY = StaticCredential("STS.AKID", "secret", "the-token")


def code_of(request, authority, now_s=NOW_S):
    """The code of the fault a request gets; empty if it passes."""
    try:
        authenticate(request, authority, region=REGION, now_s=now_s)
    except OssFault as fault:
        return fault.code
    return ""


def fault_of(request, authority, now_s=NOW_S, region=REGION):
    with pytest.raises(OssFault) as caught:
        authenticate(request, authority, region=region, now_s=now_s)
    return caught.value


def signed_v4(headers=(), *, target="/key", key_id="AKID", scope=None, additional="", date=None):
    """A V4 header request, correctly signed whatever it says."""
    time_line = moments.basic(NOW_S) if date is None else date
    scope = scope or Scope(moments.basic(NOW_S)[:8], REGION, "oss", "aliyun_v4_request")
    given = [("x-oss-content-sha256", "UNSIGNED-PAYLOAD"), *headers]
    if date is None:
        given.append(("x-oss-date", time_line))
    unsigned = WireRequest("GET", target, tuple(given), "bucket", "key")
    names = tuple(additional.split(";")) if additional else ()
    canonical = signature_v4.canonical_request(
        unsigned, headers_by_name(unsigned.headers), parameters(target), names
    )
    text = signature_v4.string_to_sign(time_line, scope, canonical)
    fields = [f"Credential={key_id}/{scope}"]
    if additional:
        fields.append(f"AdditionalHeaders={additional}")
    fields.append(f"Signature={signature_v4.sign('secret', scope, text)}")
    value = f"OSS4-HMAC-SHA256 {','.join(fields)}"
    return replace(unsigned, headers=(*given, ("Authorization", value)))


def signed_v1(headers=(), *, key_id="AKID", date=None, target="/key", method="GET"):
    """A V1 header request, correctly signed whatever it says."""
    given = tuple(headers) or (("Date", date or moments.http_date(NOW_S)),)
    unsigned = WireRequest(method, target, given, "bucket", "key")
    merged = headers_by_name(given)
    text = signature_v1.string_to_sign(
        unsigned, merged, parameters(target), merged.get("x-oss-date") or merged.get("date", "")
    )
    value = f"OSS {key_id}:{signature_v1.sign('secret', text)}"
    return replace(unsigned, headers=(*given, ("Authorization", value)))


def link_v4(expires="600", **replaced):
    scope = Scope(moments.basic(NOW_S)[:8], REGION, "oss", "aliyun_v4_request")
    query = {
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": f"AKID%2F{str(scope).replace('/', '%2F')}",
        "x-oss-date": moments.basic(NOW_S),
        "x-oss-expires": expires,
    } | replaced
    target = "/key?" + "&".join(f"{name}={value}" for name, value in query.items())
    unsigned = WireRequest("GET", target, (), "bucket", "key")
    canonical = signature_v4.canonical_request(unsigned, {}, parameters(target), ())
    text = signature_v4.string_to_sign(query["x-oss-date"], scope, canonical)
    signature = signature_v4.sign("secret", scope, text)
    return replace(unsigned, target=f"{target}&x-oss-signature={signature}")


def link_v1(expires):
    target = f"/key?Expires={expires}&OSSAccessKeyId=AKID"
    unsigned = WireRequest("GET", target, (), "bucket", "key")
    text = signature_v1.string_to_sign(unsigned, {}, parameters(target), str(expires))
    signature = signature_v1.sign("secret", text).replace("+", "%2B").replace("/", "%2F")
    return replace(unsigned, target=f"{target}&Signature={signature}")


def form_v4(policy="cG9saWN5"):
    scope = Scope(moments.basic(NOW_S)[:8], REGION, "oss", "aliyun_v4_request")
    return {
        "policy": policy,
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": f"AKID/{scope}",
        "x-oss-date": moments.basic(NOW_S),
        "x-oss-signature": signature_v4.sign("secret", scope, policy),
    }


def form_v1(policy="cG9saWN5"):
    return {
        "policy": policy,
        "ossaccesskeyid": "AKID",
        "signature": signature_v1.sign("secret", policy),
    }
