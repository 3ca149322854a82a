"""The role's policy decides what a running emulator lets its credentials do."""

import json

import oss2
import pytest

from osssync.emulator.emulator import Emulator
from osssync.emulator.settings import Settings, StaticCredential

POLICY = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "oss:Get*", "Resource": "acs:oss:*:*:data/*"},
        {"Effect": "Deny", "Action": "oss:*", "Resource": "acs:oss:*:*:data/secret/*"},
        {
            "Effect": "Allow",
            "Action": "oss:ListObjects",
            "Resource": "acs:oss:*:*:data",
            "Condition": {"StringLike": {"oss:Prefix": ["", "open/*"]}},
        },
        {
            "Effect": "Allow",
            "Action": "oss:PutObject",
            "Resource": "acs:oss:*:*:data/*",
            "Condition": {"NotIpAddress": {"acs:SourceIp": "127.0.0.0/8"}},
        },
        {
            "Effect": "Allow",
            "Action": "oss:PutObjectAcl",
            "Resource": "acs:oss:*:*:data/*",
            "Condition": {"DateGreaterThan": {"acs:CurrentTime": "2000-01-01T00:00:00Z"}},
        },
    ],
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.json"
    path.write_text(json.dumps(POLICY))
    owner = StaticCredential("AKID", "secret")
    settings = Settings(buckets=("data",), policy=path, credentials=(owner,))
    with Emulator.running(settings) as running:
        running.objects.put("data", "open/key", b"open")
        running.objects.put("data", "secret/key", b"secret")
        yield running


@pytest.fixture
def bucket(emulator):
    current = emulator.authority.current()
    auth = oss2.StsAuth(
        current.access_key_id,
        current.access_key_secret,
        current.security_token,
        auth_version=oss2.AUTH_VERSION_4,
    )
    session = oss2.Session()
    yield oss2.Bucket(auth, emulator.endpoint, "data", region="cn-hangzhou", session=session)
    session.session.close()


def code_of(call, *arguments, **options):
    """The error code a call gets; empty if it is allowed."""
    try:
        result = call(*arguments, **options)
    except oss2.exceptions.ServerError as error:
        return error.code
    if hasattr(result, "read"):
        result.read()
    return ""


def test_what_is_allowed_works_and_nothing_else(bucket):
    """Reading is allowed, writing and deleting are not."""
    assert code_of(bucket.get_object, "open/key") == ""
    assert code_of(bucket.put_object, "open/key", b"x") == "AccessDenied"
    assert code_of(bucket.delete_object, "open/key") == "AccessDenied"


def test_an_explicit_deny_holds_against_a_public_object(emulator, bucket):
    """No ACL undoes the role's own Deny; for others the object is as public as it says."""
    owner = oss2.Bucket(oss2.Auth("AKID", "secret"), emulator.endpoint, "data")
    owner.put_object_acl("secret/key", oss2.OBJECT_ACL_PUBLIC_READ)
    anyone = oss2.Bucket(oss2.AnonymousAuth(), emulator.endpoint, "data")

    assert code_of(bucket.get_object, "secret/key") == "AccessDenied"
    assert code_of(anyone.get_object, "secret/key") == ""
    for one in (owner, anyone):
        one.session.session.close()


@pytest.mark.parametrize(("prefix", "code"), [("", ""), ("open/", ""), ("secret/", "AccessDenied")])
def test_listing_is_allowed_by_its_prefix(bucket, prefix, code):
    """A listing without a prefix has an empty one, which a policy can allow."""
    assert code_of(bucket.list_objects, prefix=prefix) == code


def test_conditions_see_the_clients_address_and_the_clouds_time(bucket):
    """Neither condition is decided by a key that is left out."""
    assert code_of(bucket.put_object, "open/new", b"x") == "AccessDenied"
    assert code_of(bucket.put_object_acl, "open/key", oss2.OBJECT_ACL_PRIVATE) == ""
