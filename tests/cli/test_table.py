"""The table of commands says of each what the command says of itself."""

import os
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from osssync.cli.app import main
from osssync.cli.table import COMMANDS, app

NAMES = [name for name, _module, _summary in COMMANDS]


@pytest.fixture
def table():
    """The group of all commands, as the program makes it."""
    return get_command(app)


@pytest.mark.parametrize("width", [30, 50, 70, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_a_summary_is_what_the_docstring_gives(table, name, width):
    """--help reads as if every command had been loaded, however narrow the terminal."""
    listed = table.commands[name]

    assert listed.load().get_short_help_str(width) == listed.get_short_help_str(width)


@pytest.mark.parametrize("name", NAMES)
def test_a_command_explains_itself(name, capsys):
    """COMMAND --help names the program, the command and its flags, and says it is all right."""
    code = main([name, "--help"])

    out = capsys.readouterr().out
    assert code == 0
    assert out.startswith(f"Usage: osssync {name} [OPTIONS]")
    assert "-h, --help" in out


def test_a_mistyped_command_is_refused(capsys):
    """The name is repeated, and where to look is said."""
    assert main(["snyc"]) == 1

    err = capsys.readouterr().err
    assert "No such command 'snyc'" in err
    assert "see osssync --help" in err


def test_a_listed_command_has_the_parameters_of_its_own(table):
    """Whoever asks the table for flags gets those of the command."""
    context = typer.Context(table)

    flags = {flag for one in table.commands["ls"].get_params(context) for flag in one.opts}

    assert {"--recursive", "--endpoint", "--json", "--help"} <= flags | {"--help"}
    assert "--delete" not in flags


@pytest.mark.parametrize(
    ("line", "expected"),
    [("osssync s", {"sync", "stat"}), ("osssync sync --max-d", {"--max-delete", "--max-duration"})],
)
def test_the_shell_completes_commands_and_flags(line, expected):
    """Of the table, and of the command that is named."""
    env = os.environ | {
        "_OSSSYNC_COMPLETE": "complete_bash", "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }  # fmt: skip

    done = subprocess.run(
        [sys.executable, "-m", "osssync"], env=env, capture_output=True, text=True, check=False
    )

    assert expected == set(done.stdout.split())
