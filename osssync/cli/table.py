"""The table of commands: name, module and one line of each, and the program that they make up."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from osssync.cli.listed import Listed
from osssync.cli.values import spare_conversions
from osssync.version import __version__

COMMANDS = (
    ("cp", "transfer", "Copy one object, or a tree with -r."),
    ("sync", "transfer", "Make DST hold what SRC holds."),
    ("ls", "look", "List buckets, or what begins with a prefix."),
    ("stat", "look", "Show what OSS knows about one object."),
    ("cat", "look", "Write one object to standard output."),
    ("rm", "remove", "Delete one object, or a tree with -r."),
    (
        "uploads",
        "uploads",
        "List unfinished multipart uploads of keys that begin with a prefix, or abort them.",
    ),
    ("whoami", "whoami", "Show who OSS thinks we are."),
    ("demo", "demo", "Show keyless access on this machine."),
    ("emulate", "emulate", "Serve OSS and ECS metadata on loopback."),
)
"""Name, module and summary, in the order of ``--help``."""

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

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse what stands before the command."""
        spare_conversions(self.get_params(ctx))
        return super().parse_args(ctx, args)


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
