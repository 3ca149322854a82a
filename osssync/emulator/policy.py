"""RAM and bucket policies: reading a document strictly, and deciding by it.

A document that uses something unknown is refused when it is loaded, never ignored: an ignored
condition would allow more, an ignored Deny too.

Source: RAM "Policy structure and syntax"; OSS "Authorization syntax and elements"
(alibabacloud.com/help, read 2026-11).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from osssync.emulator.policy_conditions import Condition, PolicyError, read_condition

EMPTY_CONTEXT: Mapping[str, str] = MappingProxyType({})
_KNOWN = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"}
)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    parts = [re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", text)]
    if len(parts) == 1:
        return re.compile(parts[0], re.DOTALL)
    # Atomic groups, as fnmatch has them: many stars would else take time without end.
    between = "".join(f"(?>.*?{part})" for part in parts[1:-1])
    return re.compile(f"{parts[0]}{between}.*{parts[-1]}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``principals`` is empty in a RAM policy, which belongs to its identity."""

    allow: bool
    actions: tuple[str, ...]  # lower case
    actions_inverted: bool
    resources: tuple[str, ...]
    resources_inverted: bool
    principals: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def applies(
        self, action: str, resource: str, context: Mapping[str, str], principal: str
    ) -> bool:
        """Whether the statement speaks about this request."""
        return (
            (_matches(self.actions, action.lower()) is not self.actions_inverted)
            and (_matches(self.resources, resource) is not self.resources_inverted)
            and (not self.principals or _matches(self.principals, principal))
            and all(condition.holds(context) for condition in self.conditions)
        )


def _matches(patterns: tuple[str, ...], text: str) -> bool:
    return any(_pattern(one).fullmatch(text) for one in patterns)


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole document: an explicit Deny wins, and what nothing allows is denied."""

    statements: tuple[Statement, ...]

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a RAM policy file.

        Raises:
            PolicyError: not JSON, or not a policy this emulator can enforce completely.
            OSError: the file cannot be read.
        """
        return cls.parse(path.read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Read a policy document.

        Raises:
            PolicyError: not JSON, or not a policy this emulator can enforce completely.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise PolicyError(f"the policy is not JSON: {error}") from error
        if not isinstance(document, dict) or document.get("Version") != "1":
            raise PolicyError('a policy is an object with "Version": "1"')
        if set(document) - {"Version", "Statement"}:
            raise PolicyError(f"unknown: {', '.join(sorted(set(document) - {'Version'}))}")
        statements = document.get("Statement")
        if not isinstance(statements, list) or not statements:
            raise PolicyError("Statement must be a list of at least one statement")
        return cls(tuple(_read_statement(one) for one in statements))

    def allows(
        self,
        action: str,
        resource: str,
        context: Mapping[str, str] = EMPTY_CONTEXT,
        principal: str = "*",
    ) -> bool:
        """Whether the document allows a request."""
        return self.verdict(action, resource, context, principal) is True

    def verdict(
        self,
        action: str,
        resource: str,
        context: Mapping[str, str] = EMPTY_CONTEXT,
        principal: str = "*",
    ) -> bool | None:
        """True: allowed; False: explicitly denied; None: the document says nothing.

        Bucket policies need the difference, since silence leaves the decision to others.
        """
        speaking = [
            one for one in self.statements if one.applies(action, resource, context, principal)
        ]
        if any(not one.allow for one in speaking):
            return False
        return True if speaking else None


def _read_statement(raw: object) -> Statement:
    if not isinstance(raw, dict):
        raise PolicyError("a statement must be an object")
    if unknown := set(raw) - _KNOWN:
        raise PolicyError(f"unknown in a statement: {', '.join(sorted(unknown))}")
    effect = raw.get("Effect")
    if effect not in {"Allow", "Deny"}:
        raise PolicyError(f'Effect must be "Allow" or "Deny", not {effect!r}')
    actions, actions_inverted = _read_either(raw, "Action")
    resources, resources_inverted = _read_either(raw, "Resource")
    conditions = raw.get("Condition", {})
    if not isinstance(conditions, dict):
        raise PolicyError("Condition must be an object")
    return Statement(
        allow=effect == "Allow",
        actions=tuple(one.lower() for one in actions),
        actions_inverted=actions_inverted,
        resources=resources,
        resources_inverted=resources_inverted,
        principals=_read_principals(raw),
        conditions=tuple(
            read_condition(operator, key, values)
            for operator, tests in conditions.items()
            for key, values in _read_tests(operator, tests).items()
        ),
    )


def _read_either(raw: Mapping[str, object], name: str) -> tuple[tuple[str, ...], bool]:
    """Read ``Action`` or ``NotAction`` (and so on); the second of the pair says which it was."""
    given = [one for one in (name, f"Not{name}") if one in raw]
    if len(given) != 1:
        raise PolicyError(f"a statement needs either {name} or Not{name}")
    return _read_texts(raw[given[0]], given[0]), given[0] != name


def _read_principals(raw: Mapping[str, object]) -> tuple[str, ...]:
    """Read the principals of a bucket policy; an empty list means everybody, as ``*`` does."""
    if "Principal" not in raw:
        return ()
    value = raw["Principal"]
    return ("*",) if value == [] else _read_texts(value, "Principal")


def _read_tests(operator: str, tests: object) -> Mapping[str, object]:
    if not isinstance(tests, dict):
        raise PolicyError(f"Condition {operator} must be an object")
    return tests


def _read_texts(value: object, name: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) for one in values):
        raise PolicyError(f"{name} must be a string or a list of strings")
    return tuple(values)
