"""What a key means as a file name, and a file name as a key. Pure text; touches no file.

Keys are written by strangers. Everything that could leave the destination directory, or could
not exist in it, is refused here before anything is opened.

Source: OSS "Object naming conventions" (help.aliyun.com, read 2026-11); limits of Linux path
names: path_resolution(7), limits.h(0p).
"""

import re
import unicodedata
from collections.abc import Sequence

from osssync.errors import UnsafeKeyError

MAX_KEY_BYTES = 1023  # of UTF-8; OSS "Object naming conventions"
_MAX_NAME_BYTES = 255  # NAME_MAX of every common Linux file system
LONGEST_PLAIN_PREFIX = MAX_KEY_BYTES - _MAX_NAME_BYTES  # bytes
_MAX_PATH_BYTES = 4095  # PATH_MAX without its NUL: other programs could not reach a longer one
_TOKEN = re.compile(r"[0-9a-f]{16}")
_PART_FILE = re.compile(rf"\.osssync-{_TOKEN.pattern}\.part")
_MEANINGS = {
    "": "it has an empty name between slashes or at the end",
    ".": "'.' would mean the directory itself",
    "..": "'..' would leave the destination directory",
}

_DOUBTFUL = ("//", "/./", "/../", "/.osssync-", "\\", "\0")  # in keys between slashes


def relative_path(key: str) -> tuple[str, ...]:
    """The path components of the file a key becomes below the destination directory.

    Control characters and backslashes are plain characters of a name.

    Raises:
        UnsafeKeyError: the key cannot be such a file; the message says why.
    """
    components = _components(key, key)
    if is_part_file(components[-1]):
        raise _unsafe(key, "the name is reserved for unfinished files of osssync")
    return components


def relative_directory(key: str) -> tuple[str, ...]:
    """The path components of a directory, from a key that ends in one "/".

    Raises:
        UnsafeKeyError: the key cannot be such a directory; the message says why.
    """
    if not key.endswith("/"):
        raise _unsafe(key, "it does not end in '/', so it is no directory")
    return _components(key, key[:-1])


def join(prefix: str, key: str) -> str:
    """The full key of a relative one: prefix ``a`` and ``a/`` are the same, and ``""`` is none."""
    return prefix + key if not prefix or prefix.endswith("/") else f"{prefix}/{key}"


def are_plain(keys: Sequence[str]) -> bool:
    """Whether each of them, of which there is one, certainly is a name here and at OSS.

    That is, ``relative_path`` takes it, and ``upload_key`` with any prefix up to
    ``LONGEST_PLAIN_PREFIX``. One look at all of them together; in doubt (not ASCII, long, a
    backslash) they are not.
    """
    text = "/" + "/\n/".join(keys) + "/"
    return (
        text.isascii()
        and max(map(len, keys)) <= _MAX_NAME_BYTES
        and not any(doubtful in text for doubtful in _DOUBTFUL)
    )


def upload_key(prefix: str, relative: str) -> str:
    """The key under which OSS will keep a local file, checked.

    Raises:
        UnsafeKeyError: OSS, or HTTP on the way there, cannot keep such a name.
    """
    key = join(prefix, relative)
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise _unsafe(key, "the name is not UTF-8") from None
    if not key:
        raise _unsafe(key, "the key is empty")
    if length > MAX_KEY_BYTES:
        raise _unsafe(key, f"the key has {length} bytes in UTF-8, OSS takes {MAX_KEY_BYTES}")
    if key[0] in "/\\":
        raise _unsafe(key, f"OSS takes no key that begins with {key[0]!r}")
    if key in (".", ".."):
        raise _unsafe(key, "HTTP clients resolve it as a path, so OSS would see another key")
    return key


def display(key: str) -> str:
    r"""The key for a terminal or a log: whatever could move a cursor or forge a line is escaped.

    Escapes are Python's (``\n``, ``\x1b``, ``\u202e``; ``\udcff`` is the stray byte 0xff). Meant
    for eyes: a backslash in a key stays as it is, so the text cannot be read back.
    """
    if key.isprintable():
        return key
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs"  # spaces of all widths
        else char.encode("unicode_escape").decode()
        for char in key
    )  # fmt: skip


def is_utf8(key: str) -> bool:
    """Whether it can be sent as it is: no surrogate in it stands for a stray byte."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def part_file_name(token: str) -> str:
    """The name of an unfinished file. The token is 16 lower case hexadecimal digits.

    Raises:
        ValueError: another token; such a file would never be recognised again.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"{token!r} is not 16 lower case hexadecimal digits")
    return f".osssync-{token}.part"


def is_part_file(name: str) -> bool:
    """Whether a file of this name is one of our unfinished ones."""
    return name.startswith(".osssync-") and _PART_FILE.fullmatch(name) is not None


def _components(key: str, path: str) -> tuple[str, ...]:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise _unsafe(key, "the key is not Unicode text") from None
    if not path:
        raise _unsafe(key, "the key is empty")
    if "\0" in path:
        raise _unsafe(key, "it holds a NUL, which no file name can")
    if len(encoded) > _MAX_PATH_BYTES:
        raise _unsafe(key, f"the path has {len(encoded)} bytes, Linux takes {_MAX_PATH_BYTES}")
    components = tuple(path.split("/"))
    if len(encoded) > _MAX_NAME_BYTES or not _MEANINGS.keys().isdisjoint(components):
        _check_names(key, path, components)
    return components


def _check_names(key: str, path: str, components: tuple[str, ...]) -> None:
    for component in components:
        if component in _MEANINGS:
            raise _unsafe(key, _absolute_or(path, _MEANINGS[component]))
        if len(component.encode()) > _MAX_NAME_BYTES:
            raise _unsafe(key, f"a name in it has more than {_MAX_NAME_BYTES} bytes")


def _absolute_or(path: str, reason: str) -> str:
    return "it begins with '/', which would be an absolute path" if path[0] == "/" else reason


def _unsafe(key: str, reason: str) -> UnsafeKeyError:
    shown = display(key)
    if len(shown) > 300:
        shown = f"{shown[:300]}…"
    return UnsafeKeyError(f"key '{shown}' cannot be used: {reason}")
