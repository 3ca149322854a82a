"""The published signature examples pass, and every signed place is really signed."""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from osssync.emulator import signature_v1
from osssync.emulator.authority import Authority
from osssync.emulator.settings import Settings, StaticCredential
from osssync.emulator.signature import WireRequest, authenticate
from osssync.emulator.wire import decode, headers_by_name, parameters
from tests.emulator.signing import REGION, code_of


@dataclass(frozen=True)
class Vector:
    """One published request, with all that is needed to judge it."""

    name: str
    request: WireRequest
    authority: Authority
    now_s: float

    def judge(self, **changes):
        """The code of the fault a changed request gets; empty if it passes."""
        return code_of(replace(self.request, **changes), self.authority, self.now_s)


def load_vectors():
    path = Path(__file__).parent.parent / "vectors" / "oss-signatures.json"
    return [read_vector(raw) for raw in json.loads(path.read_text())]


def read_vector(raw):
    credential = StaticCredential(raw["ak"], raw["sk"], raw["token"] or "")
    headers = (("Host", raw["host"]), *((name, value) for name, value in raw["headers"]))
    path = raw["target"].partition("?")[0]
    bucket = raw["host"].partition(".")[0]
    request = WireRequest(raw["method"], raw["target"], headers, bucket, decode(path[1:]))
    clock = datetime.fromisoformat(raw["clock_utc"]).replace(tzinfo=UTC)
    authority = Authority(Settings(credentials=(credential,)))
    return Vector(raw["id"], request, authority, clock.timestamp())


VECTORS = load_vectors()
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[one.name for one in VECTORS])


def other(letter):
    """Another letter of the same kind, so that dates and numbers keep their form."""
    if letter.isdigit():
        return "1" if letter == "0" else "0" if letter != "1" else "2"
    return "b" if letter in "aA" else "a"


def signed_headers(request):
    """Names of the headers that the request's signature covers."""
    headers = headers_by_name(request.headers)
    listed = re.search(r"AdditionalHeaders=([^,]+)", headers.get("authorization", ""))
    names = {one.name: one.value for one in parameters(request.target)}
    extra = listed[1] if listed else names.get("x-oss-additional-headers", "")
    default = {"content-type", "content-md5", *extra.split(";")}
    return [name for name in headers if name in default or name.startswith("x-oss-")]


def test_there_are_eighteen_vectors():
    """The file of vectors is whole: a shrunken one would test nothing."""
    assert len(VECTORS) == 18


@each_vector
def test_published_signatures_are_accepted(vector):
    """Every published request is accepted at its clock."""
    identity = authenticate(vector.request, vector.authority, region=REGION, now_s=vector.now_s)

    assert identity.is_owner


@each_vector
def test_every_character_of_a_signature_counts(vector):
    """One changed character of the signature is one too many."""
    text = json.dumps([vector.request.target, vector.request.headers])
    signature = re.search(r"(?:OSS [^:]+:|[sS]ignature=)([^\"&]+)", text)[1]
    for at, letter in enumerate(signature):
        if letter in "%=" or signature[max(0, at - 2) : at].count("%"):
            continue
        broken = signature[:at] + other(letter) + signature[at + 1 :]
        headers = tuple(
            (name, value.replace(signature, broken)) for name, value in vector.request.headers
        )
        target = vector.request.target.replace(signature, broken)

        assert vector.judge(headers=headers, target=target) == "SignatureDoesNotMatch"


@each_vector
def test_the_method_is_signed(vector):
    """A link for reading does not write."""
    assert vector.judge(method="DELETE") == "SignatureDoesNotMatch"


@each_vector
def test_bucket_and_key_are_signed(vector):
    """A signature for one object is worth nothing for another."""
    request = vector.request

    assert vector.judge(bucket=request.bucket + "x") == "SignatureDoesNotMatch"
    assert vector.judge(key=request.key + "x") == "SignatureDoesNotMatch"


@each_vector
def test_signed_query_values_are_signed(vector):
    """Every query parameter that the version covers cannot be changed, dropped or added."""
    is_v4 = "OSS4-HMAC-SHA256" in json.dumps([vector.request.target, vector.request.headers])
    path, _, query = vector.request.target.partition("?")
    pieces = query.split("&") if query else []
    for at, piece in enumerate(pieces):
        name = decode(piece.partition("=")[0])
        if name.lower().endswith("signature") or not (is_v4 or name in signature_v1.SUB_RESOURCES):
            continue
        changed = [*pieces[:at], piece + ("a" if "=" in piece else "=a"), *pieces[at + 1 :]]
        dropped = pieces[:at] + pieces[at + 1 :]

        assert vector.judge(target=f"{path}?{'&'.join(changed)}")
        assert vector.judge(target=f"{path}?{'&'.join(dropped)}")
    assert vector.judge(target=f"{path}?{'&'.join([*pieces, 'acl=x'])}") == "SignatureDoesNotMatch"


@each_vector
def test_signed_headers_are_signed(vector):
    """Every header that the version covers cannot be changed, dropped or added."""
    request = vector.request
    for name in signed_headers(request):
        changed = tuple(
            (one, value[:-1] + other(value[-1]) if one.lower() == name else value)
            for one, value in request.headers
        )
        dropped = tuple(pair for pair in request.headers if pair[0].lower() != name)

        assert vector.judge(headers=changed), name
        assert vector.judge(headers=dropped), name
    added = (*request.headers, ("x-oss-acl", "public-read-write"))
    assert vector.judge(headers=added) == "SignatureDoesNotMatch"


@each_vector
def test_unsigned_headers_are_free(vector):
    """What the version does not cover may be added by a proxy."""
    assert vector.judge(headers=(*vector.request.headers, ("Via", "1.1 proxy"))) == ""


@each_vector
def test_the_key_id_is_checked(vector):
    """Another key id is unknown, whatever the signature."""
    own = vector.authority.find
    key_id = re.search(
        r"(?:OSS (?=[^:]+:)|Credential=|credential=|OSSAccessKeyId=)([^:/&%]+)",
        json.dumps([vector.request.target, vector.request.headers]),
    )[1]
    assert own(key_id)
    swapped = key_id[:-1] + other(key_id[-1])
    headers = tuple(
        (name, re.sub(rf"(OSS |Credential=){key_id}\b", rf"\g<1>{swapped}", value))
        for name, value in vector.request.headers
    )
    target = re.sub(
        rf"((?:credential|OSSAccessKeyId)=){key_id}\b", rf"\g<1>{swapped}", vector.request.target
    )

    assert vector.judge(headers=headers, target=target) == "InvalidAccessKeyId"


@each_vector
def test_an_old_request_is_refused(vector):
    """A captured request is worthless after its time: 15 minutes, or the link's own end."""
    code = code_of(vector.request, vector.authority, vector.now_s + 86_400 * 8)

    assert code in {"RequestTimeTooSkewed", "AccessDenied"}
