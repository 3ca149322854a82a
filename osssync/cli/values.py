"""What a flag was given is often its value already, and then needs no converter.

Newer versions of typer convert with pydantic, and build a validator for every parameter, those
that were not given included: 40 ms for ``sync``, half of what a small run takes. What is passed on
here is what the conversion would give; all else, and every error, goes the usual way. A version of
typer that describes its parameters in another way converts everything itself.
"""

from collections.abc import Iterable
from enum import Enum
from functools import partial
from typing import Any, get_origin

_MOST_DIGITS = 9
_OTHER = object()


def spare_conversions(parameters: Iterable[Any]) -> None:
    """Have parameters of commands convert only what needs it."""
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is not None and descriptor.parameter_info.parser is None:
            parameter.process_value = partial(_process, parameter, descriptor.annotation)


def _process(parameter: Any, declared: Any, ctx: Any, value: Any) -> Any:  # noqa: ANN401 - typer's
    plain = _plain(parameter, declared, value)
    if plain is _OTHER or (plain is None and parameter.required):
        return type(parameter).process_value(parameter, ctx, value)
    return plain if parameter.callback is None else parameter.callback(ctx, parameter, plain)


def _plain(parameter: Any, declared: Any, value: Any) -> Any:  # noqa: ANN401 - typer's
    """The value as it would be converted, or ``_OTHER`` if that takes more than a look."""
    is_many = parameter.multiple or parameter.nargs == -1
    if value is None:
        return () if is_many else None
    if get_origin(declared) is list:
        is_plain = declared == list[str] and all(type(one) is str for one in value)
        return list(value) if is_plain and is_many else _OTHER
    if declared is str or declared is bool:
        return value if type(value) is declared else _OTHER
    if declared is int:
        return _number(parameter, value)
    if isinstance(declared, type) and issubclass(declared, Enum):
        return next((one for one in declared if value in (one, one.value)), _OTHER)
    return _OTHER


def _number(parameter: Any, value: Any) -> Any:  # noqa: ANN401 - typer's
    if type(value) is str:
        if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
            return _OTHER
        value = int(value)
    if type(value) is not int:
        return _OTHER
    is_below = parameter.min is not None and value < parameter.min
    is_above = parameter.max is not None and value > parameter.max
    return _OTHER if is_below or is_above else value
