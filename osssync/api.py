"""The Python API: three calls that do what the commands of the same names do.

The machinery is imported by the first call, not by ``import osssync``.
"""

import os
from collections.abc import Iterator

from msgspec.structs import replace

from osssync.config import Compare, Job, Options, options_from_env, parse_address
from osssync.model import Action
from osssync.progress import Monitor
from osssync.report import RunReport

Place = str | os.PathLike[str]


def sync(
    source: Place,
    destination: Place,
    options: Options | None = None,
    monitor: Monitor | None = None,
) -> RunReport:
    """Make the tree at ``destination`` hold what the tree at ``source`` holds; delete nothing.

    Args:
        source: ``oss://bucket/prefix`` or a directory.
        destination: likewise; at least one of the two is in OSS.
        options: everything else; by default what the environment says (``OSSSYNC_…``).
        monitor: hears what happens, in this thread.

    Returns:
        What became of it; failures of single objects are in here and do not raise.

    Raises:
        UsageError: the job cannot be.
        CredentialsError: there is no identity to begin with.
    """
    from osssync.runner import run

    return run(_job(source, destination, options), monitor)


def copy(
    source: Place,
    destination: Place,
    options: Options | None = None,
    monitor: Monitor | None = None,
    *,
    recursive: bool = False,
) -> RunReport:
    """Copy one object or file, or with ``recursive`` a tree, whatever stands at the destination.

    A destination that ends in "/" or is a directory receives the source under its own name.
    Arguments and result are those of ``sync``.

    Raises:
        UsageError: the job cannot be.
        CredentialsError: there is no identity to begin with.
        NotFoundError: no such object.
        LocalFileError: no such file.
    """
    from osssync.runner import run

    options = options or options_from_env(os.environ)
    if options.compare is Compare.TIME:
        options = replace(options, compare=Compare.ALWAYS)
    return run(_job(source, destination, options, recursive=recursive), monitor)


def plan(source: Place, destination: Place, options: Options | None = None) -> Iterator[Action]:
    """What ``sync`` would do, in key order, decision by decision; nothing is written.

    Raises:
        OsssyncError: the job cannot be, or a listing could not be read.
    """
    from osssync.runner import plan as plan_job

    return plan_job(_job(source, destination, options))


def _job(
    source: Place, destination: Place, options: Options | None, *, recursive: bool = True
) -> Job:
    return Job(
        parse_address(os.fspath(source)),
        parse_address(os.fspath(destination)),
        recursive=recursive,
        options=options or options_from_env(os.environ),
    )
