"""``uploads``: multipart uploads nobody completed; --abort drops them, asking a person first."""

import sys
from typing import TYPE_CHECKING, Annotated

from msgspec import Struct

from osssync.cli.asking import confirmed
from osssync.cli.declared import Word, flag, takes
from osssync.cli.flags import ConnectionFlags, seconds_of
from osssync.cli.lines import complain, say, say_json
from osssync.cli.look import JsonFlag, iso, object_address, open_connection
from osssync.cli.signals import INTERRUPTED_EXIT
from osssync.config import OssAddress
from osssync.errors import GuardRefusedError, UsageError
from osssync.keys import display
from osssync.report import SOME_FAILED_EXIT

if TYPE_CHECKING:
    from osssync.oss.documents import Upload


class Prefix(Struct, frozen=True):
    """Of whose keys."""

    url: Annotated[str, Word("URL", "oss://bucket/prefix")]


class UploadsFlags(Struct, frozen=True):
    """What becomes of the uploads."""

    abort: Annotated[
        bool, flag("--abort", help="Drop them and their parts; those under way too.")
    ] = False
    older_than: Annotated[
        str | None,
        flag(metavar="DURATION", help="Only those initiated longer ago, such as 1d."),
    ] = None
    force: Annotated[bool, flag("--force", "-f", help="--abort: do not ask.")] = False
    dry_run: Annotated[bool, flag("--dry-run", "-n", help="--abort: show, do nothing.")] = False
    quiet: Annotated[bool, flag("--quiet", "-q", help="--abort: print failures only.")] = False

    def age_s(self) -> float | None:
        """The age from which an upload counts, in seconds; None: all do.

        Raises:
            UsageError: not a duration, or a flag that means nothing without --abort.
        """
        if not self.abort and (self.force or self.dry_run or self.quiet):
            raise UsageError("-f, -n and -q are for --abort: a listing changes nothing")
        return None if self.older_than is None else seconds_of("--older-than", self.older_than)


@takes(Prefix, UploadsFlags, JsonFlag, ConnectionFlags)
def uploads(
    prefix: Prefix, flags: UploadsFlags, output: JsonFlag, connection: ConnectionFlags
) -> int | None:
    """List unfinished multipart uploads of keys that begin with a prefix, or abort them.

    OSS keeps and charges their parts until then. An aborted upload that a run could have gone on
    with is sent anew. --abort without --older-than asks first, unless -f is given.
    """
    from osssync.uploads import abort, is_older, list_unfinished

    age_s = flags.age_s()
    address = object_address(prefix.url)
    must_ask = flags.abort and age_s is None and not (flags.force or flags.dry_run)
    if must_ask and not _is_meant(address):
        return INTERRUPTED_EXIT
    lines = _Lines(address.bucket, flags, as_json=output.json)
    with open_connection(connection) as open_one:
        for upload in list_unfinished(open_one, address):
            lines.found += 1
            if age_s is not None and not is_older(open_one, upload, age_s):
                continue
            if flags.abort and not flags.dry_run:
                lines.show(upload, abort(open_one, address.bucket, upload))
            else:
                lines.show(upload)
    lines.summary()
    return SOME_FAILED_EXIT if lines.failed else 0


class _Lines:
    """What is printed, and counted on the way."""

    def __init__(self, bucket: str, flags: UploadsFlags, *, as_json: bool) -> None:
        self._bucket = bucket
        self._flags = flags
        self._json = as_json
        self._prefix = "(dryrun) " if flags.dry_run else ""
        self.found = self._done = self.failed = 0

    def show(self, upload: "Upload", reason: str = "") -> None:
        """A line for an upload; ``reason`` says why it could not be aborted."""
        name = f"oss://{self._bucket}/{upload.key}"
        if reason:
            self.failed += 1
            if not self._json:
                complain(f"failed: {name} {upload.upload_id}: {reason}")
        else:
            self._done += 1
        if self._json:
            self._show_json(upload, reason)
        elif not reason and not self._flags.quiet:
            verb = f"{self._prefix}abort: " if self._flags.abort else ""
            say(f"{verb}{iso(upload.initiated_ns)}  {display(name)}  {display(upload.upload_id)}")

    def _show_json(self, upload: "Upload", reason: str) -> None:
        if self._flags.quiet and not reason:
            return
        event = "failed" if reason else "abort" if self._flags.abort else "upload"
        more: dict[str, object] = {"message": reason} if reason else {}
        if self._flags.dry_run:
            more["dry_run"] = True
        say_json(
            event=event, key=upload.key, upload_id=upload.upload_id,
            initiated=iso(upload.initiated_ns), **more,
        )  # fmt: skip

    def summary(self) -> None:
        """The last line: what it came to."""
        counts = {"found": self.found}
        if self._flags.abort:
            kept = self.found - self._done - self.failed
            counts |= {"aborted": self._done, "kept": kept, "failed": self.failed}
        elif self._flags.older_than is not None:
            counts["older"] = self._done
        if self._json:
            say_json(event="summary", **counts)
        elif self.failed or not self._flags.quiet:
            word = "FinishWithError" if self.failed else "Succeed"
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            say(f"{self._prefix}{word}: {told}")


def _is_meant(address: OssAddress) -> bool:
    shown = display(str(address))
    if not sys.stdin.isatty():
        raise GuardRefusedError(
            f"{shown}: aborting all uploads without a terminal needs -f or --older-than"
        )
    return confirmed(f"Abort all unfinished uploads of {shown}…, also of runs?")
