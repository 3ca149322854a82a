"""RAM policies decide as RAM does, and what cannot be enforced is refused when it is loaded."""

import json

import pytest

from osssync.emulator.policy import Policy
from osssync.emulator.policy_conditions import PolicyError

OBJECT = "acs:oss:*:*:bucket/a/key"


def policy(*statements):
    return Policy.parse(json.dumps({"Version": "1", "Statement": list(statements)}))


def allow(**fields):
    return {"Effect": "Allow", "Action": "oss:*", "Resource": "*"} | fields


def deny(**fields):
    return allow(**fields) | {"Effect": "Deny"}


def test_what_nothing_allows_is_denied():
    """Silence is a no, but not an explicit one."""
    quiet = policy(allow(Action="oss:PutObject"))

    assert not quiet.allows("oss:GetObject", OBJECT)
    assert quiet.verdict("oss:GetObject", OBJECT) is None


def test_an_explicit_deny_wins():
    """Whatever else allows it, in any order."""
    both = policy(deny(Action="oss:Delete*"), allow())

    assert both.allows("oss:GetObject", OBJECT)
    assert both.verdict("oss:DeleteObject", OBJECT) is False


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("oss:GetObject", True),
        ("oss:getobject", True),
        ("oss:GetObjectAcl", True),
        ("oss:PutObject", False),
        ("ecs:GetObject", False),
    ],
)
def test_actions_have_wildcards_and_no_case(action, allowed):
    """``oss:Get*`` covers every Get of OSS in any case."""
    assert policy(allow(Action=["oss:Get*"])).allows(action, OBJECT) is allowed


@pytest.mark.parametrize(
    ("pattern", "resource", "allowed"),
    [
        ("acs:oss:*:*:bucket/a/*", OBJECT, True),
        ("acs:oss:*:*:bucket/A/*", OBJECT, False),
        ("acs:oss:*:*:bucket", OBJECT, False),
        ("acs:oss:*:*:bucket*", OBJECT, True),
        ("acs:oss:*:*:bucket/a/k?y", OBJECT, True),
        ("acs:oss:*:*:bucket/a.key", OBJECT, False),
        ("acs:oss:*:*:bucket/*", "acs:oss:*:*:bucket/line\nfeed", True),
    ],
)
def test_resources_have_wildcards_and_case(pattern, resource, allowed):
    """A star spans slashes and any character; a dot is a dot; case matters."""
    assert policy(allow(Resource=pattern)).allows("oss:GetObject", resource) is allowed


def test_not_action_and_not_resource_invert():
    """NotAction covers all but the named, NotResource likewise."""
    inverted = policy(
        {"Effect": "Allow", "NotAction": "oss:Delete*", "NotResource": "acs:oss:*:*:secret/*"}
    )

    assert inverted.allows("oss:GetObject", OBJECT)
    assert not inverted.allows("oss:DeleteObject", OBJECT)
    assert not inverted.allows("oss:GetObject", "acs:oss:*:*:secret/k")


def test_a_bucket_policy_speaks_to_its_principals():
    """A Principal list names who is meant; an empty one means everybody."""
    named = policy(allow(Principal=["1234:assumed-role/Reader"]))
    everybody = policy(allow(Principal=[]))

    assert named.allows("oss:GetObject", OBJECT, principal="1234:assumed-role/Reader")
    assert not named.allows("oss:GetObject", OBJECT, principal="other")
    assert everybody.allows("oss:GetObject", OBJECT, principal="other")


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "actual", "holds"),
    [
        ("StringEquals", "oss:Prefix", ["a/", "b/"], "b/", True),
        ("StringEquals", "oss:Prefix", "a/", "A/", False),
        ("StringEquals", "oss:Prefix", "a/", None, False),
        ("StringNotEquals", "oss:Prefix", ["a/", "b/"], "b/", False),
        ("StringNotEquals", "oss:Prefix", "a/", None, True),
        ("StringEqualsIgnoreCase", "oss:Prefix", "a/", "A/", True),
        ("StringNotEqualsIgnoreCase", "oss:Prefix", "a/", "A/", False),
        ("StringLike", "oss:Prefix", "logs/*", "logs/2026/", True),
        ("StringLike", "oss:Prefix", "logs/*", "data/", False),
        ("StringNotLike", "oss:Prefix", "logs/*", "data/", True),
        ("IpAddress", "acs:SourceIp", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "acs:SourceIp", ["10.0.0.0/8", "::1"], "127.0.0.1", False),
        ("NotIpAddress", "acs:SourceIp", "10.0.0.0/8", "127.0.0.1", True),
        ("Bool", "acs:SecureTransport", True, "true", True),
        ("Bool", "acs:SecureTransport", "true", "false", False),
        ("NumericGreaterThan", "oss:Prefix", 5, "6", True),
        ("NumericGreaterThan", "oss:Prefix", 5, None, False),
        ("NumericGreaterThanEquals", "oss:Prefix", 5, "5", True),
        ("NumericLessThan", "oss:Prefix", 5, "5", False),
        ("NumericLessThanEquals", "oss:Prefix", 5, "5", True),
        ("NumericEquals", "oss:Prefix", 5, "5.0", True),
        ("NumericNotEquals", "oss:Prefix", 5, "5.0", False),
        ("DateLessThan", "acs:CurrentTime", "2026-12-01T00:00:00Z", "2026-11-30T00:00:00Z", True),
        ("DateLessThanEquals", "acs:CurrentTime", "2026-12-01T00:00:00Z",
         "2026-12-01T00:00:01Z", False),
        ("DateGreaterThan", "acs:CurrentTime", "2026-12-01T08:00:00+08:00",
         "2026-12-01T00:00:00Z", False),
        ("DateGreaterThanEquals", "acs:CurrentTime", "2026-12-01T08:00:00+08:00",
         "2026-12-01T00:00:00Z", True),
        ("DateEquals", "acs:CurrentTime", "2026-12-01T08:00:00+08:00",
         "2026-12-01T00:00:00Z", True),
        ("DateNotEquals", "acs:CurrentTime", "2026-12-01T08:00:00+08:00",
         "2026-12-01T00:00:00Z", False),
    ],
)  # fmt: skip
def test_conditions_hold_or_not(operator, key, wanted, actual, holds):
    """One of the values must match; a negated operator also holds for a value that is missing."""
    context = {} if actual is None else {key.lower(): actual}

    conditional = policy(allow(Condition={operator: {key: wanted}}))

    assert conditional.allows("oss:ListObjects", OBJECT, context) is holds


def test_all_conditions_must_hold():
    """Conditions of a statement are joined by and."""
    two = policy(
        allow(
            Condition={
                "StringEquals": {"oss:Prefix": "a/", "oss:Delimiter": "/"},
                "Bool": {"acs:SecureTransport": "true"},
            }
        )
    )
    context = {"oss:Prefix": "a/", "oss:Delimiter": "/", "acs:SecureTransport": "true"}

    assert two.allows("oss:ListObjects", OBJECT, context)
    assert not two.allows("oss:ListObjects", OBJECT, context | {"acs:SecureTransport": "false"})
    assert not two.allows("oss:ListObjects", OBJECT, context | {"oss:Delimiter": ""})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "Version"),
        ('{"Statement": []}', "Version"),
        ('{"Version": "1", "Statement": []}', "at least one"),
        ('{"Version": "1", "Statement": [1]}', "object"),
        ('{"Version": "1", "Statements": []}', "unknown"),
    ],
)
def test_a_broken_document_is_refused(document, reason):
    """What is not a policy says why."""
    with pytest.raises(PolicyError, match=reason):
        Policy.parse(document)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Effect": "allow"}, "Effect"),
        ({"Action": []}, "Action"),
        ({"Action": 1}, "Action"),
        ({"NotAction": "oss:*"}, "either Action or NotAction"),
        ({"Resources": "*"}, "unknown"),
        ({"NotPrincipal": "*"}, "unknown"),
        ({"Condition": []}, "Condition"),
        ({"Condition": {"StringEquals": []}}, "StringEquals"),
        ({"Condition": {"StringMatches": {"oss:Prefix": "a"}}}, "StringMatches"),
        ({"Condition": {"StringEquals": {"oss:Prefixx": "a"}}}, "oss:Prefixx"),
        ({"Condition": {"StringEquals": {"oss:Prefix": {}}}}, "string"),
        ({"Condition": {"IpAddress": {"acs:SourceIp": "10.0.0/8"}}}, "10.0.0/8"),
        ({"Condition": {"NumericLessThan": {"oss:Prefix": "many"}}}, "many"),
        ({"Condition": {"Bool": {"acs:SecureTransport": "yes"}}}, "yes"),
        ({"Condition": {"DateLessThan": {"acs:CurrentTime": "2026-12-01T00:00:00"}}}, "zone"),
    ],
)
def test_a_statement_that_cannot_be_enforced_is_refused(change, reason):
    """An ignored condition would allow more than the author meant."""
    with pytest.raises(PolicyError, match=reason):
        policy(allow(**change))


def test_a_policy_file_is_read(tmp_path):
    """The documented read-only policy works as documented."""
    path = tmp_path / "read-only.json"
    path.write_text(
        json.dumps(
            {
                "Statement": [
                    {"Action": ["oss:Get*", "oss:List*"], "Effect": "Allow", "Resource": "*"}
                ],
                "Version": "1",
            }
        )
    )

    read_only = Policy.load(path)

    assert read_only.allows("oss:GetObject", OBJECT)
    assert read_only.allows("oss:ListObjects", "acs:oss:*:*:bucket")
    assert not read_only.allows("oss:PutObject", OBJECT)


def test_many_stars_take_no_time():
    """A pattern of many stars is answered at once, whether it matches or not."""
    policy = Policy.parse(
        json.dumps(
            {
                "Version": "1",
                "Statement": [
                    {"Effect": "Allow", "Action": "oss:*", "Resource": "acs:*:b/" + "*a" * 30}
                ],
            }
        )
    )

    assert policy.allows("oss:GetObject", "acs:oss:*:*:b/" + "a" * 40, {})
    assert not policy.allows("oss:GetObject", "acs:oss:*:*:b/" + "a" * 400 + "b", {})
