"""How a command says what its line may hold: by records, and without a parser loaded.

``@takes(ConnectionFlags)`` on a command makes the fields of the record its flags and words, and
hands it one frozen value of them. What a field is called on the command line stands beside its
type, as a ``Flag`` or a ``Word``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, get_origin

from msgspec import Struct
from msgspec.structs import FieldInfo, fields

_NONE = type(None)


class Flag(Struct, frozen=True):
    """A flag; ``names`` as they are typed, or that of the field."""

    names: tuple[str, ...]
    summary: str
    metavar: str | None
    least: int | None
    most: int | None
    is_counted: bool


class Word(Struct, frozen=True):
    """What stands on the line without a flag, in the order of the fields."""

    metavar: str
    summary: str


class Words(Struct, frozen=True):
    """The whole line after the command, for those whom the order of flags means something."""

    typed: tuple[str, ...]


class Declared(Struct, frozen=True):
    """A command, and the records it takes, in the order of its parameters.

    ``function`` returns an exit code, or None for 0.
    """

    function: Callable[..., int | None]
    groups: tuple[type[Struct], ...]

    def fields(self) -> list[FieldInfo]:
        """All that the line may hold."""
        return [field for group in self.groups if group is not Words for field in fields(group)]

    def call(self, values: Mapping[str, Any], typed: Sequence[str]) -> int | None:
        """Run it; fields that have no value here have their defaults.

        Args:
            values: by the names of the fields.
            typed: the words of the line.
        """
        return self.function(
            *(
                Words(tuple(typed))
                if group is Words
                else group(
                    **{name: values[name] for name in group.__struct_fields__ if name in values}
                )
                for group in self.groups
            )
        )


def flag(
    *names: str,
    help: str,  # noqa: A002 - as parsers call it
    metavar: str | None = None,
    least: int | None = None,
    most: int | None = None,
    is_counted: bool = False,
) -> Flag:
    """A flag of these names, the long one first; ``--on/--off`` for a switch with an opposite.

    Args:
        names: none: that of the field, its underscores being hyphens.
        help: for people.
        metavar: what its value is, in the help.
        least: of a number.
        most: likewise.
        is_counted: it has no value, and counts how often it is there.
    """
    return Flag(names, help, metavar, least, most, is_counted)


def takes(*groups: type[Struct]) -> Callable[[Callable[..., int | None]], Declared]:
    """Declare a command by the records that are its parameters."""
    return lambda function: Declared(function, groups)


def said_of(field: FieldInfo) -> Flag | Word:
    """What stands beside the type of a field."""
    said: Flag | Word = field.type.__metadata__[0]
    return said


def names_of(field: FieldInfo) -> tuple[str, ...]:
    """A flag's names as they are typed."""
    said = said_of(field)
    if isinstance(said, Flag) and said.names:
        return said.names
    return (f"--{field.name.replace('_', '-')}",)


def type_of(field: FieldInfo) -> Any:  # noqa: ANN401 - types are
    """The type of a value that is given: ``str`` of ``str | None``."""
    declared = field.type.__origin__
    if get_origin(declared) is list:
        return declared
    return next((one for one in get_args(declared) if one is not _NONE), declared)
