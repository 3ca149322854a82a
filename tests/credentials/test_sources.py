"""The choice of a source, and the two simplest: the environment and a URI."""

import json
import math

import pytest

from osssync.config import CredentialSettings, CredentialSource
from osssync.credentials.instance_role import InstanceRoleFetcher
from osssync.credentials.sources import open_fetcher, open_provider
from osssync.errors import CredentialsError, UsageError
from tests.credentials.metadata_stub import SECRET

ENV_KEYS = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI-env",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "env-secret",
}


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
