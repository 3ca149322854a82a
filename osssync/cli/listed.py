"""Commands that are known by name and summary, and loaded when one of them is asked for.

A command line asks for one. Loading the modules and building the parameters of all would take
longer than most runs.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand


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
            from osssync.cli.for_typer import built

            name = str(self.name)
            module = import_module(f"osssync.cli.{self._module}")
            self._loaded = built(name, getattr(module, name))
        return self._loaded

    def make_context(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of the parser
        """The context of the command itself, in which it is what is run."""
        return self.load().make_context(*args, **more)

    def get_params(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401
        """The parameters of the command itself."""
        return self.load().get_params(ctx)  # type: ignore[arg-type, unused-ignore]
