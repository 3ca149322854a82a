"""Flags that several commands share, declared once as a dataclass.

``@takes(ConnectionFlags)`` on a command adds the fields of the dataclass to its command line and
hands the command one frozen value in their place.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints


def takes(*groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of dataclasses; it names them as its first parameters, in order."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())
        own = own[len(groups) :]
        flags = [flag for group in groups for flag in _parameters(group)]

        @functools.wraps(command)
        def call(**values: Any) -> None:  # noqa: ANN401 - whatever the flags are
            made = [group(**{f.name: values[f.name] for f in fields(group)}) for group in groups]
            command(*made, **{parameter.name: values[parameter.name] for parameter in own})

        ordered = sorted([*own, *flags], key=lambda one: one.default is not inspect.Parameter.empty)
        call.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in ordered}
        return call

    return decorate


def _parameters(group: type) -> list[inspect.Parameter]:
    annotations = get_type_hints(group, include_extras=True)
    return [_parameter(field, annotations[field.name]) for field in fields(group)]


def _parameter(field: Field[Any], annotation: Any) -> inspect.Parameter:  # noqa: ANN401 - any
    default = field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=default, annotation=annotation)
