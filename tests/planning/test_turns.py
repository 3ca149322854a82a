"""Large objects take turns: few at once, each once, none forgotten."""

import pytest

from osssync.model import Entry, Step, Task
from osssync.planning.assembly import Assembly
from osssync.planning.turns import ABREAST, Turns


def objects(count):
    """Large objects at their beginning."""
    return [Assembly(Task(n, Step.START, Entry(f"k{n}", 9, 0), f"k{n}"), 1) for n in range(count)]


def waiting(*assemblies):
    """Objects that were added in this order."""
    turns = Turns()
    for assembly in assemblies:
        turns.add(assembly)
    return turns


def given(turns, count):
    """The objects that give the next tasks."""
    order = []
    for _ in range(count):
        order.append(turns.first.object_number)
        turns.pass_on()
    return order


@pytest.mark.parametrize("count", [1, 2, ABREAST, ABREAST + 1, 20])
def test_the_first_few_take_turns(count):
    """Those behind them wait until one of them has nothing more to give."""
    turns = waiting(*objects(count))
    abreast = list(range(min(count, ABREAST)))

    assert abreast * 3 == given(turns, 3 * len(abreast))


def test_the_next_one_comes_up_when_one_has_nothing_to_give():
    """All of them, in the order of their coming."""
    turns = waiting(*objects(ABREAST + 2))

    turns.drop()

    assert [*range(1, ABREAST + 1)] * 2 == given(turns, 2 * ABREAST)


def test_an_object_is_in_it_once():
    """It is added whenever one of its tasks has come back."""
    one, other = objects(2)
    turns = waiting(one, other, one, one)

    turns.drop()
    turns.drop()

    assert not turns.waiting


def test_an_object_comes_back():
    """After it had nothing to give; and one that begins again has the number of the one before."""
    [first], [again] = objects(1), objects(1)
    turns = waiting(first)

    turns.add(again)
    turns.drop()
    assert turns.first is again

    turns.add(first)
    turns.drop()
    assert turns.first is first
