"""Signed links and forms: their lives, their parts, their signatures."""

import re
from dataclasses import replace

import pytest

from osssync.emulator import moments
from osssync.emulator.authority import Authority
from osssync.emulator.errors import OssFault
from osssync.emulator.settings import Settings
from osssync.emulator.signature import WireRequest, authenticate, authenticate_form
from tests.emulator.signing import (
    NOW_S,
    PLAIN,
    REGION,
    TEMPORARY,
    fault_of,
    form_v1,
    form_v4,
    link_v1,
    link_v4,
)


@pytest.fixture
def authority():
    return Authority(Settings(credentials=(PLAIN, TEMPORARY)), clock=lambda: NOW_S)


@pytest.mark.parametrize(
    ("expires", "later_s", "answer"),
    [
        ("600", 600, ""),
        ("600", 601, "AccessDenied 0002-00000069"),
        ("604800", 604_800, ""),
        ("604801", 0, "InvalidArgument 0002-00000232"),
        ("0", 0, "InvalidArgument 0002-00000232"),
        ("soon", 0, "InvalidArgument 0002-00000232"),
        ("600", -899, ""),
        ("600", -901, "AccessDenied "),
    ],
)
def test_a_v4_link_lives_from_its_date_to_its_end(authority, expires, later_s, answer):
    """1 s to 7 d from x-oss-date on; its last second still counts."""
    try:
        authenticate(link_v4(expires), authority, region=REGION, now_s=NOW_S + later_s)
        actual = ""
    except OssFault as fault:
        actual = f"{fault.code} {fault.ec}"

    assert answer == actual


def test_a_v4_link_without_date_or_version_is_refused(authority):
    """Every part of a link is needed."""
    dateless = re.sub(r"x-oss-date=[^&]+&", "", link_v4().target)
    versionless = link_v4(**{"x-oss-signature-version": "OSS5"})

    assert fault_of(replace(link_v4(), target=dateless), authority).ec == "0002-00000503"
    assert fault_of(versionless, authority).ec == "0002-00000066"


@pytest.mark.parametrize(
    ("expires", "answer"),
    [
        (int(NOW_S), ""),
        (int(NOW_S) - 1, "AccessDenied 0002-00000069"),
        ("abc", "AccessDenied 0002-00000070"),
        ("", "AccessDenied 0002-00000068"),
    ],
)
def test_a_v1_link_ends_when_it_says(authority, expires, answer):
    """Expires is the last second a V1 link works."""
    try:
        authenticate(link_v1(expires), authority, region=REGION, now_s=NOW_S)
        actual = ""
    except OssFault as fault:
        actual = f"{fault.code} {fault.ec}"

    assert answer == actual


def test_an_expired_link_tells_both_times(authority):
    """The body has the end of the link and the time of the server."""
    fault = fault_of(link_v1(int(NOW_S) - 60), authority)

    assert {
        "Expires": moments.extended(NOW_S - 60), "ServerTime": moments.extended(NOW_S),
    } == fault.extra  # fmt: skip


@pytest.mark.parametrize("missing", ["Expires", "OSSAccessKeyId", "Signature"])
def test_a_v1_link_needs_all_its_parts(authority, missing):
    """Without one of the three there is no signature to believe."""
    pieces = link_v1(int(NOW_S)).target.partition("?")[2].split("&")
    left = "&".join(piece for piece in pieces if not piece.startswith(missing))

    fault = fault_of(WireRequest("GET", f"/key?{left}", (), "bucket", "key"), authority)

    assert (fault.status, fault.code) == (403, "AccessDenied")


@pytest.mark.parametrize("form", [form_v1(), form_v4()], ids=["v1", "v4"])
def test_a_form_is_signed_over_its_policy(authority, form):
    """The signature of a form covers the policy, and only the right one passes."""
    identity = authenticate_form(form, authority, region=REGION, now_s=NOW_S)

    assert identity.access_key_id == "AKID"
    with pytest.raises(OssFault) as caught:
        authenticate_form({**form, "policy": "b3RoZXI="}, authority, region=REGION, now_s=NOW_S)
    assert (caught.value.code, caught.value.ec) == ("SignatureDoesNotMatch", "0002-00000705")


def test_a_form_without_policy_is_anonymous_or_incomplete(authority):
    """No signing field at all is anonymous; some but no policy is an error."""
    anonymous = authenticate_form({"key": "k"}, authority, region=REGION, now_s=NOW_S)

    assert anonymous.is_anonymous
    with pytest.raises(OssFault) as caught:
        authenticate_form({"ossaccesskeyid": "AKID"}, authority, region=REGION, now_s=NOW_S)
    assert caught.value.ec == "0002-00000702"
