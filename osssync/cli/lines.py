"""Single lines: of the result on stdout, for people on stderr, as JSON for scripts."""

import contextlib
import sys
from typing import Any

from osssync.cli.streams import unwritable
from osssync.keys import display


def say(line: str) -> None:
    """A line of the result, on stdout.

    Raises:
        BrokenPipeError: nobody reads any more.
        LocalFileError: it cannot be written.
    """
    try:  # as ``writing_output``, which costs more than the line: there is one for every object
        sys.stdout.write(line + "\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(error) from error


def complain(line: str) -> None:
    """A line for people, on stderr, whatever a key in it holds."""
    tell(f"osssync: {display(line)}")


def tell(line: str) -> None:
    """A line on stderr as it is, after what was written to stdout before."""
    # The result's own failure shows at its next write; who cannot be told here cannot be told.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")


def say_json(**fields: Any) -> None:  # noqa: ANN401 - JSON values
    """One JSON object as a line on stdout."""
    say(as_json_line(fields))


def as_json_line(fields: dict[str, Any]) -> str:
    """One JSON object in one line, in characters that stdout can carry."""
    import json

    # Where stdout is not UTF-8 its own escapes (\\x9b) would be none of JSON's.
    plain = sys.stdout.encoding.lower().replace("-", "") != "utf8"
    return json.dumps(fields, ensure_ascii=plain, separators=(",", ":"))
