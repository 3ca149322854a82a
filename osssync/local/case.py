"""Destinations that ignore case: whether one does, and which names are the same there.

APFS, vfat, SMB shares and ext4 directories with ``+F`` keep the case of a name and do not look at
it. They also take differently composed letters for the same (e and its accent, in one code point
or two), skip invisible characters, or drop dots and spaces at the end, each in its own way.

Source: Unicode 15, section 3.13 "Default Case Algorithms", D145, and UAX #44,
"Default_Ignorable_Code_Point"; Linux Documentation/filesystems/ext4, "Case-insensitive file name
lookups", and fs/fat/namei_vfat.c; all read 2026-11.
"""

import contextlib
import os
import re
import unicodedata

from osssync.keys import is_part_file

_IGNORABLE = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_ENDING = r"[. ]+(?=/|\Z)"  # of a component
_PROBE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOKED_AT = 1000  # names of the directory, before one is made


def folded(key: str) -> str:
    """What all keys have in common that some file system takes for the same.

    More than any single one does, on the safe side: two keys that are folded apart are two files
    everywhere. Upper case comes first because vfat compares in it (dotless i is its I), and the
    form is canonical: a full-width A is no A to any of these.
    """
    if key.isascii():
        text = key.lower()
    else:
        text = unicodedata.normalize("NFD", key).upper().casefold()
        text = re.sub(_IGNORABLE, "", unicodedata.normalize("NFD", text))
    return re.sub(_ENDING, "", text)


def ignores_case(root: str, probe_name: str = "") -> bool:
    """Whether a directory ignores case, as far as can be known.

    One of its names is looked for in the other case. If it has none to look for, an empty file is
    made for the purpose and removed. What lies on another file system below, or was given another
    ``+F`` there, is not looked at.

    Args:
        root: the directory.
        probe_name: a part file's name that is nobody else's, to be made; "" makes none, and an
            empty directory then counts as one that does not ignore case.
    """
    try:
        with os.scandir(root) as names:
            for _, one in zip(range(_LOOKED_AT), names, strict=False):
                if not is_part_file(one.name) and one.name != _swapped(one.name):
                    return _is_alias(root, one.name)
    except OSError:  # whoever needs it next says what is wrong
        return False
    return bool(probe_name) and _answers_to_other_case(root, probe_name)


def _swapped(name: str) -> str:
    """The name in the other case; the same name if it has no letters of ASCII."""
    return re.sub("[A-Za-z]+", lambda letters: letters[0].swapcase(), name)


def _is_alias(root: str, name: str) -> bool:
    """Whether ``name`` answers to the other case, and no file of that very name is there."""
    other = _swapped(name)
    if not os.path.lexists(f"{root}/{other}"):
        return False
    with os.scandir(root) as names:
        return all(one.name != other for one in names)


def _answers_to_other_case(root: str, probe_name: str) -> bool:
    path = f"{root}/{probe_name}"
    try:
        os.close(os.open(path, _PROBE, 0o600))
    except OSError:  # nothing can be written: the transfers will say so
        return False
    try:
        return os.path.lexists(f"{root}/{_swapped(probe_name)}")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - paths are plain text here
