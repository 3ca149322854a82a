"""What a program can do without while it loads."""

import contextlib
import sys

import pytest

from osssync.cli.sparing import sparing


def test_a_module_is_not_found_as_long_as_it_is_spared(monkeypatch):
    """Its import raises what an import of something that is not installed raises; then no more."""
    monkeypatch.delitem(sys.modules, "this", raising=False)

    with sparing("this"), pytest.raises(ModuleNotFoundError):
        import this  # noqa: F401

    assert "this" not in sys.modules


def test_a_module_that_is_loaded_is_left_alone():
    """Whoever has it needs it."""
    with sparing("contextlib"):
        import contextlib as found

    assert found is contextlib
    assert sys.modules["contextlib"] is contextlib
