"""Command lines that hold nothing unusual, read without typer, which takes a sixth of a start.

    words ─▶ read ─▶ the values of what is given
               └─ None: help, an error, or a way of writing that is not known here ─▶ typer

What is read here is what typer would make of it; all that needs a word to the user is typer's.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo

from osssync.cli.declared import Declared, Flag, names_of, said_of, type_of

_MOST_DIGITS = 9  # of thousands int() makes an error


class _UnusualError(Exception):
    """This line is for typer."""


class _Form(Struct, frozen=True):
    """One way to type a flag; ``sets`` is what a switch sets it to."""

    field: str
    kind: Any
    flag: Flag
    sets: bool = True

    @property
    def is_switch(self) -> bool:
        return self.kind is bool or self.flag.is_counted

    def put(self, values: dict[str, Any], text: str) -> None:
        """Keep what was typed; of a switch that it was."""
        if self.flag.is_counted:
            values[self.field] = values.get(self.field, 0) + 1
        elif self.kind is bool:
            values[self.field] = self.sets
        elif self.kind == list[str]:
            values.setdefault(self.field, []).append(text)
        else:
            values[self.field] = self._value(text)

    def _value(self, text: str) -> Any:  # noqa: ANN401 - of ``kind``
        if self.kind is str:
            return text
        if self.kind is int:
            return self._number(text)
        if issubclass(self.kind, Enum):
            for one in self.kind:
                if one.value == text:
                    return one
        raise _UnusualError

    def _number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise _UnusualError
        number = int(text)
        least, most = self.flag.least, self.flag.most
        if (least is not None and number < least) or (most is not None and number > most):
            raise _UnusualError
        return number


def read(declared: Declared, words: Sequence[str]) -> dict[str, Any] | None:
    """The values that a line gives to a command, by field; None if it is for typer."""
    fields = declared.fields()
    forms = {typed: form for field in fields for typed, form in _forms(field)}
    values: dict[str, Any] = {}
    try:
        places = _read_flags(iter(words), forms, values)
        _place(places, [field for field in fields if not isinstance(said_of(field), Flag)], values)
    except _UnusualError:
        return None
    return values


def _forms(field: FieldInfo) -> Iterator[tuple[str, _Form]]:
    said = said_of(field)
    if not isinstance(said, Flag):
        return
    kind = type_of(field)
    for name in names_of(field):
        on, _, off = name.partition("/")
        yield on, _Form(field.name, kind, said)
        if off:
            yield off, _Form(field.name, kind, said, sets=False)


def _read_flags(words: Iterator[str], forms: dict[str, _Form], values: dict[str, Any]) -> list[str]:
    """Keep the flags; what stands there without one."""
    places: list[str] = []
    for word in words:
        if word == "-" or not word.startswith("-"):
            places.append(word)
        elif word.startswith("--"):
            name, joined, text = word.partition("=")
            form = _form(forms, name)
            if form.is_switch and joined:
                raise _UnusualError
            form.put(values, text if joined or form.is_switch else _next(words))
        else:
            _read_letters(word[1:], words, forms, values)
    return places


def _read_letters(
    letters: str, words: Iterator[str], forms: dict[str, _Form], values: dict[str, Any]
) -> None:
    """``-r``, ``-qr``, ``-j 4`` and ``-j4``."""
    while letters:
        form, letters = _form(forms, f"-{letters[0]}"), letters[1:]
        if form.is_switch:
            form.put(values, "")
        else:
            form.put(values, letters or _next(words))
            return


def _form(forms: dict[str, _Form], name: str) -> _Form:
    if name not in forms:
        raise _UnusualError
    return forms[name]


def _next(words: Iterator[str]) -> str:
    for word in words:
        return word
    raise _UnusualError


def _place(given: list[str], fields: list[FieldInfo], values: dict[str, Any]) -> None:
    """Give words to the fields they are for."""
    needed = [field for field in fields if field.default is NODEFAULT]
    if not len(needed) <= len(given) <= len(fields):
        raise _UnusualError
    values.update(zip((field.name for field in fields), given, strict=False))
