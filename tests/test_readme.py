"""The README is held against the program."""

import re

import pytest
import typer
from typer.main import get_command

from osssync.cli.table import EPILOG, app
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_readme_and_the_other_way_round():
    """The table of commands is the list of commands."""
    listed = set(re.findall(r"^\| `osssync (\w+)", README, re.MULTILINE))

    assert set(get_command(app).list_commands(typer.Context(get_command(app)))) == listed


def test_every_flag_the_readme_names_exists():
    """A documented option that does not exist fails the build."""
    table = get_command(app)
    context = typer.Context(table)
    options = [one for each in table.commands.values() for one in each.get_params(context)]
    known = {name for option in options for name in [*option.opts, *option.secondary_opts]}

    racing = (ROOT / "scripts/racing/__main__.py").read_text(encoding="utf-8")
    known |= set(re.findall(r'"(--[a-z]+)"', racing))  # of scripts/bench
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README))

    assert set() == named - known - {"--all", "--help"}  # of scripts/test, of every command


def test_exit_codes_are_those_of_the_help():
    """README and --help give the same numbers the same meanings."""
    in_help = re.sub(r"\s+", " ", EPILOG).split("Exit codes: ")[1].rstrip(".")
    section = README.split("Exit codes: ")[1].split("\n\n")[0]
    in_readme = re.sub(r"\s+", " ", section).rstrip(".")

    helped = dict(part.strip().split(" ", 1) for part in in_help.split(", ") if part[0].isdigit())
    read = dict(part.strip().split(" ", 1) for part in in_readme.split(" · "))

    assert set(helped) == set(read)
    for code, meaning in helped.items():
        assert read[code].startswith(meaning.split(",")[0])


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_in_the_readme_runs(emulator, monkeypatch, tmp_path, block):
    """Every block, as printed but for its paths, against the emulator."""
    from osssync.emulator.settings import Settings
    from tests.conftest import environment_for

    for name, value in environment_for(emulator).items():
        monkeypatch.setenv(name, value)
    emulator.objects.create_bucket("examplebucket")
    emulator.objects.put("examplebucket", "testfolder/example.png", b"png")
    emulator.objects.put("examplebucket", "images/a", b"a")
    program = block.replace("/localpath/to", str(tmp_path)).replace("/data", str(tmp_path))
    if "OssSettings" in program:
        program = program.replace(
            'osssync.OssSettings(region="cn-beijing")',
            f'osssync.OssSettings(region="cn-hangzhou", endpoint="{emulator.endpoint}")',
        ).replace(
            "osssync.Options(",
            "osssync.Options(credentials=osssync.CredentialSettings("
            f'metadata_proxy="{emulator.metadata_proxy}"),',
        )
    names: dict[str, object] = {}

    exec(compile(program, "README.md", "exec"), names)

    assert names["report"].succeeded
    assert Settings().region == "cn-hangzhou"
