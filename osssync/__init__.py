"""Move objects between disk and Alibaba Cloud OSS with the instance's RAM role: no AccessKey.

    import osssync
    report = osssync.copy("oss://examplebucket/testfolder/example.png", "/localpath/to/image.png")
    assert report.succeeded

Importing this starts no thread, opens nothing and loads no SDK; the first call does. A name is
loaded when it is first used, so that the command line pays for what its command needs alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from osssync.version import __version__

if TYPE_CHECKING:
    from osssync.api import copy, plan, sync
    from osssync.config import (
        Compare,
        CredentialSettings,
        CredentialSource,
        Job,
        Options,
        OssSettings,
        SignatureVersion,
        TransferSettings,
    )
    from osssync.errors import OsssyncError
    from osssync.filters import Filters
    from osssync.model import Action, ActionKind, Direction, Entry, Failure, Outcome, Totals
    from osssync.progress import Monitor
    from osssync.report import RunReport

__all__ = [
    "Action",
    "ActionKind",
    "Compare",
    "CredentialSettings",
    "CredentialSource",
    "Direction",
    "Entry",
    "Failure",
    "Filters",
    "Job",
    "Monitor",
    "Options",
    "OssSettings",
    "OsssyncError",
    "Outcome",
    "RunReport",
    "SignatureVersion",
    "Totals",
    "TransferSettings",
    "__version__",
    "copy",
    "plan",
    "sync",
]

_HOMES = {
    "api": ("copy", "plan", "sync"),
    "config": (
        "Compare",
        "CredentialSettings",
        "CredentialSource",
        "Job",
        "Options",
        "OssSettings",
        "SignatureVersion",
        "TransferSettings",
    ),
    "errors": ("OsssyncError",),
    "filters": ("Filters",),
    "model": ("Action", "ActionKind", "Direction", "Entry", "Failure", "Outcome", "Totals"),
    "progress": ("Monitor",),
    "report": ("RunReport",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
