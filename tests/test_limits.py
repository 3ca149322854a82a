"""When a run is told to end early, and with which exit code."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osssync.errors import (
    LockBusyError,
    MaxDurationError,
    MaxTransferError,
    TooManyFailuresError,
    UsageError,
)
from osssync.limits import Budget, Limits


def budget_of(*, moved=(), failed=0, **limits):
    budget = Budget(Limits(**limits))
    for byte_count in moved:
        budget.moved(byte_count)
    for _ in range(failed):
        budget.failed()
    return budget


def kind_of(verdict):
    return None if verdict is None else type(verdict)


def test_without_limits_a_run_never_ends_early():
    """Any use of time, bytes and failures is within no limit."""
    budget = budget_of(moved=[1 << 60], failed=10**4)

    assert (None, None) == (budget.spent(), budget.overdue(1e12))


@pytest.mark.parametrize(("elapsed_s", "kind"), [(59.9, None), (60, MaxDurationError)])
def test_a_duration_ends_a_run_when_it_is_over(elapsed_s, kind):
    """Not a moment before."""
    assert kind is kind_of(budget_of(max_duration_s=60).overdue(elapsed_s))


@pytest.mark.parametrize(
    ("moved", "kind"),
    [([], None), ([40, 59], None), ([40, 60], MaxTransferError), ([500], MaxTransferError)],
)  # fmt: skip
def test_a_transfer_limit_ends_a_run_when_it_is_reached(moved, kind):
    """The bytes of all outcomes together."""
    assert kind is kind_of(budget_of(moved=moved, max_transfer_bytes=100).spent())


@pytest.mark.parametrize(
    ("allowed", "failed", "kind"),
    [(0, 0, None), (0, 1, TooManyFailuresError), (3, 3, None), (3, 4, TooManyFailuresError)],
)  # fmt: skip
def test_the_failure_after_the_allowed_ones_ends_a_run(allowed, failed, kind):
    """--max-failure 3: three may fail, the fourth is too many."""
    assert kind is kind_of(budget_of(failed=failed, max_failure=allowed).spent())


def test_failures_are_told_before_anything_else():
    """Of several reasons the one to look at comes first, and "run again" is not the advice."""
    budget = budget_of(moved=[9], failed=1, max_failure=0, max_transfer_bytes=1)

    assert isinstance(budget.spent(), TooManyFailuresError)


def test_exit_codes_are_the_documented_ones():
    """10 duration, 8 transfer, 4 failures, 11 a busy lock; across processes, too."""
    kinds = (MaxDurationError, MaxTransferError, TooManyFailuresError, LockBusyError)

    copies = [pickle.loads(pickle.dumps(kind("why"))) for kind in kinds]

    assert [10, 8, 4, 11] == [copy.exit_code for copy in copies]
    assert ["why"] * 4 == [str(copy) for copy in copies]
    assert not any(copy.retryable for copy in copies)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_duration_s": 0.0},
        {"max_duration_s": -1.0},
        {"max_duration_s": math.nan},
        {"max_failure": -1},
        {"max_transfer_bytes": 0},
        {"max_transfer_bytes": -5},
    ],
)
def test_a_limit_that_leaves_no_room_is_refused(limits):
    """It names its flag: a run that could do nothing is a mistake of the command line."""
    flag = "--" + next(iter(limits)).removesuffix("_s").removesuffix("_bytes").replace("_", "-")

    with pytest.raises(UsageError, match=flag):
        Limits(**limits)


@given(
    st.lists(st.integers(0, 50)), st.integers(0, 9), st.floats(0, 50),
    st.integers(1, 200), st.integers(0, 9), st.floats(0.1, 50),
)  # fmt: skip
def test_a_verdict_is_given_exactly_when_a_limit_is_used_up(
    moved, failed, elapsed_s, max_bytes, max_failure, max_duration_s
):
    """Against the plain sums."""
    budget = budget_of(
        moved=moved,
        failed=failed,
        max_transfer_bytes=max_bytes,
        max_failure=max_failure,
        max_duration_s=max_duration_s,
    )

    is_spent = failed > max_failure or sum(moved) >= max_bytes
    assert is_spent == (budget.spent() is not None)
    assert (elapsed_s >= max_duration_s) == (budget.overdue(elapsed_s) is not None)
