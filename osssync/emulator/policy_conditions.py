"""The conditions of policies: one operator, one key, its values.

Source: RAM "Policy elements", Condition; OSS "Authorization syntax and elements"
(alibabacloud.com/help, read 2026-11).
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime


class PolicyError(ValueError):
    """A policy document that cannot be enforced completely, and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One test: it holds if the request's value matches one of ``values``.

    A negated operator holds if none matches, also when the request has no such value.
    """

    key: str  # lower case
    values: tuple[str, ...]
    matches: Callable[[str, str], bool]  # (value of the request, value of the policy)
    negated: bool

    def holds(self, context: Mapping[str, str]) -> bool:
        """Whether the condition is met by a request's context; keys without regard to case."""
        for name, actual in context.items():
            if name.lower() == self.key:
                return any(self.matches(actual, one) for one in self.values) is not self.negated
        return self.negated


def read_condition(operator: str, key: str, raw: object) -> Condition:
    """Read one test of a Condition block.

    Raises:
        PolicyError: an operator or key the emulator does not know, or a malformed value.
    """
    if operator not in _OPERATORS:
        raise PolicyError(f"condition operator {operator!r} is not supported")
    if key.lower() not in _KEYS:
        raise PolicyError(f"condition key {key!r} is not supported")
    values = tuple(_text(one) for one in (raw if isinstance(raw, list) else [raw]))
    matches, negated = _OPERATORS[operator]
    for one in values:
        try:
            matches(_PROBES.get(matches, ""), one)
        except ValueError as error:
            raise PolicyError(f"condition {operator} on {key}: {error}") from error
    return Condition(key.lower(), values, matches, negated)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise PolicyError(f"a condition's value must be a string, not {value!r}")


def _equal(actual: str, expected: str) -> bool:
    return actual == expected


def _equal_ignoring_case(actual: str, expected: str) -> bool:
    return actual.lower() == expected.lower()


def _like(actual: str, expected: str) -> bool:
    parts = ({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in expected)
    return re.fullmatch("".join(parts), actual, re.DOTALL) is not None


def _in_network(actual: str, expected: str) -> bool:
    return ipaddress.ip_address(actual) in ipaddress.ip_network(expected, strict=False)


def _same_number(actual: str, expected: str) -> bool:
    return float(actual) == float(expected)


def _less(actual: str, expected: str) -> bool:
    return float(actual) < float(expected)


def _at_most(actual: str, expected: str) -> bool:
    return float(actual) <= float(expected)


def _more(actual: str, expected: str) -> bool:
    return float(actual) > float(expected)


def _at_least(actual: str, expected: str) -> bool:
    return float(actual) >= float(expected)


def _same_moment(actual: str, expected: str) -> bool:
    return _moment(actual) == _moment(expected)


def _before(actual: str, expected: str) -> bool:
    return _moment(actual) < _moment(expected)


def _not_after(actual: str, expected: str) -> bool:
    return _moment(actual) <= _moment(expected)


def _after(actual: str, expected: str) -> bool:
    return _moment(actual) > _moment(expected)


def _not_before(actual: str, expected: str) -> bool:
    return _moment(actual) >= _moment(expected)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def _boolean(actual: str, expected: str) -> bool:
    if expected not in {"true", "false"}:
        raise ValueError(f"{expected!r} is neither true nor false")
    return actual == expected


_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equal_ignoring_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "IpAddress": (_in_network, False),
    "NotIpAddress": (_in_network, True),
    "Bool": (_boolean, False),
    "NumericEquals": (_same_number, False),
    "NumericNotEquals": (_same_number, True),
    "NumericLessThan": (_less, False),
    "NumericLessThanEquals": (_at_most, False),
    "NumericGreaterThan": (_more, False),
    "NumericGreaterThanEquals": (_at_least, False),
    "DateEquals": (_same_moment, False),
    "DateNotEquals": (_same_moment, True),
    "DateLessThan": (_before, False),
    "DateLessThanEquals": (_not_after, False),
    "DateGreaterThan": (_after, False),
    "DateGreaterThanEquals": (_not_before, False),
}

_NUMBER = "0"
_MOMENT = "2026-01-01T00:00:00Z"
_PROBES: dict[Callable[[str, str], bool], str] = {
    _in_network: "127.0.0.1",
    **dict.fromkeys((_same_number, _less, _at_most, _more, _at_least), _NUMBER),
    **dict.fromkeys((_same_moment, _before, _not_after, _after, _not_before), _MOMENT),
}
"""A valid value of a request, with which a policy's own value can be tried when it is loaded."""

_KEY_NAMES = """
acs:accessid acs:currenttime acs:securetransport acs:sourceip acs:useragent
oss:delimiter oss:prefix oss:x-oss-acl
"""
_KEYS = frozenset(_KEY_NAMES.split())
"""What the server tells about a request; others would never match, so they are refused."""
