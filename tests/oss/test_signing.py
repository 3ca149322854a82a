"""Signatures: the published ones, those of oss2, and what never happens while signing."""

import json
import logging
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import oss2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.config import SignatureVersion
from osssync.errors import CredentialsRefusedError, UsageError
from osssync.oss.canonical import query_string
from osssync.oss.signature import SUBRESOURCES, ClockOffset, SignerV1, SignerV4
from osssync.oss.signing import SdkSignerV1, SdkSignerV4
from tests.oss.stub_server import ACCESS_KEY_ID, SECRET, TOKEN, Answer, FixedCredentials, error_xml

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/oss-signatures.json").read_text())
NOW_S = 1_700_000_000.25
V4, V1 = SignatureVersion.V4, SignatureVersion.V1
SIGNERS = {V4: SdkSignerV4, V1: SdkSignerV1}


def signer(version, provider=None, now_s=NOW_S):
    clock_offset = ClockOffset(clock=lambda: now_s)
    return SIGNERS[version](provider or FixedCredentials(), clock_offset)


def request(method="GET", params=None, headers=None):
    return oss2.http.Request(
        method,
        "http://host/path",
        params=dict(params or {}),
        headers=dict(headers or {}),
        region="cn-hangzhou",
        product="oss",
    )


class Frozen(datetime):
    """oss2's clock, standing still."""

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(NOW_S, UTC).replace(tzinfo=None)


@contextmanager
def oss2_clock_stopped():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oss2.auth, "datetime", Frozen)
        patch.setattr(oss2.utils.time, "time", lambda: NOW_S)
        yield


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
odd_texts = texts | st.sampled_from(
    ["+ ~!'()*%", "a/b//c/../", "日本\U0001f600", "&=?#", "\x00\r\n"]
)
values = st.text(st.characters(min_codepoint=0x21, exclude_categories=["Cs"]), max_size=8)
header_maps = st.dictionaries(
    st.sampled_from(
        ["x-oss-meta-a", "X-OSS-Meta-B", "x-oss-acl", "Content-Type", "content-md5", "Range"]
    ),
    values,
)
param_maps = st.dictionaries(
    odd_texts | st.sampled_from(["acl", "uploads", "partNumber", "continuation-token"]), odd_texts
)
methods = st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE"])
tokens = st.sampled_from([TOKEN, ""])
OF_SIGNATURES = ("x-oss-date", "x-oss-content-sha256", "x-oss-security-token")


def theirs(version, token):
    kind = {V4: oss2.ProviderAuthV4, V1: oss2.ProviderAuth}[version]
    return kind(FixedCredentials(token=token))


@st.composite
def signables(draw):
    """Method, bucket, key, params, headers: anything a request may have."""
    bucket = draw(st.sampled_from(["", "bucket"]))
    key = draw(odd_texts) if bucket else ""
    return draw(methods), bucket, key, draw(param_maps), draw(header_maps)


@pytest.mark.parametrize("version", [V4, V1])
@given(signables(), tokens)
def test_headers_are_signed_as_oss2_signs_them(version, signable, token):
    """Any method, key, parameters and headers: the same headers as oss2 at the same instant."""
    method, bucket, key, params, headers = signable
    ours_request, theirs_request = (request(method, params, headers) for _ in range(2))

    signer(version, FixedCredentials(token=token))._sign_request(ours_request, bucket, key)
    with oss2_clock_stopped():
        theirs(version, token)._sign_request(theirs_request, bucket, key)

    assert dict(theirs_request.headers) == dict(ours_request.headers)


@pytest.mark.parametrize("version", [V4, V1])
@given(signables(), tokens)
def test_links_are_signed_as_oss2_signs_them(version, signable, token):
    """The same parameters, signature included, in the same order."""
    method, _, key, params, headers = signable
    ours_request, theirs_request = (request(method, params, headers) for _ in range(2))

    signer(version, FixedCredentials(token=token))._sign_url(ours_request, "bucket", key, 60)
    with oss2_clock_stopped():
        theirs(version, token)._sign_url(theirs_request, "bucket", key, 60)

    assert list(theirs_request.params.items()) == list(ours_request.params.items())


def test_an_additional_header_is_signed_as_oss2_signs_it():
    """AdditionalHeaders are named and signed; those signed anyway are not named again."""
    headers = {"Host": "b.oss-cn-hangzhou.aliyuncs.com", "x-oss-meta-a": "1"}
    ours_request, theirs_request = (request("PUT", {}, headers) for _ in range(2))

    signer(V4)._sign_request(ours_request, "b", "k", ["Host", "x-oss-meta-a", "content-type"])
    with oss2_clock_stopped():
        theirs(V4, TOKEN)._sign_request(theirs_request, "b", "k", ["Host"])

    assert "AdditionalHeaders=host" in ours_request.headers["authorization"]
    assert theirs_request.headers["authorization"] == ours_request.headers["authorization"]


def header_vectors():
    for vector in VECTORS:
        headers = {name.lower(): value for name, value in vector["headers"]}
        if "authorization" in headers:
            yield pytest.param(vector, headers, id=vector["id"])


@pytest.mark.parametrize(("vector", "headers"), list(header_vectors()))
def test_published_signatures_are_reproduced(vector, headers):
    """The vendor's own examples, at their clock, with their keys."""
    published = headers.pop("authorization")
    is_v4 = published.startswith("OSS4")
    clock = datetime.fromisoformat(vector["clock_utc"]).replace(tzinfo=UTC).timestamp()
    credentials = FixedCredentials(vector["ak"], vector["sk"], vector["token"] or "")
    target = urlsplit(vector["target"])
    params = {
        unquote(part.partition("=")[0]): unquote(part.partition("=")[2])
        for part in target.query.split("&")
        if part
    }
    host = vector["host"].split(".")
    bucket = host[0] if len(host) > 3 else ""
    key = unquote(target.path[1:])
    req = request(vector["method"], params, headers)
    additional = None
    if is_v4:
        req.region = published.split("/")[2]
        named = published.partition("AdditionalHeaders=")[2].partition(",")[0]
        additional = [name for name in named.split(";") if name]
        if "host" in additional:
            req.headers["host"] = vector["host"]
        _, _, rest = published.partition("Signature=")
        signature = rest.partition(",")[0]
        signer(V4, credentials, clock)._sign_request(req, bucket, key, additional)
        assert f"Signature={signature}" in req.headers["authorization"]
    else:
        signer(V1, credentials, clock)._sign_request(req, bucket, key)
        assert req.headers["authorization"] == published


@pytest.mark.parametrize("version", [V4, V1])
def test_credentials_are_read_once_per_request(version):
    """Three reads could straddle a rotation."""
    provider = FixedCredentials()

    signer(version, provider)._sign_request(request(), "b", "k")

    assert provider.reads == 1


def test_a_rotation_signs_with_the_new_secret_at_once():
    """The cached signing key belongs to one id and one secret."""

    class Rotating(FixedCredentials):
        def get_credentials(self):
            self.reads += 1
            return FixedCredentials(secret=f"secret-{(self.reads - 1) // 2}")

    auth, signatures = signer(V4, Rotating()), []
    for _ in range(4):
        req = request()
        auth._sign_request(req, "b", "k")
        signatures.append(req.headers["authorization"])

    assert signatures[0] == signatures[1] != signatures[2] == signatures[3]


def test_the_learned_offset_is_added_to_the_time_of_signing():
    """A clock an hour slow signs with the service's time after learning it."""
    clock_offset = ClockOffset(clock=lambda: NOW_S - 3600)
    auth = SdkSignerV4(FixedCredentials(), clock_offset)
    late, right = request(), request()

    auth._sign_request(late, "b", "k")
    offset_s = clock_offset.learn(NOW_S)
    auth._sign_request(right, "b", "k")

    assert offset_s == 3600
    assert late.headers["x-oss-date"] == "20231114T211320Z"
    assert right.headers["x-oss-date"] == "20231114T221320Z"


def test_v1_is_signed_with_the_learned_offset_too():
    """Date header of V1."""
    clock_offset = ClockOffset(clock=lambda: NOW_S - 3600)
    clock_offset.learn(NOW_S)
    req = request()

    SdkSignerV1(FixedCredentials(), clock_offset)._sign_request(req, "b", "k")

    assert req.headers["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_v4_without_a_region_is_refused():
    """There is no scope to sign for."""
    req = request()
    req.region = None

    with pytest.raises(UsageError, match="region"):
        signer(V4)._sign_request(req, "b", "k")


def test_each_thread_knows_what_it_signed_with():
    """The id of the thread's own last request, not of the newest one."""
    provider = FixedCredentials()
    auth = signer(V4, provider)
    auth._sign_request(request(), "b", "k")
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(auth.signed_with))

    thread.start()
    thread.join()

    assert (auth.signed_with, elsewhere) == (ACCESS_KEY_ID, [""])


def test_no_secret_is_logged_at_any_level(server, bucket, caplog):
    """Everything at DEBUG, a successful and a refused request: no token, secret or signature."""
    caplog.set_level(logging.DEBUG)
    refusal = error_xml("SecurityTokenExpired", SecurityToken=TOKEN, SignatureProvided="abc123sig=")
    server.answers(Answer(body=b"ok"), Answer(403, body=refusal), Answer(204))

    bucket.get("k", lambda _: None)
    with pytest.raises(CredentialsRefusedError):
        bucket.get("k", lambda _: None)
    bucket.abort("k", "through oss2")
    logging.getLogger("osssync").debug("the log is on")

    signature = server.requests[0].headers["authorization"].partition("Signature=")[2]
    for secret in (TOKEN, SECRET, signature, "abc123sig="):
        assert secret not in caplog.text
    assert "the log is on" in caplog.text


def test_nothing_of_a_signer_shows_a_secret():
    """Repr of the signer and of what it remembers."""
    auth = signer(V4)
    auth._sign_request(request(), "b", "k")

    shown = f"{auth!r} {vars(auth)!r} {auth._identity()!r}"

    assert SECRET not in shown
    assert TOKEN not in shown


def test_queries_are_percent_encoded_throughout():
    """The characters "+" and " " survive any decoder; a bare name stays bare."""
    assert query_string({"a b": "c+d/é", "uploads": ""}) == "a%20b=c%2Bd%2F%C3%A9&uploads"


def test_the_signing_key_is_derived_once(monkeypatch):
    """Four HMACs for the key of the day; what a request needs is made from what they give."""
    from osssync.oss import signature

    digest, calls = signature.hmac.digest, []

    def counted(*arguments):
        calls.append(arguments)
        return digest(*arguments)

    monkeypatch.setattr(signature.hmac, "digest", counted)
    auth = signer(V4)

    for _ in range(10):
        auth._sign_request(request(), "bucket", "key")

    assert len(calls) == 4


@pytest.mark.parametrize("version", [V4, V1])
@given(signables(), tokens)
def test_lines_to_send_are_signed_as_oss2_signs_headers(version, signable, token):
    """What goes without oss2: the same date, token and authorization, as lines of a head."""
    method, bucket, key, params, headers = signable
    theirs_request = request(method, params, headers)
    kind = {V4: SignerV4, V1: SignerV1}[version]
    ours = kind(FixedCredentials(token=token), ClockOffset(lambda: NOW_S), "cn-hangzhou")
    uri = f"/{bucket}/{quote(key)}" if bucket else "/"

    lines = ours.stamp().sign(method, uri, params, headers)

    with oss2_clock_stopped():
        theirs(version, token)._sign_request(theirs_request, bucket, key)
    expected = {
        f"{name}: {theirs_request.headers[name]}"
        for name in ("authorization", "date", *OF_SIGNATURES)
        if name in theirs_request.headers
    }
    assert expected == set(lines.decode().removesuffix("\r\n").split("\r\n"))


def test_v1_signs_the_parameters_that_oss2_signs():
    """A subresource that one of both does not know would be a refused signature."""
    assert oss2.ProviderAuth._subresource_key_set == SUBRESOURCES
