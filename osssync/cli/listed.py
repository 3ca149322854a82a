"""Commands that are known by name and summary, and loaded when one of them is asked for.

A command line asks for one. Loading the modules and building the parameters of all would take
longer than most runs.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand
from typer.main import get_command

from osssync.cli.collecting import resume_collecting
from osssync.cli.values import spare_conversions

ARGV = "osssync.argv"
"""Where a ``Command`` keeps the words of its command line in ``Context.meta``."""


class Command(TyperCommand):
    """A command that remembers its words, because the order of filter rules is their meaning."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Keep the words, then parse as usual."""
        ctx.meta[ARGV] = tuple(args)
        spare_conversions(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's
        """Run it; the collector, if it was put to rest, works again."""
        resume_collecting()
        return super().invoke(ctx)


class Listed(TyperCommand):
    """A command as the table has it. To be run, completed or explained, it is loaded.

    Args:
        name: of the command, and of its function.
        module: that the function is in, below ``osssync.cli``.
        summary: the first sentence of the function's docstring.
    """

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name, help=summary, rich_markup_mode=None)
        self._module = module
        self._loaded: TyperCommand | None = None

    def load(self) -> TyperCommand:
        """The command itself."""
        if self._loaded is None:
            name = str(self.name)
            function: Callable[..., None] = getattr(
                import_module(f"osssync.cli.{self._module}"), name
            )
            alone = typer.Typer(
                add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
            )
            alone.command(name, cls=Command)(function)
            self._loaded = cast("TyperCommand", get_command(alone))
        return self._loaded

    def make_context(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of the parser
        """The context of the command itself, in which it is what is run."""
        return self.load().make_context(*args, **more)

    def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401
        """The parameters of the command itself."""
        return self.load().get_params(ctx)  # type: ignore[arg-type, unused-ignore]
