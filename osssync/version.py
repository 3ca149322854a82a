"""The version, read by the build and by ``--version``; nothing else is here."""

__version__ = "0.1.0"
