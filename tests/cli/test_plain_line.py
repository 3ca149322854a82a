"""What is read without typer is what typer would have made of it; all else is typer's."""

from importlib import import_module
from itertools import chain

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from osssync.cli.commands import COMMANDS
from osssync.cli.declared import Declared, Flag, names_of, said_of
from osssync.cli.for_typer import built
from osssync.cli.plain_line import read
from osssync.cli.table import PARSER_ERROR


def declared_commands():
    """Those that say what their line may hold, with a body that gives back what it was handed."""
    for name, module, _summary in COMMANDS:
        command = getattr(import_module(f"osssync.cli.{module}"), name)
        if isinstance(command, Declared):
            yield name, Declared(lambda *records: records, command.groups)


COMMAND = dict(declared_commands())
TYPERS = {name: built(name, command) for name, command in COMMAND.items()}

ODD = ["", "-", "--", "-x", "--nothing", "--help", "-h", "--retr", "x=y", "é", "\udce9"]
WORDS = ["oss://b/k", "./d", "0", "7", "007", "-1", "+3", " 4 ", "1e3", "101", "1000000000",
         "9" * 5000, "٣", "²", "null", "true", "auto", "V4", "v4", "fail", "- *.c", "K=V",
         *ODD]  # fmt: skip


def by_typer(name, words):
    """The records that typer hands to a command; None if it has something to say instead."""
    command = TYPERS[name]
    try:
        with command.make_context(name, list(words)) as context:
            return command.invoke(context)
    except (PARSER_ERROR, typer.Exit):
        return None


def plainly(name, words):
    """The records of a line that is read without typer; None if it is not."""
    values = read(COMMAND[name], words)
    return None if values is None else COMMAND[name].call(values, words)


def flags_of(name):
    """Every way to type a flag of a command."""
    return [
        typed
        for field in COMMAND[name].fields()
        if isinstance(said_of(field), Flag)
        for one in names_of(field)
        for typed in one.split("/")
    ]


@st.composite
def lines(draw):
    """A command and a line for it: its flags, right and wrong values, words, in any order."""
    name = draw(st.sampled_from(sorted(COMMAND)))
    flag, word = st.sampled_from(flags_of(name)), st.sampled_from(WORDS)
    short = st.sampled_from([one[1:] for one in flags_of(name) if not one.startswith("--")])
    kinds = [
        flag.map(lambda one: [one]),
        st.tuples(flag, word).map(list),
        st.builds(lambda one, value: [f"{one}={value}"], flag, word),
        st.builds(lambda few, rest: ["-" + "".join(few) + rest], st.lists(short, min_size=1), word)
        if name not in {"stat", "cat", "whoami"}
        else word.map(lambda one: [one]),
        word.map(lambda one: [one]),
    ]
    return name, list(chain.from_iterable(draw(st.lists(st.one_of(kinds), max_size=5))))


@settings(max_examples=400)
@given(lines())
def test_a_line_that_is_read_plainly_means_what_typer_says(line):
    """The same records; and what typer would refuse, or answer itself, is left to it."""
    found = plainly(*line)

    assert found is None or found == by_typer(*line)


@pytest.mark.parametrize(
    "line",
    [
        "sync oss://b/p/ ./d",
        "sync -q -j4 --include=*.c --exclude x ./d oss://b -vv --no-follow-symlinks",
        "sync a b --delete --max-delete 10% --fsync none --retries 3 --signature v1",
        "cp -r a oss://b --metadata a=b --metadata c=d -j 8 --json",
        "cp - oss://b/k --content-type=text/plain",
        "ls", "ls -rH oss://b/", "stat oss://b/k --json", "cat oss://b/k", "rm -rf oss://b/p",
        "uploads oss://b/ --abort --older-than 1d", "whoami --credentials env",
    ],
)  # fmt: skip
def test_what_people_type_every_day_is_read_plainly(line):
    """With the very records that typer would hand over."""
    name, *words = line.split()

    found = plainly(name, words)

    assert found is not None
    assert found == by_typer(name, words)


@pytest.mark.parametrize(
    "line",
    [
        "sync a", "sync a b c", "sync --help", "sync a b --nothing", "sync a b --inc x",
        "sync -- a b", "sync a b --quiet=yes", "sync a b --jobs", "sync a b --retries -1",
        "sync a b --retries 101", "sync a b --fsync sometimes", "sync a b --signature V4",
        "sync a b -qx", "sync a b --retries ²", f"sync a b --retries {'9' * 5000}",
    ],
)  # fmt: skip
def test_what_needs_a_word_to_the_user_is_typers(line):
    """Help, errors, and ways of writing that few know."""
    name, *words = line.split()

    assert plainly(name, words) is None
