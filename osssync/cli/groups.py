"""Flags that several commands share, declared once as a record.

``@takes(ConnectionFlags)`` on a command adds the fields of the record to its command line and
hands the command one frozen value in their place.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields


def takes(*groups: type[Struct]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of records; it names them as its first parameters, in order."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())
        own = own[len(groups) :]
        flags = [flag for group in groups for flag in _parameters(group)]

        @functools.wraps(command)
        def call(**values: Any) -> None:  # noqa: ANN401 - whatever the flags are
            made = [
                group(**{name: values[name] for name in group.__struct_fields__})
                for group in groups
            ]
            command(*made, **{parameter.name: values[parameter.name] for parameter in own})

        ordered = sorted([*own, *flags], key=lambda one: one.default is not inspect.Parameter.empty)
        call.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in ordered}
        return call

    return decorate


def _parameters(group: type[Struct]) -> list[inspect.Parameter]:
    return [_parameter(field) for field in fields(group)]


def _parameter(field: FieldInfo) -> inspect.Parameter:
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=default, annotation=field.type)
