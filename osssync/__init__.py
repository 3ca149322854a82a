"""Move objects between disk and Alibaba Cloud OSS with the instance's RAM role: no AccessKey.

    import osssync
    report = osssync.copy("oss://examplebucket/testfolder/example.png", "/localpath/to/image.png")
    assert report.succeeded

Importing this starts no thread, opens nothing and loads no SDK; the first call does.
"""

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
from osssync.version import __version__

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
