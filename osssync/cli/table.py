"""The program that all commands make up, as typer has it."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from osssync.cli.commands import COMMANDS
from osssync.cli.listed import Listed
from osssync.version import __version__

EPILOG = """Addresses: oss://bucket/key, everything after the bucket's slash being the raw key, or
a local path. Sizes: K, M and G are 1024-based. Exit codes: 0 done, 1 usage or configuration, 2 the
server refused, 3 client or network error, 4 some objects failed, 5 interrupted, 6 a safety guard
refused, 7 credentials or permission, 8 max-transfer reached, 10 max-duration reached, 11 another
run holds the lock."""


class Table(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's
        super().__init__(**settings)
        for name, module, summary in COMMANDS:
            self.add_command(Listed(name, module, summary))


app = typer.Typer(
    name="osssync",
    cls=Table,
    help="Move objects between disk and Alibaba Cloud OSS with the instance's RAM role.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"osssync {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    del version  # its callback has done all there is to do


# The base of all errors of the command-line parser; where it lives depends on typer's version.
PARSER_ERROR = typer.BadParameter.__mro__[2]
