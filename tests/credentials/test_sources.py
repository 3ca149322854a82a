"""The other sources: only by explicit choice, each with its own words when it fails."""

import json
import math
import time
import urllib.parse
from types import SimpleNamespace

import pytest

from osssync.config import CredentialSettings, CredentialSource
from osssync.credentials import sdk
from osssync.credentials.instance_role import InstanceRoleFetcher
from osssync.credentials.sources import open_fetcher, open_provider
from osssync.errors import CredentialsError, UsageError
from tests.credentials.metadata_stub import SECRET, STS_TOKEN

KEYS = {"access_key_id": "LTAI-profile", "access_key_secret": "profile-secret"}
ENV_KEYS = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI-env",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "env-secret",
}
ROLE_ARN = "acs:ram::1234:role/DeployRole"


def settings_for(source, **fields):
    return CredentialSettings(source=CredentialSource(source), **fields)


# --- the choice


def test_the_instance_role_is_the_default_even_with_keys_in_the_environment():
    """There is no chain: a forgotten variable never wins."""
    assert isinstance(open_fetcher(CredentialSettings(), ENV_KEYS), InstanceRoleFetcher)


def test_a_provider_reads_the_chosen_source():
    """From settings to what oss2 signs with."""
    provider = open_provider(settings_for("env"), ENV_KEYS)

    assert provider.get_credentials().get_access_key_id() == "LTAI-env"


# --- env


@pytest.mark.parametrize(("token", "expected"), [({}, ""), ("tok\n", "tok")])
def test_keys_of_the_environment_never_expire_for_us(token, expected):
    """With or without a token; a newline of the shell does not count."""
    environ = ENV_KEYS | ({"ALIBABA_CLOUD_SECURITY_TOKEN": token} if token else {})

    found = open_fetcher(settings_for("env"), environ)()

    assert (found.access_key_id, found.access_key_secret, found.security_token) == (
        "LTAI-env", "env-secret", expected,
    )  # fmt: skip
    assert found.expires_at_s == math.inf


def test_refused_keys_of_the_environment_are_read_again():
    """A long-lived process may be given new ones."""
    environ = dict(ENV_KEYS)
    provider = open_provider(settings_for("env"), environ)
    provider.get_credentials()

    environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] = "LTAI-new"
    provider.invalidate("LTAI-env")

    assert provider.snapshot().access_key_id == "LTAI-new"


@pytest.mark.parametrize("missing", ENV_KEYS)
def test_a_missing_variable_is_named(missing):
    """And only the missing one."""
    environ = ENV_KEYS | {missing: " "}

    with pytest.raises(CredentialsError, match=f"env: {missing} must be set"):
        open_provider(settings_for("env"), environ)


def test_a_key_with_a_line_break_is_refused():
    """It would end a header and begin another."""
    environ = ENV_KEYS | {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "env-\r\nsecret"}

    with pytest.raises(
        CredentialsError, match="unusable ALIBABA_CLOUD_ACCESS_KEY_SECRET"
    ) as caught:
        open_provider(settings_for("env"), environ).get_credentials()
    assert "env-" not in str(caught.value)


# --- profile


@pytest.fixture
def profiles(tmp_path):
    """Write profiles and get back a function that fetches by one of them."""

    def write_and_open(*entries, current="default", **fields):
        folder = tmp_path / ".aliyun"
        folder.mkdir(exist_ok=True)
        content = {"current": current, "profiles": list(entries)}
        (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return open_fetcher(settings_for("profile", **fields), {"HOME": str(tmp_path)})

    return write_and_open


def test_the_current_profile_is_used_unless_another_is_named(profiles):
    """As the aliyun command line does."""
    entries = (
        {"name": "default", "mode": "AK", **KEYS},
        {"name": "other", "mode": "AK", **KEYS, "access_key_id": "LTAI-other"},
    )

    assert profiles(*entries)().access_key_id == "LTAI-profile"
    assert profiles(*entries, current="other")().access_key_id == "LTAI-other"
    assert profiles(*entries, profile="other")().access_key_id == "LTAI-other"


def test_an_sts_profile_keeps_its_expiry_if_it_has_one(profiles):
    """The aliyun command line writes it for some modes."""
    entry = {"name": "default", "mode": "StsToken", **KEYS, "sts_token": "tok"}
    in_an_hour_s = int(time.time()) + 3600

    assert profiles(entry)().expires_at_s == math.inf
    assert profiles(entry | {"sts_expiration": in_an_hour_s})().expires_at_s == in_an_hour_s


def test_a_profile_of_an_instance_role_goes_through_the_metadata_proxy(profiles, stub):
    """The vendor's own reader would start a thread and use HTTP_PROXY."""
    fetch = profiles(
        {"name": "default", "mode": "EcsRamRole", "ram_role_name": "AppRole"},
        metadata_proxy=stub.proxy,
        role_name="Ignored",
    )

    found = fetch()

    assert (found.identity, found.expires_at_s) == ("AppRole", int(stub.expires_at_s))


def test_a_profile_may_name_a_credentials_uri(profiles, stub):
    """The same JSON as the metadata service's."""
    stub.facts = {"/creds": json.dumps(stub.document())}

    fetch = profiles(
        {"name": "default", "mode": "CredentialsURI", "credentials_uri": f"{stub.proxy}/creds"}
    )

    assert fetch().access_key_id == "STS.Set0001ForTests"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"mode": "External", "process_command": "touch pwned"}, "runs a shell command"),
        ({"mode": "OAuth"}, "refresh token"),
        ({"mode": "CloudSSO"}, "ends after hours"),
        ({"mode": "RsaKeyPair"}, "session keys"),
        ({"mode": "Magic"}, "mode Magic is not supported: it is not known"),
        ({"mode": "AK", "access_key_id": "LTAI"}, "no access_key_secret: run `aliyun configure"),
        ({"mode": "StsToken", **KEYS}, "no sts_token"),
        ({"mode": "OIDC", "ram_role_arn": ROLE_ARN}, "no oidc_provider_arn"),
        ({"mode": "RamRoleArn", **KEYS}, "no ram_role_arn"),
        ({"mode": "RamRoleArn", **KEYS, "ram_role_arn": ROLE_ARN, "expired_seconds": 60}, "900"),
        ({"mode": "CredentialsURI", "credentials_uri": "http://example.com/"}, "https://HOST"),
        ({"mode": "EcsRamRole", "ram_role_name": "a/b"}, "role name"),
        ({"mode": "ChainableRamRoleArn", "source_profile": "default"}, "circle: default → default"),
        ({"mode": "ChainableRamRoleArn", "source_profile": "gone"}, "no profile 'gone'"),
    ],
)
def test_a_profile_that_cannot_be_used_says_why(profiles, entry, message):
    """Each mode with its own words, and never with a secret."""
    with pytest.raises(CredentialsError, match=message) as caught:
        profiles({"name": "default"} | entry)()

    assert "profile-secret" not in str(caught.value)


def test_a_missing_profile_names_those_that_exist(profiles):
    """A typing mistake is seen at once."""
    with pytest.raises(CredentialsError, match="no profile 'prod'; it has: default"):
        profiles({"name": "default", "mode": "AK", **KEYS}, profile="prod")()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"profiles": [1]}', '{"profiles": 1}', "\0"])
def test_a_file_that_is_no_configuration_is_refused(profiles, tmp_path, content):
    """Without quoting it, not even in a chained exception."""
    fetch = profiles()
    (tmp_path / ".aliyun" / "config.json").write_text(content, encoding="utf-8")

    with pytest.raises(CredentialsError, match="is not a configuration") as caught:
        fetch()
    assert caught.value.__context__ is None


def test_a_missing_file_says_how_to_make_one(tmp_path):
    """The path, and the command."""
    fetch = open_fetcher(settings_for("profile"), {"HOME": str(tmp_path)})

    with pytest.raises(CredentialsError, match=r"config\.json cannot be read.*aliyun configure"):
        fetch()


def test_profiles_that_are_switched_off_are_not_read(tmp_path):
    """The vendor's own variable; an explicit choice against it is a contradiction to tell."""
    environ = {"HOME": str(tmp_path), "ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true"}

    with pytest.raises(CredentialsError, match="ALIBABA_CLOUD_CLI_PROFILE_DISABLED"):
        open_fetcher(settings_for("profile"), environ)


# --- STS


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


# --- URI


def uri_settings(uri):
    return settings_for("uri", uri=uri)


def test_a_uri_is_asked_directly_with_its_query(stub, monkeypatch):
    """A sidecar on loopback; HTTP_PROXY does not come between."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    stub.facts = {"/creds": json.dumps(stub.document())}

    found = open_fetcher(uri_settings(f"{stub.proxy}/creds?code=hidden"))()

    assert found.access_key_id == "STS.Set0001ForTests"
    assert found.expires_at_s == int(stub.expires_at_s)
    assert found.identity == f"{stub.proxy}/creds"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "answered HTTP 404"),
        ({"/creds": "nonsense"}, "not a JSON object"),
        ({"/creds": '{"Code": "Success", "AccessKeySecret": "SeCrEtOfSet"}'}, "Expiration is None"),
        ({"/creds": '{"Code": "Denied"}'}, "Code is 'Denied'"),
    ],
)
def test_a_uri_that_serves_no_credentials_is_explained(stub, facts, message):
    """The package would quote the whole answer; we do not."""
    stub.facts = facts

    with pytest.raises(CredentialsError, match=message) as caught:
        open_fetcher(uri_settings(f"{stub.proxy}/creds?code=hidden"))()
    assert SECRET not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_uri_where_nobody_listens_is_explained():
    """The class of the failure, not its text."""
    with pytest.raises(CredentialsError, match=r"127.0.0.1:9/creds did not answer \(Connection"):
        open_fetcher(uri_settings("http://127.0.0.1:9/creds?code=hidden"))()


@pytest.mark.parametrize(
    "uri",
    ["http://example.com/creds", "http://10.0.0.1/", "ftp://127.0.0.1/", "127.0.0.1/x",
     "https://user:hidden@example.com/", "http://[::1]:8/", "https://", "https://h:port/"],
)  # fmt: skip
def test_a_uri_that_is_not_safe_is_refused_without_quoting_it(uri):
    """Plain http only to this machine; a password in an address never."""
    with pytest.raises(UsageError, match="a credentials URI is") as caught:
        open_provider(uri_settings(uri))
    assert "hidden" not in str(caught.value)


def test_an_empty_uri_names_the_variable():
    """What to set."""
    with pytest.raises(CredentialsError, match="ALIBABA_CLOUD_CREDENTIALS_URI"):
        open_provider(uri_settings(""))
