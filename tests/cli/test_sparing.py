"""What a program can do without while it loads."""

import contextlib
import sys
import threading

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


def test_nothing_is_hidden_from_other_threads(monkeypatch):
    """They are a host's, and may import what they like."""
    monkeypatch.delitem(sys.modules, "this", raising=False)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()

    with sparing("this"):
        assert "this" not in sys.modules

    over.set()
    thread.join()
