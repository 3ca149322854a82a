"""The command line's way in: the table of commands, and how every error becomes an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from osssync.cli import demo, emulate, look, remove, transfer, uploads, whoami
from osssync.cli.groups import InOrder
from osssync.cli.output import complain
from osssync.cli.signals import INTERRUPTED_EXIT, interrupt_on_signals
from osssync.cli.streams import drop_output, flush_output, prepare_streams
from osssync.errors import LocalFileError, OsssyncError
from osssync.version import __version__

EPILOG = """Addresses: oss://bucket/key, everything after the bucket's slash being the raw key, or
a local path. Sizes: K, M and G are 1024-based. Exit codes: 0 done, 1 usage or configuration, 2 the
server refused, 3 client or network error, 4 some objects failed, 5 interrupted, 6 a safety guard
refused, 7 credentials or permission, 8 max-transfer reached, 10 max-duration reached, 11 another
run holds the lock."""

app = typer.Typer(
    name="osssync",
    help="Move objects between disk and Alibaba Cloud OSS with the instance's RAM role.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("cp", cls=InOrder)(transfer.cp)
app.command("sync", cls=InOrder)(transfer.sync)
app.command("ls")(look.ls)
app.command("stat")(look.stat)
app.command("cat")(look.cat)
app.command("rm")(remove.rm)
app.command("uploads")(uploads.uploads)
app.command("whoami")(whoami.whoami)
app.command("demo")(demo.demo)
app.command("emulate")(emulate.emulate)


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
_PARSER_ERROR = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (see ``EPILOG``)."""
    prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(words)
        flush_output()
    except BrokenPipeError:  # the reader of our output is gone: osssync ls | head
        drop_output()
        return LocalFileError.exit_code
    except LocalFileError as error:
        drop_output()
        complain(str(error))
        return error.exit_code
    return code


def _run(words: list[str]) -> int:
    interrupt_on_signals()
    try:
        result = _invoke(words)
    except typer.Exit as request:
        return request.exit_code
    except OsssyncError as error:
        complain("; ".join([str(error), *getattr(error, "__notes__", ())]))
        return error.exit_code
    except (KeyboardInterrupt, EOFError, typer.Abort):
        complain("interrupted")
        return INTERRUPTED_EXIT
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where anything can be explained
        return _explain(error, words)
    return result if isinstance(result, int) else 0


def _invoke(words: list[str]) -> object:
    command = get_command(app)
    if "_OSSSYNC_COMPLETE" in os.environ:  # the shell asks how a line may go on
        return command.main(args=words, prog_name="osssync", standalone_mode=False)
    # Not main(): it has exit codes of its own for Ctrl-C (130) and for a broken pipe (1).
    with command.make_context("osssync", words) as context:
        return command.invoke(context)


def _explain(error: Exception, words: list[str]) -> int:
    if isinstance(error, _PARSER_ERROR):
        complain(error.format_message())  # type: ignore[attr-defined]
        complain("see osssync --help, and osssync COMMAND --help")
        return 1
    if "-vv" in words:
        traceback.print_exc()
    # The type alone: the text of an unforeseen error could hold a secret.
    complain(f"unexpected {type(error).__name__}: please report this bug (-vv shows where)")
    return 3
