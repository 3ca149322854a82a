"""Finds secrets in what a suite wrote: half a gigabyte, and hundreds of secrets.

Looking for one after the other took a minute. All secrets of the emulator are 44 characters of
base64, so that only runs of such characters are looked at, and one character in eleven first:
a run of 44 holds four of them in a row, wherever it begins.
"""

import re

TOKEN = re.compile(rb"CAIS[A-Za-z0-9+/=]{64,}")  # how the emulator's security tokens look
SECRET_CHARS = 44  # how long its secrets are; token_urlsafe(33)
STRIDE = 11
_SAMPLED = re.compile(rb"[A-Za-z0-9_-]{%d,}" % (SECRET_CHARS // STRIDE))
_RUN = re.compile(rb"[A-Za-z0-9_-]{%d,}" % SECRET_CHARS)
FEW = 12  # characters; a run of no more different ones is filling, no secret


class Secrets:
    """Those that were issued, to be looked for in one text after the other."""

    def __init__(self, issued):
        tokens = {one for one in issued if TOKEN.fullmatch(one)}  # found by what they look like
        self._usual = {one for one in issued if len(one) == SECRET_CHARS and _RUN.fullmatch(one)}
        self._others = set(issued) - tokens - self._usual

    def leaks_in(self, text):
        """The secrets that stand in some bytes, and all that looks like a security token."""
        windows = (window for run in _runs(text) for window in _windows(run))
        return (
            {window for window in windows if window in self._usual}
            | {secret for secret in self._others if secret in text}
            | set(TOKEN.findall(text))
        )


def _runs(text):
    """Every run of characters that is long enough to hold a secret."""
    for sampled in _SAMPLED.finditer(text[::STRIDE]):
        first = max(0, (sampled.start() - 1) * STRIDE)
        for run in _RUN.findall(text[first : sampled.end() * STRIDE]):
            if len(set(run)) > FEW:
                yield run


def _windows(run):
    for first in range(len(run) - SECRET_CHARS + 1):
        yield run[first : first + SECRET_CHARS]
