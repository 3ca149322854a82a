r"""Which entries a run looks at: ordered rules, size and time bounds, a list of names. Pure.

Patterns are rclone's and ossutil 2's. They match the path relative to the root or prefix:

==========  ===========================================================
``/a``      a leading slash anchors at the root; without one any tail of the path matches
``a/``      a trailing slash means the directory and everything below it
``*``       any characters but ``/``
``**``      any characters
``?``       one character but ``/``
``[a-z]``   one of these characters; ``[!a-z]`` or ``[^a-z]`` one of the others; never ``/``
``{a,b}``   either; the alternatives may hold patterns
``\x``      the character x itself, which is not a letter or digit
==========  ===========================================================

The first rule that matches decides; an entry no rule matches is included, unless an ``--include``
was given, which appends the rule "exclude everything else". Everything is case-sensitive. Not
taken over: rclone's ``{{regexp}}`` and ``\d`` are refused rather than misread, flags keep the
order of the command line, and ``--files-from`` may be combined with the other conditions.

Source: rclone/rclone docs/content/filtering.md and fs/filter/{glob,rules}.go, read 2026-11.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, Self

from msgspec import Struct

from osssync.errors import UsageError
from osssync.model import Entry, EntryKind

_PIECE = (
    r"(?s)(?P<escaped>\\.)"
    r"|(?P<stars>\*+)"
    r"|(?P<one>\?)"
    r"|\[(?P<negated>[!^]?)(?P<members>(?:\\.|[^\]\\])+)\]"
    r"|(?P<brace>[{},])"
    r"|(?P<plain>.)"
)
_BRACE: Final = {"{": "(?:", ",": "|", "}": ")"}
_BRACE_STEP: Final = {"{": 1, ",": 0, "}": -1}
_MEMBER = r"(?s)\\?."


class RuleFlag(Enum):
    """The flags that make rules, in the order of the command line or the job file."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    FILTER = "filter"  # "+ PATTERN", "- PATTERN", or "!" to forget all earlier rules


class Rule(Struct, frozen=True):
    """One pattern and what it decides.

    Raises:
        UsageError: the pattern is empty or malformed.
    """

    include: bool
    pattern: str

    def __post_init__(self) -> None:
        compile_pattern(self.pattern)

    def __str__(self) -> str:
        return f"{'+' if self.include else '-'} {self.pattern}"

    def matches(self, path: str) -> bool:
        """Whether the pattern matches this relative path."""
        return compile_pattern(self.pattern).fullmatch(path) is not None

    @property
    def covers_below(self) -> bool:
        """Whether a match of a directory means a match of everything below it."""
        return self.pattern.endswith(("/", "**"))


class Filters(Struct, frozen=True):
    """What a run looks at; the default looks at everything.

    Sizes are bytes, times epoch nanoseconds; all bounds are inclusive and None means no bound.
    They are not asked of directories, which have no size of their own. ``files_from`` names the
    only paths to look at (None: all). An entry must pass every one of the conditions.
    """

    rules: tuple[Rule, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    min_mtime_ns: int | None = None
    max_mtime_ns: int | None = None
    files_from: frozenset[str] | None = None

    @classmethod
    def from_flags(
        cls, flags: Iterable[tuple[RuleFlag, str]], files_from: Iterable[str] | None = None
    ) -> Self:
        """Filters of rule flags in command-line order, and of the lines of ``--files-from``.

        The lines of ``--include-from`` and its relatives join the flags by ``flags_of_lines``;
        bounds are added with ``msgspec.structs.replace``.

        Raises:
            UsageError: a malformed pattern, or a filter that starts with none of "+ ", "- ", "!".
        """
        names = None
        if files_from is not None:
            # A leading slash is allowed, so that a name may begin with "#" ("/#name").
            names = frozenset(line.removeprefix("/") for line in significant(files_from))
        return cls(rules=_rules(flags), files_from=names)

    def decide(self, entry: Entry) -> str | None:
        """None for an included entry, else the reason it is left out, in words for the user."""
        if entry.kind is EntryKind.UNUSABLE and entry.key.endswith("/"):
            return self._decide_unread_directory(entry.key)
        if self.files_from is not None and entry.key not in self.files_from:
            return "not named by --files-from"
        for rule in self.rules:
            if rule.matches(entry.key):
                if rule.include:
                    break
                return _reason(rule)
        return self._out_of_bounds(entry) if entry.kind is EntryKind.FILE else None

    @property
    def leave_out(self) -> bool:
        """Whether there is anything that they may leave out."""
        return bool(self.rules) or self._bounds()

    def _bounds(self) -> bool:
        bounds = (self.min_size, self.max_size, self.min_mtime_ns, self.max_mtime_ns)
        return self.files_from is not None or any(bound is not None for bound in bounds)

    def _out_of_bounds(self, entry: Entry) -> str | None:
        if self.min_size is not None and entry.size < self.min_size:
            return f"{entry.size} B is less than --min-size {self.min_size}"
        if self.max_size is not None and entry.size > self.max_size:
            return f"{entry.size} B is more than --max-size {self.max_size}"
        if self.min_mtime_ns is not None and entry.mtime_ns < self.min_mtime_ns:
            return "older than --min-mtime or --max-age allow"
        if self.max_mtime_ns is not None and entry.mtime_ns > self.max_mtime_ns:
            return "newer than --max-mtime or --min-age allow"
        return None

    def _decide_unread_directory(self, key: str) -> str | None:
        """Leave out a directory nobody could list only if nothing below it could be included.

        Anything else would hide that the listing is incomplete, and deletes rely on that.
        """
        if self.files_from is not None and not any(n.startswith(key) for n in self.files_from):
            return "nothing below it is named by --files-from"
        for rule in self.rules:
            if rule.include:
                return None
            if rule.covers_below and rule.matches(key):
                return _reason(rule)
        return None


def flags_of_lines(flag: RuleFlag, lines: Iterable[str]) -> Iterator[tuple[RuleFlag, str]]:
    """The rule flags a ``--include-from``, ``--exclude-from`` or ``--filter-from`` file stands for.

    Order is kept; see ``significant`` for what is skipped.
    """
    return ((flag, line) for line in significant(lines))


def significant(lines: Iterable[str]) -> Iterator[str]:
    """The lines without surrounding blanks, empty ones, and comments (``#`` or ``;`` first)."""
    for line in lines:
        text = line.strip()
        if text and text[0] not in "#;":
            yield text


@functools.cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression, for ``fullmatch`` on a relative path, of one pattern.

    Raises:
        UsageError: an empty or malformed pattern.
    """
    body = pattern.removeprefix("/")
    if not body:
        raise UsageError(f"filter pattern {pattern!r} is empty; use '/**' for everything")
    if body.endswith("/"):
        body += "**"
    if pattern.startswith("/"):
        start = ""
    elif "/" in body or "**" in body:
        start = "(?:.*/)?"
    else:
        start = "(?:.*/)?+"  # only the last component can match: never give it back
    try:
        return re.compile(start + _translate(body), re.DOTALL)
    except (re.error, ValueError) as error:
        raise UsageError(f"filter pattern {pattern!r}: {error}") from None


def _translate(body: str) -> str:
    """One pattern as a regular expression.

    Raises:
        ValueError: the pattern is malformed; the message says where.
    """
    if "{{" in body:
        raise ValueError("regular expressions '{{…}}' are not supported; use {a,b}, * and ?")
    out: list[str] = []
    depth = 0
    for token in re.finditer(_PIECE, body):
        if token["brace"]:
            depth += _BRACE_STEP[token["brace"]]
        if depth < 0:
            raise ValueError("'}' closes nothing; write '\\}' for the character itself")
        out.append(_expression(token, in_braces=depth > 0))
    if depth:
        raise ValueError("'{' is never closed; write '\\{' for the character itself")
    return "".join(out)


def _expression(token: re.Match[str], *, in_braces: bool) -> str:
    match token.lastgroup:
        case "brace":
            return "," if token["brace"] == "," and not in_braces else _BRACE[token["brace"]]
        case "members":
            return _character_class(token["negated"], token["members"])
        case "stars":
            return _stars(token["stars"])
        case "one":
            return "[^/]"
        case _:
            return _literal(token[0])


def _stars(stars: str) -> str:
    if len(stars) > 2:
        raise ValueError(f"{stars!r} means nothing; use * within a directory, ** across them")
    return "[^/]*" if len(stars) == 1 else ".*"


def _literal(text: str) -> str:
    if text == "[":
        raise ValueError("'[' is empty or never closed; write '\\[' for the character itself")
    if text == "\\":
        raise ValueError("'\\' at the end escapes nothing")
    return re.escape(_unescaped(text))


def _character_class(negated: str, members: str) -> str:
    """A class that never matches "/", its members quoted one by one, ranges kept."""
    if "[:" in members:
        raise ValueError("classes like [:alnum:] are not supported; write [0-9a-zA-Z]")
    inside = "".join(
        "-" if member[0] == "-" else re.escape(_unescaped(member[0]))
        for member in re.finditer(_MEMBER, members)
    )
    return f"(?!/)[{'^' if negated else ''}{inside}]"


def _unescaped(text: str) -> str:
    """The character that one of a pattern, or an escaped one, stands for."""
    if len(text) == 2 and text[1].isalnum():
        # rclone's "\d" is a class of Go's; taking it for a plain "d" would select other files.
        raise ValueError(f"{text!r} is not supported; write classes as [0-9] or [a-zA-Z]")
    return text[-1]


def _rules(flags: Iterable[tuple[RuleFlag, str]]) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    only_included = False
    for flag, text in flags:
        match flag:
            case RuleFlag.INCLUDE:
                only_included = True
                rules.append(Rule(include=True, pattern=text))
            case RuleFlag.EXCLUDE:
                rules.append(Rule(include=False, pattern=text))
            case RuleFlag.FILTER if text.strip() == "!":
                rules.clear()
                only_included = False
            case RuleFlag.FILTER:
                rules.append(_filter_rule(text))
    return (*rules, EVERYTHING_ELSE) if only_included else tuple(rules)


def _filter_rule(text: str) -> Rule:
    if text[:2] not in ("+ ", "- "):
        raise UsageError(f"filter {text!r}: begin with '+ ' to include or '- ' to exclude")
    return Rule(include=text[0] == "+", pattern=text[2:].strip())


def _reason(rule: Rule) -> str:
    if rule == EVERYTHING_ELSE:
        return "matched by no --include"
    return f"excluded by {rule}"


EVERYTHING_ELSE: Final = Rule(include=False, pattern="/**")
