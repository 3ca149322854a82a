"""Faults as data: rules say which requests go wrong, how, and how often. Does nothing itself.

A rule is one JSON object; a faults file is a list of them. All fields but ``effect`` are optional:

| field | meaning |
|---|---|
| ``effect`` | what happens, see ``Effect`` |
| ``service`` | ``oss`` (default) or ``metadata`` |
| ``method``, ``operation``, ``bucket`` | equal to the request's; ``operation`` as ``GetObject`` |
| ``key`` | a glob of the key, or of the path below ``/latest/`` for ``metadata`` |
| ``part_number`` | of an UploadPart or UploadPartCopy |
| ``query`` | parameters that must be there with these values |
| ``after`` | skip the first N matching requests |
| ``every`` | then fire for one in N |
| ``times`` | at most N times; without it for ever |
| ``probability``, ``seed`` | then fire with this probability, repeatably |
| ``delay_s`` | wait first, with any effect |
| ``status``, ``code``, ``message``, ``ec``, ``body`` | of ``error`` |
| ``at`` | byte of the response body where ``cut``, ``reset`` or ``flip`` happens |
| ``offset_s`` | of ``skew`` |
"""

import fnmatch
import json
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any


class FaultRuleError(ValueError):
    """A rule that cannot be read, and why."""


class Effect(Enum):
    """What goes wrong."""

    DELAY = "delay"  # nothing but delay_s
    ERROR = "error"  # status and code; body "xml", "garbage" (unparsable) or "empty"
    THROTTLE = "throttle"  # 503 DownloadTrafficRateLimitExceeded
    EXPIRED_TOKEN = "expired_token"  # 403 SecurityTokenExpired; metadata: a past Expiration  # noqa: S105 - the name of an effect
    REFUSE = "refuse"  # the connection is reset before the request body is read
    RESET = "reset"  # reset at byte ``at`` of the response; without it after the request was read
    CUT = "cut"  # the response ends at byte ``at``, though Content-Length promised all
    FLIP = "flip"  # byte ``at`` of the response is wrong
    CHANGE = "change"  # the object is overwritten before it is read: its ETag changes
    HANG = "hang"  # no answer until the client gives up
    LOSE = "lose"  # the request is done, its answer is lost
    SKEW = "skew"  # this request is judged by a clock that is offset_s ahead
    GARBAGE = "garbage"  # status 200 with a body that is not what was asked for


_BODIES = frozenset({"xml", "garbage", "empty"})


@dataclass(frozen=True, slots=True)
class Occasion:
    """A request as rules see it. ``key`` is the path below ``/latest/`` for ``metadata``."""

    service: str
    method: str
    operation: str = ""
    bucket: str = ""
    key: str = ""
    part_number: int = 0
    query: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``times`` 0 means for ever, ``at`` None means at the start."""

    effect: Effect
    service: str = "oss"
    method: str = ""
    operation: str = ""
    bucket: str = ""
    key: str = ""
    part_number: int = 0
    query: tuple[tuple[str, str], ...] = ()
    after: int = 0
    every: int = 1
    times: int = 0
    probability: float = 1.0
    seed: int = 0
    delay_s: float = 0.0
    status: int = 500
    code: str = "InternalError"
    message: str = "We encountered an internal error. Please try again."
    ec: str = ""
    body: str = "xml"
    at: int | None = None
    offset_s: float = 0.0

    def matches(self, occasion: Occasion) -> bool:
        """Whether the rule speaks about a request; empty fields match everything."""
        return (
            self.service == occasion.service
            and self.method in {"", occasion.method}
            and self.operation in {"", occasion.operation}
            and self.bucket in {"", occasion.bucket}
            and self.part_number in {0, occasion.part_number}
            and (not self.key or fnmatch.fnmatchcase(occasion.key, self.key))
            and all(occasion.query.get(name) == value for name, value in self.query)
        )


def read_rule(raw: object) -> Rule:
    """Read one rule from JSON.

    Raises:
        FaultRuleError: an unknown field or effect, or a value of the wrong kind or range.
    """
    if not isinstance(raw, dict):
        raise FaultRuleError("a rule must be an object")
    known = {one.name: one for one in fields(Rule)}
    if unknown := set(raw) - set(known):
        raise FaultRuleError(f"unknown in a rule: {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {name: _read_value(name, value) for name, value in raw.items()}
    if "effect" not in values:
        raise FaultRuleError("a rule needs an effect")
    rule = Rule(**values)
    if rule.every < 1 or min(rule.after, rule.times, rule.delay_s, rule.at or 0) < 0:
        raise FaultRuleError("every must be at least 1; after, times, delay_s, at at least 0")
    if not 0 <= rule.probability <= 1:
        raise FaultRuleError(f"probability {rule.probability} is not within 0 and 1")
    if not 200 <= rule.status <= 599:
        raise FaultRuleError(f"status {rule.status} is not within 200 and 599")
    if rule.service not in {"oss", "metadata"} or rule.body not in _BODIES:
        raise FaultRuleError(
            f"service is oss or metadata, body one of {', '.join(sorted(_BODIES))}"
        )
    _check_fields(rule, set(raw))
    return rule


_EFFECTS_OF = {
    **dict.fromkeys(("status", "code", "message", "ec", "body"), frozenset({Effect.ERROR})),
    "at": frozenset({Effect.RESET, Effect.CUT, Effect.FLIP}),
    "offset_s": frozenset({Effect.SKEW}),
}
_ONLY_OSS = frozenset(
    {"operation", "bucket", "part_number", "query", "code", "message", "ec", "body", "at"}
)


def _check_fields(rule: Rule, given: set[str]) -> None:
    """Refuse fields that would do nothing with this effect or service.

    Raises:
        FaultRuleError: there is one.
    """
    idle = {
        name
        for name, effects in _EFFECTS_OF.items()
        if name in given and rule.effect not in effects
    }
    if rule.service == "metadata":
        idle |= given & _ONLY_OSS
        if rule.effect in {Effect.CUT, Effect.FLIP, Effect.CHANGE, Effect.SKEW}:
            idle.add("service")
    if idle:
        raise FaultRuleError(
            f"{', '.join(sorted(idle))}: no meaning for {rule.effect.value} of {rule.service}"
        )


_INTEGERS = frozenset({"part_number", "after", "every", "times", "seed", "status", "at"})
_NUMBERS = frozenset({"probability", "delay_s", "offset_s"})


def _read_value(name: str, value: object) -> object:
    if name == "effect":
        try:
            return Effect(value)
        except ValueError:
            effects = ", ".join(one.value for one in Effect)
            raise FaultRuleError(f"effect {value!r} is none of {effects}") from None
    if name == "query":
        if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
            return tuple(value.items())
        raise FaultRuleError("query must be an object of strings")
    expected = int if name in _INTEGERS else int | float if name in _NUMBERS else str
    if not isinstance(value, expected) or isinstance(value, bool):
        raise FaultRuleError(f"{name}: {value!r} is of the wrong kind")
    return value


def write_rule(rule: Rule) -> dict[str, object]:
    """A rule as JSON, without the fields that have their defaults."""
    defaults = asdict(Rule(rule.effect))
    written = {name: value for name, value in asdict(rule).items() if value != defaults[name]}
    written["effect"] = rule.effect.value
    if rule.query:
        written["query"] = dict(rule.query)
    return written


class _Counted:
    """A rule with what it has seen; the only thing here that changes."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.seen = 0
        self.fired = 0
        self._random = random.Random(rule.seed)  # noqa: S311 - repeatable on purpose

    def fires(self) -> bool:
        """Count one matching request, and say whether it is hit."""
        rule = self.rule
        self.seen += 1
        beyond = self.seen - rule.after
        if beyond < 1 or beyond % rule.every or (rule.times and self.fired >= rule.times):
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The rules in force, in order; the first that fires wins. Safe for any thread."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._lock = threading.Lock()
        self._rules = [_Counted(one) for one in rules]

    @classmethod
    def load(cls, path: Path) -> "Faults":
        """Read a faults file.

        Raises:
            FaultRuleError: not a list of rules.
            OSError: the file cannot be read.
        """
        try:
            return cls(read_rules(json.loads(path.read_text(encoding="utf-8"))))
        except json.JSONDecodeError as error:
            raise FaultRuleError(f"{path} is not JSON: {error}") from error

    def replace(self, rules: Sequence[Rule]) -> None:
        """Put other rules in force; all counts begin again."""
        with self._lock:
            self._rules = [_Counted(one) for one in rules]

    def add(self, rule: Rule) -> None:
        """Append a rule; the others keep their counts."""
        with self._lock:
            self._rules.append(_Counted(rule))

    def inject(self, effect: Effect, **values: object) -> None:
        """Append a rule given by its JSON fields, as tests write it.

        Raises:
            FaultRuleError: as ``read_rule``.
        """
        self.add(read_rule({"effect": effect.value, **values}))

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self.replace(())

    def take(self, occasion: Occasion) -> Rule | None:
        """The rule that hits a request, counting it; None when all is well."""
        if not self._rules:
            return None
        with self._lock:
            for counted in self._rules:
                if counted.rule.matches(occasion) and counted.fires():
                    return counted.rule
        return None

    def snapshot(self) -> list[dict[str, object]]:
        """The rules as JSON, each with ``seen`` (matching requests) and ``fired``."""
        with self._lock:
            return [
                {**write_rule(one.rule), "seen": one.seen, "fired": one.fired}
                for one in self._rules
            ]


def read_rules(raw: object) -> list[Rule]:
    """Read a list of rules.

    Raises:
        FaultRuleError: not a list, or one of them cannot be read.
    """
    if not isinstance(raw, list):
        raise FaultRuleError("faults are a list of rules")
    return [read_rule(one) for one in raw]
