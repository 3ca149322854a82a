"""The command line's way in, and how every error becomes an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from osssync.cli.collecting import rest_collecting, resume_collecting
from osssync.cli.leaving import leave
from osssync.cli.lines import complain
from osssync.cli.signals import INTERRUPTED_EXIT, interrupt_on_signals
from osssync.cli.sparing import sparing
from osssync.cli.streams import drop_output, flush_output, prepare_streams
from osssync.errors import LocalFileError, OsssyncError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (see ``table.EPILOG``).

    Args:
        arguments: without the program's name; None: this process is the program, and ends here
            where it can.
    """
    if arguments is not None:
        return _serve(list(arguments))
    rest_collecting()
    return leave(_serve(sys.argv[1:]))


def _serve(words: list[str]) -> int:
    prepare_streams()
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
    try:
        interrupt_on_signals()
        result = _invoke(words)
    except OsssyncError as error:
        complain("; ".join([str(error), *getattr(error, "__notes__", ())]))
        return error.exit_code
    except (KeyboardInterrupt, EOFError):
        complain("interrupted")
        return INTERRUPTED_EXIT
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where anything can be explained
        return _explain(error, words)
    return result if isinstance(result, int) else 0


def _invoke(words: list[str]) -> object:
    """The exit code, if the command gives one."""
    is_completion = "_OSSSYNC_COMPLETE" in os.environ  # the shell asks how a line may go on
    if not is_completion and (plain := _plain(words)):
        return plain()
    import typer  # here, where an interruption is understood
    from typer.main import get_command

    from osssync.cli.table import app

    command = get_command(app)
    try:
        if is_completion:
            return command.main(args=words, prog_name="osssync", standalone_mode=False)
        # Not main(): it has exit codes of its own for Ctrl-C (130) and for a broken pipe (1).
        with command.make_context("osssync", words) as context:
            return command.invoke(context)
    except typer.Exit as request:
        return request.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None


def _plain(words: list[str]) -> Callable[[], int | None] | None:
    """What is to be done, if the line says so in a way that needs no typer to be understood."""
    from osssync.cli.commands import COMMANDS

    module = next((module for name, module, _ in COMMANDS if [name] == words[:1]), None)
    if module is None:
        return None
    with sparing("typing_extensions"):
        from osssync.cli.declared import Declared
    from osssync.cli.plain_line import read

    name, *rest = words
    declared = getattr(import_module(f"osssync.cli.{module}"), name)
    values = read(declared, rest) if isinstance(declared, Declared) else None
    if values is None:
        return None
    resume_collecting()
    return lambda: declared.call(values, rest)


def _explain(error: Exception, words: list[str]) -> int:
    from osssync.cli.table import PARSER_ERROR

    if isinstance(error, PARSER_ERROR):
        complain(error.format_message())  # type: ignore[attr-defined]
        complain("see osssync --help, and osssync COMMAND --help")
        return 1
    if "-vv" in words:
        import traceback

        traceback.print_exc()
    # The type alone: the text of an unforeseen error could hold a secret.
    complain(f"unexpected {type(error).__name__}: please report this bug (-vv shows where)")
    return 3
