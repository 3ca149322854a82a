"""What is passed on without typer's conversion is what the conversion would have given."""

from enum import Enum
from types import SimpleNamespace

import pytest
import typer
from typer.main import get_command

from osssync.cli.table import COMMANDS, app
from osssync.cli.values import spare_conversions

WORDS = ["", "0", "7", "007", "-1", "+3", " 4 ", "1e3", "1.5", "1000000000000", "999", "٣", "x"]
TABLE = get_command(app)
CONTEXT = typer.Context(TABLE)


def parameters():
    """Every parameter that a command is handed; what --help and its like do is not a value."""
    for name, _module, _summary in COMMANDS:
        for one in TABLE.commands[name].get_params(CONTEXT):
            if one.expose_value:
                yield pytest.param(one, id=f"{name} {one.name}")


def given(parameter):
    """What the parser may hand over for it: nothing, its default, and words of all kinds."""
    default = parameter.get_default(CONTEXT)
    kind = type(default)
    words = [*WORDS, *([one.value for one in kind] if issubclass(kind, Enum) else [])]
    if parameter.multiple or parameter.nargs == -1:
        return [None, default, (), *((word, "*.c") for word in words)]
    if getattr(parameter, "count", False):
        return [None, default, 0, 1, 2]
    if getattr(parameter, "is_flag", False):
        return [None, default, True, False]
    return [None, default, *words]


def outcome_of(process, value):
    """What becomes of a value: the result and its type, or the error's text."""
    try:
        result = process(CONTEXT, value)
    except typer.BadParameter as error:
        return error.format_message()
    except typer.Exit:
        return "exit"
    return type(result), result


@pytest.mark.parametrize("parameter", list(parameters()))
def test_a_spared_conversion_changes_nothing(parameter, capsys):
    """For every parameter and every kind of word: the same value, or the same error."""
    usual = type(parameter).process_value.__get__(parameter)
    expected = [outcome_of(usual, value) for value in given(parameter)]

    spare_conversions([parameter])

    assert expected == [outcome_of(parameter.process_value, value) for value in given(parameter)]


def test_a_typer_that_is_otherwise_made_converts_itself():
    """A parameter that does not describe its type as expected is left alone."""
    option = SimpleNamespace(type=int)

    spare_conversions([option])

    assert SimpleNamespace(type=int) == option
