"""Each rule of signed headers, broken alone: dates, scopes, tokens, formats."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.emulator import moments, signature_v1
from osssync.emulator.authority import Authority
from osssync.emulator.errors import OssFault
from osssync.emulator.settings import Settings
from osssync.emulator.signature import WireRequest, authenticate
from osssync.emulator.signature_v4 import Scope
from tests.emulator.signing import (
    NOW_S,
    PLAIN,
    REGION,
    TEMPORARY,
    code_of,
    fault_of,
    signed_v1,
    signed_v4,
)


@pytest.fixture
def authority():
    return Authority(Settings(credentials=(PLAIN, TEMPORARY)), clock=lambda: NOW_S)


def test_a_request_without_signature_is_anonymous(authority):
    """No signature at all is not an error here: what it may do is another question."""
    identity = authenticate(
        WireRequest("GET", "/key?Expires=1", (), "bucket", "key"), authority, region=REGION,
        now_s=NOW_S,
    )  # fmt: skip

    assert identity.is_anonymous
    assert not identity.allows("oss:GetObject", "acs:oss:*:*:bucket/key")


def test_v4_without_x_oss_date_signs_the_date_header_as_it_stands(authority):
    """Clients that send only Date put its raw text into the string to sign."""
    date = moments.http_date(NOW_S)
    request = signed_v4([("Date", date)], date=date)

    identity = authenticate(request, authority, region=REGION, now_s=NOW_S)

    assert identity.access_key_id == "AKID"


def test_v1_prefers_x_oss_date_and_signs_it_as_a_header_too(authority):
    """A proxy may rewrite Date; x-oss-date wins and is protected."""
    request = signed_v1([("Date", "garbage"), ("x-oss-date", moments.http_date(NOW_S))])

    assert code_of(request, authority, NOW_S) == ""


def test_non_ascii_metadata_is_signed_as_its_bytes(authority):
    """Header values are the bytes of the wire, whatever their meaning."""
    raw = b"\xff".decode("utf-8", "surrogateescape")
    headers = [("x-oss-meta-name", "名前"), ("x-oss-meta-raw", raw)]

    assert code_of(signed_v4(headers), authority, NOW_S) == ""


def test_repeated_headers_are_joined_in_order(authority):
    """Two headers of one name are one header with a comma, as RFC 9110 says."""
    request = signed_v4([("x-oss-meta-a", "1"), ("X-Oss-Meta-A", " 2 ")])
    joined = tuple(pair for pair in request.headers if pair[0].lower() != "x-oss-meta-a")

    assert code_of(replace(request, headers=(*joined, ("x-oss-meta-a", "1,2"))), authority,
                         NOW_S) == ""  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code", "cause"),
    [
        ({"scope": Scope("20261124", "cn-beijing", "oss", "aliyun_v4_request")}, "InvalidArgument",
         "0002-00000226"),
        ({"scope": Scope("20261124", REGION, "s3", "aliyun_v4_request")}, "InvalidArgument",
         "0002-00000227"),
        ({"scope": Scope("20261124", REGION, "oss", "aws4_request")}, "InvalidArgument",
         "0002-00000224"),
        ({"scope": Scope("2026-11-24", REGION, "oss", "aliyun_v4_request")}, "InvalidArgument",
         "0002-00000212"),
        ({"scope": Scope("20261123", REGION, "oss", "aliyun_v4_request")}, "InvalidArgument",
         "0002-00000212"),
        ({"additional": "host;"}, "InvalidArgument", "0002-00000210"),
        ({"additional": "range"}, "InvalidArgument", ""),
        ({"date": ""}, "AccessDenied", "0002-00000503"),
        ({"headers": (("x-oss-date", "Tue, 24 Nov 2026 06:00:00 GMT"),),
          "date": "Tue, 24 Nov 2026 06:00:00 GMT"}, "AccessDenied", "0002-00000502"),
    ],
)  # fmt: skip
def test_v4_refuses_with_the_documented_cause(authority, change, code, cause):
    """A correct HMAC over a wrong statement is refused, and the answer says which."""
    fault = fault_of(signed_v4(**change), authority)

    assert (code, cause) == (fault.code, fault.ec)


def test_v4_needs_the_unsigned_payload_header(authority):
    """x-oss-content-sha256 must be there, and must be UNSIGNED-PAYLOAD."""
    good = signed_v4()
    without = tuple(pair for pair in good.headers if pair[0] != "x-oss-content-sha256")
    other_hash = (*without, ("x-oss-content-sha256", "e3b0c442"))

    assert fault_of(replace(good, headers=without), authority).ec == "0002-00000214"
    assert fault_of(replace(good, headers=other_hash), authority).ec == "0002-00000214"


@pytest.mark.parametrize(
    ("authorization", "cause"),
    [
        ("Basic dXNlcg==", "0002-00000061"),
        ("OSSxxx AKID:c2ln", "0002-00000061"),
        ("OSS AKID:", "0002-00000065"),
        ("OSS AKID", "0002-00000065"),
        ("OSS4-HMAC-SHA256 Signature=00", "0002-00000202"),
        ("OSS4-HMAC-SHA256 Credential=AKID/20261124/cn-hangzhou/oss/aliyun_v4_request",
         "0002-00000202"),
        ("OSS4-HMAC-SHA256 Credential=AKID,Signature=00", "0002-00000224"),
        (("OSS4-HMAC-SHA256 Credential=AKID/20261124/cn-hangzhou/oss/aliyun_v4_request,"
         "AdditionalHeaders=,Signature=00"), "0002-00000209"),
    ],
)  # fmt: skip
def test_malformed_authorization_is_an_invalid_argument(authority, authorization, cause):
    """What cannot be read is a 400, not a wrong signature."""
    headers = (("Authorization", authorization), ("Date", moments.http_date(NOW_S)))

    fault = fault_of(WireRequest("GET", "/key", headers, "bucket", "key"), authority)

    assert (400, "InvalidArgument", cause) == (fault.status, fault.code, fault.ec)


def test_a_signature_in_both_places_is_refused(authority):
    """Header or query, never both."""
    good = signed_v1()

    fault = fault_of(replace(good, target="/key?OSSAccessKeyId=AKID&Signature=x"), authority)

    assert fault.ec == "0002-00000039"


@pytest.mark.parametrize("sign", [signed_v1, signed_v4])
@pytest.mark.parametrize(
    ("skew_s", "code"),
    [
        (899, ""),
        (901, "RequestTimeTooSkewed"),
        (-899, ""),
        (-901, "RequestTimeTooSkewed"),
    ],
)
def test_fifteen_minutes_of_skew_are_allowed(authority, sign, skew_s, code):
    """±15 minutes: inside is fine, outside is RequestTimeTooSkewed."""
    assert code == code_of(sign(), authority, NOW_S + skew_s)


def test_a_skewed_clock_is_told_the_time(authority):
    """The answer holds what a client needs to correct itself."""
    fault = fault_of(signed_v4(), authority, now_s=NOW_S + 3600)

    assert {
        "MaxAllowedSkewMilliseconds": "900000",
        "RequestTime": moments.extended(NOW_S),
        "ServerTime": moments.extended(NOW_S + 3600),
    } == fault.extra


def test_a_wrong_signature_shows_what_the_server_signed(authority):
    """The body names both sides, so that a client's author can compare, and no secret."""
    fault = fault_of(replace(signed_v4(), method="PUT"), authority)

    assert fault.extra["StringToSign"].startswith("OSS4-HMAC-SHA256\n")
    assert fault.extra["CanonicalRequest"].startswith("PUT\n/bucket/key\n")
    assert fault.extra["OSSAccessKeyId"] == "AKID"
    assert bytes.fromhex(fault.extra["StringToSignBytes"]) == fault.extra["StringToSign"].encode()
    assert "secret" not in json.dumps(fault.extra)


@pytest.mark.parametrize("sign", [signed_v1, signed_v4])
def test_a_temporary_key_needs_its_own_token(authority, sign):
    """Missing, foreign and garbled tokens are three different answers."""
    date = [("Date", moments.http_date(NOW_S))] if sign is signed_v1 else []
    token = ("x-oss-security-token", "the-token")

    assert code_of(sign([*date, token], key_id="STS.AKID"), authority, NOW_S) == ""
    assert fault_of(sign(key_id="STS.AKID"), authority).ec == "0002-00000003"
    garbled = sign([*date, ("x-oss-security-token", "the-tokem")], key_id="STS.AKID")
    assert fault_of(garbled, authority).code == "InvalidSecurityToken"
    plain_with_token = sign([*date, token], key_id="AKID")
    assert fault_of(plain_with_token, authority).code == "InvalidSecurityToken"


def test_a_token_of_another_set_does_not_match(authority):
    """A torn credential, key of one rotation and token of another, is refused as OSS does."""
    first, second = authority.rotate(), authority.rotate()
    request = signed_v4(
        [("x-oss-security-token", second.security_token)], key_id=first.access_key_id
    )

    assert fault_of(request, authority).code == "AccessKeyIdAndSecurityTokenNotMatch"


def test_an_expired_token_says_so_and_names_itself(authority):
    """SecurityTokenExpired comes with the token in its body, as OSS sends it."""
    old = authority.rotate()
    request = signed_v4([("x-oss-security-token", old.security_token)], key_id=old.access_key_id)

    fault = fault_of(request, authority, now_s=old.expires_s)

    assert (fault.code, fault.ec) == ("SecurityTokenExpired", "0002-00000007")
    assert {"SecurityToken": old.security_token} == fault.extra


def test_a_bucket_in_the_path_may_be_signed_without_its_slash(authority):
    """Some path-style clients list ``/bucket?…`` and sign just that; others sign ``/bucket/``."""
    date = moments.http_date(NOW_S)
    headers = (("Date", date),)
    request = WireRequest("GET", "/bucket?prefix=a", headers, "bucket", "")
    for resource in ("/bucket", "/bucket/"):
        signature = signature_v1.sign("secret", f"GET\n\n\n{date}\n{resource}")
        signed = (*headers, ("Authorization", f"OSS AKID:{signature}"))

        assert code_of(replace(request, headers=signed), authority) == ""
        slashed = replace(request, headers=signed, target="/bucket/?prefix=a")
        accepted = code_of(slashed, authority) == ""
        assert accepted is (resource == "/bucket/")


_NAMES = st.sampled_from(
    ["Authorization", "Date", "x-oss-date", "x-oss-security-token", "x-oss-content-sha256", "Host"]
)
_VALUES = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["OSS ", "OSS4-HMAC-SHA256 Credential=", "OSS4-HMAC-SHA256 "]),
        st.sampled_from(["AKID:", "AKID/20261124/cn-hangzhou/oss/aliyun_v4_request,Signature="]),
        st.text(max_size=40),
    ),
    st.sampled_from([moments.http_date(NOW_S), moments.basic(NOW_S), "UNSIGNED-PAYLOAD"]),
)
_PARAMETERS = st.builds(
    "{}={}".format,
    st.sampled_from(
        ["OSSAccessKeyId", "Expires", "Signature", "x-oss-signature-version", "x-oss-expires",
         "x-oss-credential", "x-oss-date", "x-oss-signature", "x-oss-additional-headers"]
    ),
    st.one_of(
        st.text("A%+0123456789abcF;/²", max_size=30),
        st.sampled_from(
            ["AKID", "OSS4-HMAC-SHA256", moments.basic(NOW_S), "600",
             "AKID/20261124/cn-hangzhou/oss/aliyun_v4_request"]
        ),
    ),
)  # fmt: skip


@given(
    headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=6),
    query=st.lists(_PARAMETERS, max_size=8),
)
def test_whatever_arrives_is_judged(headers, query):
    """Any request gets an answer of OSS's: nothing crashes, and nothing unsigned is believed."""
    authority = Authority(Settings(credentials=(PLAIN, TEMPORARY)), clock=lambda: NOW_S)
    request = WireRequest("GET", f"/key?{'&'.join(query)}", tuple(headers), "bucket", "key")

    try:
        believed = not authenticate(request, authority, region=REGION, now_s=NOW_S).is_anonymous
        status = 200
    except OssFault as fault:
        believed, status = False, fault.status

    assert not believed
    assert status in {200, 400, 403}
