"""The retry loop, on a clock that only its waits move."""

import pytest

from osssync.errors import (
    AccessDeniedError,
    ClockSkewedError,
    CredentialsRefusedError,
    IntegrityError,
    InterruptedRunError,
    NetworkError,
    OsssyncError,
    ServerFaultError,
    ThrottledError,
)
from osssync.retry import Retry, RetryPolicy


class FakeTime:
    """A clock moved by its own waits; ``stop_at`` makes the n-th wait say stop."""

    def __init__(self, stop_at=0):
        self.now_s = 0.0
        self.waits = []
        self.stop_at = stop_at

    def wait(self, delay_s):
        self.waits.append(delay_s)
        self.now_s += delay_s
        return len(self.waits) == self.stop_at

    def clock(self):
        return self.now_s


class Script:
    """Raises its errors in order, then returns "done"."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.attempts = []

    def __call__(self, attempt):
        self.attempts.append(attempt)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def always(answer, seen=None):
    def reaction(error):
        if seen is not None:
            seen.append(error)
        return answer

    return reaction


def run(script, time=None, policy=None, **reactions):
    time = time or FakeTime()
    retry = Retry(policy or RetryPolicy(), time.wait, lambda: 0.5, time.clock)
    reactions = {"on_refused": always(True), "on_skew": always(None)} | reactions
    return retry, lambda: retry.run(script, **reactions)


@pytest.mark.parametrize(
    "error", [NetworkError("x"), IntegrityError("x"), ServerFaultError("x", 500)]
)
def test_retryable_errors_are_repeated_until_success(error):
    """Each attempt gets the next number, and success returns the call's value."""
    script = Script(error, error, error)
    retry, go = run(script)

    value = go()

    assert value == "done"
    assert script.attempts == [1, 2, 3, 4]
    assert retry.attempts == 4


def test_waits_double_from_the_base_to_the_cap_with_full_jitter():
    """With every draw 0.5 the waits are half of 0.2, 0.4 … and never above half of 20."""
    time = FakeTime()
    _, go = run(Script(*[NetworkError("x")] * 9), time)

    go()

    assert time.waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])


def test_throttling_waits_longer_and_tells_the_pacemaker_first():
    """A throttled call starts from the larger base, and on_throttle hears before the wait."""
    time, told = FakeTime(), []
    throttled = ThrottledError("slow down", 503)
    _, go = run(Script(throttled), time, on_throttle=lambda _: told.append(len(time.waits)))

    go()

    assert time.waits == [0.5]
    assert told == [0]


def test_the_last_error_says_attempts_and_seconds_and_keeps_its_facts():
    """After the last repeat the error is of the same class, with its request id and a cause."""
    last = ServerFaultError("GET oss://b/k: 500", 500, "InternalError", "", "REQ1")
    time = FakeTime()
    retry, go = run(Script(*[last] * 99), time, RetryPolicy(retries=2))

    with pytest.raises(ServerFaultError) as caught:
        go()

    assert str(caught.value) == "GET oss://b/k: 500 (after 3 attempts over 0 s)"
    assert (caught.value.status, caught.value.request_id) == (500, "REQ1")
    assert caught.value.__cause__ is last
    assert retry.attempts == 3
    assert retry.slept_s == pytest.approx(0.3)


def test_the_seconds_of_a_first_attempt_made_before_the_loop_count():
    """It took 30 s to time out; what the user is told includes them."""
    time = FakeTime()
    time.now_s = 130.0
    _, go = run(Script(*[NetworkError("x")] * 99), time, RetryPolicy(retries=1), since_s=100.0)

    with pytest.raises(NetworkError, match=r"after 2 attempts over 30 s"):
        go()


def test_an_error_that_no_repeat_helps_is_raised_as_it_is():
    """Not retryable: one attempt, no wait, the very same object."""
    denied, time = AccessDeniedError("no", 403), FakeTime()
    script = Script(denied)
    _, go = run(script, time)

    with pytest.raises(AccessDeniedError) as caught:
        go()

    assert caught.value is denied
    assert (script.attempts, time.waits) == ([1], [])


def test_no_retries_means_one_attempt():
    """retries=0 raises the first failure."""
    script = Script(NetworkError("x"))
    _, go = run(script, policy=RetryPolicy(retries=0))

    with pytest.raises(NetworkError, match=r"^x$"):
        go()

    assert script.attempts == [1]


def test_refused_credentials_are_replaced_and_the_call_repeated_at_once():
    """on_refused sees the key id that was refused; nothing waits and no retry is used up."""
    refused, seen, time = CredentialsRefusedError("no", 403, "", "", "", "STS.1"), [], FakeTime()
    script = Script(refused)
    _, go = run(script, time, RetryPolicy(retries=0), on_refused=always(True, seen))

    assert go() == "done"
    assert [error.access_key_id for error in seen] == ["STS.1"]
    assert (script.attempts, time.waits) == ([1, 2], [])


def test_a_second_refusal_in_a_row_is_final():
    """Fresh credentials that are refused too will not become better."""
    refused, seen = CredentialsRefusedError("no", 403), []
    script = Script(refused, refused)
    _, go = run(script, on_refused=always(True, seen))

    with pytest.raises(CredentialsRefusedError, match="after 2 attempts"):
        go()

    assert len(seen) == 1


def expired(key_id):
    """OSS says that the token of a set has expired."""
    return CredentialsRefusedError("no", 403, "SecurityTokenExpired", "", "", key_id)


def test_sets_that_expire_faster_than_a_request_travels_are_followed():
    """Each refusal names another set whose token has expired: rotation, not a lost identity."""
    script = Script(expired("STS.1"), expired("STS.2"), expired("STS.3"))
    _, go = run(script)

    assert go() == "done"
    assert script.attempts == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "errors",
    [
        [expired("STS.1"), expired("STS.1")],
        [expired(f"STS.{number}") for number in range(6)],
        [expired("STS.1"), CredentialsRefusedError("no", 403, "InvalidAccessKeyId", "", "", "S")],
    ],
)
def test_expired_sets_are_not_followed_for_ever(errors):
    """The same set again, too many, or another reason: final."""
    script = Script(*errors)
    _, go = run(script)

    with pytest.raises(CredentialsRefusedError):
        go()
    assert len(script.attempts) == len(errors)


def test_a_refusal_without_fresh_credentials_is_final():
    """on_refused says False: raised as it is."""
    refused = CredentialsRefusedError("no", 403)
    _, go = run(Script(refused), on_refused=always(False))

    with pytest.raises(CredentialsRefusedError) as caught:
        go()

    assert caught.value is refused


def test_a_refusal_after_another_failure_is_a_new_rotation():
    """Short-lived credentials may expire again while a bad network is waited out."""
    refused, network = CredentialsRefusedError("no", 403), NetworkError("x")
    script = Script(refused, network, refused, network, refused)
    _, go = run(script)

    assert go() == "done"
    assert script.attempts == [1, 2, 3, 4, 5, 6]


def test_the_first_skew_repeats_at_once_and_further_ones_count():
    """Machines of a service may disagree on the time: each word is learned, none for ever."""
    skewed, seen, time = ClockSkewedError("late", 403, "", "", "", 1700000000.0), [], FakeTime()
    script = Script(skewed, CredentialsRefusedError("no", 403), *[skewed] * 50)
    _, go = run(script, time, on_skew=always(None, seen))

    with pytest.raises(ClockSkewedError, match="after 12 attempts"):
        go()

    assert [1700000000.0] * 11 == [error.server_time_s for error in seen]
    assert 9 == len(time.waits)


@pytest.mark.parametrize("first", [CredentialsRefusedError, ClockSkewedError])
def test_refusals_and_skews_in_turn_end(first):
    """No mixture goes on for ever: of two repeats in turn, one is counted."""
    second = {CredentialsRefusedError, ClockSkewedError} - {first}
    script = Script(*[first("x", 403), second.pop()("y", 403)] * 50)
    _, go = run(script)

    with pytest.raises(OsssyncError):
        go()

    assert len(script.attempts) <= 2 * (RetryPolicy().retries + 2)


def test_stopping_interrupts_the_wait():
    """A wait that says stop ends the loop with the error that was being waited out."""
    network, time = NetworkError("cut"), FakeTime(stop_at=2)
    script = Script(*[network] * 9)
    _, go = run(script, time)

    with pytest.raises(InterruptedRunError, match="cut") as caught:
        go()

    assert caught.value.__cause__ is network
    assert script.attempts == [1, 2]


def test_no_wait_ends_after_the_deadline():
    """Waits 0.1, 0.2, 0.4 s fit into 0.7 s, the next one does not: raised without waiting."""
    time = FakeTime()
    _, go = run(Script(*[NetworkError("x")] * 9), time, RetryPolicy(give_up_s=0.75))

    with pytest.raises(NetworkError, match="after 4 attempts"):
        go()

    assert time.waits == pytest.approx([0.1, 0.2, 0.4])


def test_errors_that_are_not_ours_pass_through():
    """A bug in the call is not repeated."""
    script = Script(ZeroDivisionError())
    _, go = run(script)

    with pytest.raises(ZeroDivisionError):
        go()

    assert script.attempts == [1]


def test_waits_stay_below_the_cap_after_very_many_failures():
    """The doubling does not overflow."""
    policy = RetryPolicy(retries=5000)

    assert policy.delay_s(5000, throttled=False, draw=1.0) == 20.0
