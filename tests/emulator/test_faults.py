"""Rules fire where, when and as often as they say; what is not a rule is refused."""

import json
import threading

import pytest

from osssync.emulator.faults import (
    Effect,
    FaultRuleError,
    Faults,
    Occasion,
    Rule,
    read_rule,
    read_rules,
    write_rule,
)

GET = Occasion("oss", "GET", "GetObject", "bucket", "a/key")


def fired(rule, times, occasion=GET):
    """Which of so many equal requests a rule hits."""
    faults = Faults([rule])
    return [faults.take(occasion) is not None for _ in range(times)]


def test_without_rules_all_is_well():
    """No rule, no fault."""
    assert Faults().take(GET) is None


@pytest.mark.parametrize(
    ("values", "hit"),
    [
        ({}, True),
        ({"method": "GET"}, True),
        ({"method": "PUT"}, False),
        ({"operation": "GetObject"}, True),
        ({"operation": "HeadObject"}, False),
        ({"bucket": "bucket"}, True),
        ({"bucket": "other"}, False),
        ({"key": "a/*"}, True),
        ({"key": "A/*"}, False),
        ({"key": "b/*"}, False),
        ({"part_number": 3}, False),
        ({"query": {"uploads": ""}}, False),
        ({"service": "metadata"}, False),
    ],
)
def test_a_rule_hits_what_it_describes(values, hit):
    """Every field that is given must match; fields that are not given match anything."""
    assert fired(read_rule({"effect": "error", **values}), 1) == [hit]


def test_a_part_and_a_query_can_be_named():
    """One part of one upload can go wrong alone."""
    part = Occasion(
        "oss", "PUT", "UploadPart", "bucket", "key", 3, {"partNumber": "3", "uploadId": "u"}
    )
    rule = read_rule({"effect": "reset", "part_number": 3, "query": {"uploadId": "u"}})

    assert fired(rule, 1, part) == [True]


def test_after_every_and_times_count_matching_requests():
    """Skip two, then every second one, at most twice."""
    rule = Rule(Effect.ERROR, after=2, every=2, times=2)

    assert fired(rule, 9) == [False, False, False, True, False, True, False, False, False]


def test_requests_that_do_not_match_are_not_counted():
    """A rule for one key counts requests for that key only."""
    faults = Faults([Rule(Effect.ERROR, key="b", after=1)])
    faults.take(GET)
    own = Occasion("oss", "GET", "GetObject", "bucket", "b")

    assert [faults.take(own) is not None for _ in range(2)] == [False, True]


def test_a_probability_is_repeatable_by_its_seed():
    """The same seed hits the same requests; another one hits others; all hit about as often."""
    first = fired(Rule(Effect.ERROR, probability=0.3, seed=1), 200)

    assert first == fired(Rule(Effect.ERROR, probability=0.3, seed=1), 200)
    assert first != fired(Rule(Effect.ERROR, probability=0.3, seed=2), 200)
    assert 30 < sum(first) < 90


def test_the_first_rule_that_fires_wins():
    """Rules stand in order; one that has run out lets the next one speak."""
    faults = Faults([Rule(Effect.ERROR, times=1), Rule(Effect.HANG)])

    effects = [faults.take(GET).effect for _ in range(2)]

    assert effects == [Effect.ERROR, Effect.HANG]


def test_rules_survive_json():
    """What is written reads back as the same rule."""
    rule = Rule(
        Effect.CUT, key="a/*", query=(("uploads", ""),), times=2, at=10, probability=0.5, seed=3
    )

    assert read_rule(json.loads(json.dumps(write_rule(rule)))) == rule


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([], "object"),
        ({}, "effect"),
        ({"effect": "explode"}, "explode"),
        ({"effect": "error", "keys": "a"}, "keys"),
        ({"effect": "error", "times": "2"}, "times"),
        ({"effect": "error", "times": True}, "times"),
        ({"effect": "error", "times": -1}, "at least"),
        ({"effect": "error", "every": 0}, "every"),
        ({"effect": "error", "status": 99}, "status"),
        ({"effect": "error", "probability": 2}, "probability"),
        ({"effect": "error", "query": {"a": 1}}, "query"),
        ({"effect": "error", "body": "html"}, "body"),
        ({"effect": "error", "service": "s3"}, "service"),
        ({"effect": "cut", "at": -1}, "at"),
        ({"effect": "throttle", "status": 500}, "status"),
        ({"effect": "hang", "at": 1}, "at"),
        ({"effect": "delay", "offset_s": 1}, "offset_s"),
        ({"effect": "flip", "service": "metadata"}, "service"),
        ({"effect": "hang", "service": "metadata", "bucket": "b"}, "bucket"),
    ],
)
def test_what_is_not_a_rule_is_refused(raw, reason):
    """A rule with a typo would test nothing."""
    with pytest.raises(FaultRuleError, match=reason):
        read_rule(raw)


def test_faults_are_a_list():
    """One rule alone is not a faults file."""
    with pytest.raises(FaultRuleError, match="list"):
        read_rules({"effect": "error"})


def test_a_faults_file_is_read(tmp_path):
    """A file of rules is put in force; one that is not JSON says so."""
    path = tmp_path / "faults.json"
    path.write_text('[{"effect": "throttle", "times": 1}]')
    broken = tmp_path / "broken.json"
    broken.write_text("[{]")

    assert Faults.load(path).take(GET) == Rule(Effect.THROTTLE, times=1)
    with pytest.raises(FaultRuleError, match=r"broken\.json"):
        Faults.load(broken)


def test_rules_can_change_while_requests_run():
    """Adding keeps counts, replacing begins again, clearing ends it; the snapshot tells."""
    faults = Faults([Rule(Effect.ERROR, times=1)])
    faults.take(GET)
    faults.inject(Effect.HANG, key="b")

    before = faults.snapshot()
    faults.clear()

    assert [(one["effect"], one["seen"], one["fired"]) for one in before] == [
        ("error", 1, 1),
        ("hang", 0, 0),
    ]
    assert faults.snapshot() == []
    assert faults.take(GET) is None


def test_threads_share_the_count():
    """A rule for ten requests hits ten, whoever sends them."""
    faults = Faults([Rule(Effect.ERROR, times=10)])
    hits = []

    def send():
        hits.extend(faults.take(GET) for _ in range(20))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sum(one is not None for one in hits) == 10
