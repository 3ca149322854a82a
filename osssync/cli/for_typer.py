"""Declared commands as typer wants them: a function whose parameters are all flags and words."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, cast

import typer
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo
from typer.core import TyperCommand
from typer.main import get_command

from osssync.cli.collecting import resume_collecting
from osssync.cli.declared import Declared, Flag, names_of, said_of

_TYPED = "osssync.typed"  # in Context.meta: the words of the command line


class _Command(TyperCommand):
    """A command that remembers its words, because the order of filter rules is their meaning."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Keep the words, then parse as usual."""
        ctx.meta[_TYPED] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's
        """Run it; the collector, if it was put to rest, works again."""
        resume_collecting()
        return super().invoke(ctx)


def built(name: str, command: Declared | Callable[..., None]) -> TyperCommand:
    """A command from its records, or from a function with a signature of typer's own."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    function = _spread(command) if isinstance(command, Declared) else command
    alone.command(name, cls=_Command)(function)
    return cast("TyperCommand", get_command(alone))


def _spread(declared: Declared) -> Callable[..., int | None]:
    """The same command, with the fields of its records as its parameters."""

    def call(ctx: typer.Context, **values: Any) -> int | None:  # noqa: ANN401 - of all flags
        return declared.call(values, ctx.meta[_TYPED])

    parameters = [_parameter(field) for field in declared.fields()]
    parameters.sort(key=lambda one: one.default is not inspect.Parameter.empty)
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    call.__doc__ = declared.function.__doc__
    call.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in (context, *parameters)}
    return call


def _parameter(field: FieldInfo) -> inspect.Parameter:
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is NODEFAULT else default,
        annotation=Annotated[field.type.__origin__, _as_typer(field)],
    )


def _as_typer(field: FieldInfo) -> Any:  # noqa: ANN401 - typer's
    said = said_of(field)
    if not isinstance(said, Flag):
        return typer.Argument(metavar=said.metavar, help=said.summary)
    return typer.Option(
        *names_of(field),
        help=said.summary,
        metavar=said.metavar,
        min=said.least,
        max=said.most,
        count=said.is_counted,
    )
