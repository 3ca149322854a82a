"""What the rules of a bucket's lifecycle may say. The emulator keeps them; nothing expires.

Source: help.aliyun.com, PutBucketLifecycle (read 2026-11).
"""

import re
from itertools import combinations
from xml.etree.ElementTree import Element

from osssync.emulator.attributes import TAG_TEXT
from osssync.emulator.call import invalid_argument
from osssync.emulator.configuration_rules import one_of, put_text, whole
from osssync.emulator.errors import OssFault
from osssync.emulator.xml import malformed, text_of

_STATUSES = frozenset({"Enabled", "Disabled"})
_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\dT00:00:00(\.000)?Z")
_CLASSES = ("IA", "Archive", "ColdArchive", "DeepColdArchive")  # each colder than the one before
_MOMENTS = ("Days", "Date", "CreatedBeforeDate", "ExpiredObjectDeleteMarker")
_MAX_RULES = 1000


def lifecycle(root: Element) -> None:
    """Rules with an id of their own, a status, and things to do that agree with each other."""
    rules = root.findall("Rule")
    if not 1 <= len(rules) <= _MAX_RULES:
        raise malformed()
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        identifier = text_of(rule, "ID").strip() or f"rule-{number + 1}"
        put_text(rule, "ID", identifier)
        if len(identifier) > 255 or identifier in seen:
            raise invalid_argument("Rule ID must be unique.", "ID", identifier)
        seen.add(identifier)
        one_of(rule, "Status", _STATUSES)
        _check_actions(rule)
        _check_moments(rule)
        _check_tags(rule)
        _check_order(rule)


def check_overlaps(root: Element) -> None:
    """Refuse two rules that do the same to the same prefix.

    ``x-oss-allow-same-action-overlap: true`` allows them.

    Raises:
        OssFault: InvalidArgument.
    """
    for first, second in combinations(root.findall("Rule"), 2):
        _check_overlap(first, second)


def _check_actions(rule: Element) -> None:
    actions = [one for one in rule if one.tag.endswith(("Expiration", "Transition", "Upload"))]
    if not actions:
        raise malformed()
    for action in actions:
        noncurrent = action.tag.startswith("NoncurrentVersion")
        given = [one for one in _MOMENTS if action.find(one) is not None]
        if not noncurrent and len(given) != 1:
            raise malformed()
        whole(action, "NoncurrentDays" if noncurrent else "Days", 1, 2_147_483_647)
        for name in ("Date", "CreatedBeforeDate"):
            text = action.findtext(name)
            if text is not None and not _MIDNIGHT.fullmatch(text.strip()):
                raise invalid_argument("Date must be at midnight GMT.", name, text)
        if action.tag.endswith("Transition"):
            storage_class = text_of(action, "StorageClass").strip()
            if storage_class not in _CLASSES:
                text = "The storage class of a transition is not valid."
                raise invalid_argument(text, "StorageClass", storage_class)


def _check_moments(rule: Element) -> None:
    """Expiration and transitions are all by days, or all by date."""
    actions = [*rule.findall("Expiration"), *rule.findall("Transition")]
    kinds = {one.tag for action in actions for one in action if one.tag in _MOMENTS[:3]}
    if "Days" in kinds and len(kinds) > 1:
        text = "Days and dates cannot be mixed in one rule."
        raise OssFault(400, "InvalidRequest", text, ec="0036-00000011")


def _check_tags(rule: Element) -> None:
    """Tags of the characters that tags of objects can have; too long ones match nothing."""
    for tag in rule.findall("Tag"):
        for name in ("Key", "Value"):
            text = text_of(tag, name)
            if not TAG_TEXT.fullmatch(text):
                raise invalid_argument(f"The {name} of a tag is not valid.", name, text)


def _check_order(rule: Element) -> None:
    """A colder class comes later, and deleting last."""
    for prefix, name in (("", "Days"), ("NoncurrentVersion", "NoncurrentDays")):
        moments: dict[str, int] = {}
        for one in rule.findall(f"{prefix}Transition"):
            moments[text_of(one, "StorageClass")] = whole(one, name) or 0
        end = rule.find(f"{prefix}Expiration")
        days = [moments[one] for one in _CLASSES if moments.get(one)]
        last = whole(end, name) if end is not None else None
        if last:
            days.append(last)
        if any(earlier >= later for earlier, later in combinations(days, 2)):
            text = "Days of a later action must be greater than those of an earlier one."
            raise invalid_argument(text, name, str(days[-1]))


def _check_overlap(first: Element, second: Element) -> None:
    """Two rules without tags must not do the same to the same prefix."""
    if first.find("Tag") is not None or second.find("Tag") is not None:
        return
    prefixes = text_of(first, "Prefix"), text_of(second, "Prefix")
    if not (prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0])):
        return
    for action in ("Expiration", "AbortMultipartUpload"):
        if first.find(action) is not None and second.find(action) is not None:
            text = f"Overlap for same action type {action}"
            raise invalid_argument(text, "Prefix", prefixes[1], ec="0036-00000012")
