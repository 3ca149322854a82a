"""Profiles of the aliyun command line: by mode, or a refusal that says why."""

import json
import math
import time

import pytest

from osssync.config import CredentialSettings, CredentialSource
from osssync.credentials.sources import open_fetcher
from osssync.errors import CredentialsError

KEYS = {"access_key_id": "LTAI-profile", "access_key_secret": "profile-secret"}
ROLE_ARN = "acs:ram::1234:role/DeployRole"


def settings_for(source, **fields):
    return CredentialSettings(source=CredentialSource(source), **fields)


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
