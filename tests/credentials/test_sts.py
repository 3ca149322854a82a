"""Roles assumed through STS: by OIDC token, by the keys of a profile, by another role."""

import json
import time
import urllib.parse
from types import SimpleNamespace

import pytest

from osssync.config import CredentialSettings, CredentialSource
from osssync.credentials import sdk
from osssync.credentials.sources import open_fetcher, open_provider
from osssync.errors import CredentialsError
from tests.credentials.metadata_stub import SECRET, STS_TOKEN

# alibabacloud-credentials 1.0.12 signs STS requests with utcnow(), deprecated since Python 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

KEYS = {"access_key_id": "LTAI-profile", "access_key_secret": "profile-secret"}
ROLE_ARN = "acs:ram::1234:role/DeployRole"


def settings_for(source, **fields):
    return CredentialSettings(source=CredentialSource(source), **fields)


@pytest.fixture
def sts(monkeypatch):
    """Stands in for the https session to STS; keeps queries and hosts, answers as told."""
    sdk.load()
    from Tea.core import TeaCore

    expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    service = SimpleNamespace(queries=[], hosts=[], status=200, failure=None)
    service.answer = {
        "Credentials": {
            "AccessKeyId": "STS.Assumed",
            "AccessKeySecret": SECRET,
            "SecurityToken": STS_TOKEN,
            "Expiration": expiration,
        }
    }

    class Session:
        def send(self, request, **_):
            parts = urllib.parse.urlsplit(request.url)
            assert parts.scheme == "https"
            service.hosts.append(parts.hostname)
            service.queries.append(dict(urllib.parse.parse_qsl(parts.query)))
            if service.failure:
                raise OSError(f"{service.failure} with url: {request.url}")
            body = json.dumps(service.answer).encode()
            return SimpleNamespace(status_code=service.status, reason="", headers={}, content=body)

    def get_session(session_key, **_):
        return TeaCore._sessions.get(session_key) or Session()  # ours for metadata stays in place

    monkeypatch.setattr(TeaCore, "_get_session", staticmethod(get_session))
    return service


@pytest.fixture
def oidc_environ(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("oidc-token-1", encoding="utf-8")
    return {
        "ALIBABA_CLOUD_ROLE_ARN": ROLE_ARN,
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1234:oidc-provider/ack",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(token_file),
    }


def test_oidc_assumes_the_role_with_the_token_of_the_moment(sts, oidc_environ, tmp_path):
    """Kubernetes replaces the file; every fetch reads it."""
    fetch = open_fetcher(settings_for("oidc"), oidc_environ)
    found = fetch()
    (tmp_path / "token").write_text("oidc-token-2", encoding="utf-8")
    fetch()

    assert (found.access_key_id, found.identity) == ("STS.Assumed", "DeployRole")
    assert found.expires_at_s > time.time() + 3000
    assert [query["OIDCToken"] for query in sts.queries] == ["oidc-token-1", "oidc-token-2"]
    assert sts.queries[0]["RoleArn"] == ROLE_ARN
    assert sts.queries[0]["RoleSessionName"] == "osssync"
    assert sts.hosts == ["sts.aliyuncs.com"] * 2


def test_oidc_honours_the_documented_variables_for_sts(sts, oidc_environ):
    """Region, VPC endpoint and session name."""
    environ = oidc_environ | {
        "ALIBABA_CLOUD_STS_REGION": "cn-beijing",
        "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED": "true",
        "ALIBABA_CLOUD_ROLE_SESSION_NAME": "nightly",
    }

    open_fetcher(settings_for("oidc"), environ)()

    assert sts.hosts == ["sts-vpc.cn-beijing.aliyuncs.com"]
    assert sts.queries[0]["RoleSessionName"] == "nightly"


def test_oidc_without_its_variables_names_them():
    """All that are missing, at once."""
    with pytest.raises(
        CredentialsError, match=r"ROLE_ARN and .*PROVIDER_ARN and .*TOKEN_FILE must"
    ):
        open_provider(settings_for("oidc"), {})


def test_oidc_without_its_token_file_asks_about_rrsa(oidc_environ, tmp_path):
    """The likely cause: the service account has no role."""
    (tmp_path / "token").unlink()

    with pytest.raises(CredentialsError, match=r"OIDC token file.*is RRSA set up"):
        open_fetcher(settings_for("oidc"), oidc_environ)()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"failure": "Read timed out."}, r"could not be reached \(timed out\)"),
        ({"failure": "refused"}, r"could not be reached \(no connection\)"),
        (
            {"status": 400, "answer": {"Code": "AuthenticationFail.OIDCToken.Expired",
             "RequestId": "AB-12", "Message": f"string to sign is {STS_TOKEN}"}},
            r"STS refused \(AuthenticationFail.OIDCToken.Expired, HTTP 400, request id AB-12\)",
        ),
        ({"status": 500, "answer": []}, r"STS refused \(no code, HTTP 500"),
        ({"answer": {"Credentials": {"AccessKeyId": "a", "AccessKeySecret": SECRET}}},
         "not be used"),
        ({"answer": {"Credentials": {"AccessKeyId": "a", "AccessKeySecret": SECRET,
          "SecurityToken": STS_TOKEN, "Expiration": "soon"}}}, "not be used"),
        ({"answer": {"Credentials": {"AccessKeyId": "a", "AccessKeySecret": SECRET,
          "SecurityToken": STS_TOKEN, "Expiration": "2020-01-01T00:00:00Z"}}}, "clock is ahead"),
    ],
)  # fmt: skip
def test_a_failure_of_sts_is_told_without_its_text(sts, oidc_environ, changes, message):
    """Its texts quote tokens, signed URLs and whole answers."""
    for name, value in changes.items():
        setattr(sts, name, value)

    with pytest.raises(CredentialsError, match=message) as caught:
        open_fetcher(settings_for("oidc"), oidc_environ)()

    for secret in (SECRET, STS_TOKEN, "oidc-token"):
        assert secret not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_role_is_assumed_with_the_keys_of_its_profile(profiles, sts):
    """RamRoleArn: everything the profile says reaches STS."""
    fetch = profiles(
        {"name": "default", "mode": "RamRoleArn", **KEYS, "ram_role_arn": ROLE_ARN,
         "ram_session_name": "me", "expired_seconds": 900, "external_id": "x1",
         "policy": "{}", "sts_region": "cn-beijing"}
    )  # fmt: skip

    found = fetch()

    sent = sts.queries[0]
    assert (found.access_key_id, found.identity) == ("STS.Assumed", "DeployRole")
    assert (sent["AccessKeyId"], sent["RoleSessionName"], sent["DurationSeconds"]) == (
        "LTAI-profile", "me", "900",
    )  # fmt: skip
    assert (sent["ExternalId"], sent["Policy"], sts.hosts) == (
        "x1", "{}", ["sts.cn-beijing.aliyuncs.com"],
    )  # fmt: skip


def test_roles_are_chained_through_profiles(profiles, sts):
    """ChainableRamRoleArn on RamRoleArn: the first role's set, token included, signs the second."""
    fetch = profiles(
        {"name": "default", "mode": "ChainableRamRoleArn", "source_profile": "first",
         "ram_role_arn": "acs:ram::1234:role/Second"},
        {"name": "first", "mode": "RamRoleArn", **KEYS, "ram_role_arn": ROLE_ARN},
    )  # fmt: skip

    assert fetch().identity == "Second"
    assert [query["AccessKeyId"] for query in sts.queries] == ["LTAI-profile", "STS.Assumed"]
    assert [query.get("SecurityToken") for query in sts.queries] == [None, STS_TOKEN]


def test_a_profile_of_oidc_reaches_sts(profiles, sts, oidc_environ):
    """The same fetch as the source oidc, from a file."""
    fetch = profiles(
        {"name": "default", "mode": "OIDC", "ram_role_arn": ROLE_ARN,
         "oidc_provider_arn": "acs:p", "oidc_token_file": oidc_environ[
             "ALIBABA_CLOUD_OIDC_TOKEN_FILE"]}
    )  # fmt: skip

    assert fetch().identity == "DeployRole"
    assert sts.queries[0]["OIDCProviderArn"] == "acs:p"


def test_a_role_assumed_by_an_instance_role_is_signed_by_it(profiles, stub, sts):
    """RamRoleArnWithRoleName: two fetches through the package, one after the other."""
    fetch = profiles(
        {"name": "default", "mode": "RamRoleArnWithRoleName", "ram_role_name": "AppRole",
         "ram_role_arn": ROLE_ARN},
        metadata_proxy=stub.proxy,
    )  # fmt: skip

    assert fetch().identity == "DeployRole"
    assert sts.queries[0]["AccessKeyId"] == "STS.Set0001ForTests"
