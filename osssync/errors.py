"""One family of errors: a class per thing the caller does next.

``retryable`` says whether the same call may be repeated as it is; ``exit_code`` is what the
command line returns when this error ends a run (shared meaning: ``osssync --help``). Messages say
what failed, on which key, expected and got, and what to do; they never hold a secret.
All classes take positional arguments only and survive pickling.
"""

from typing import ClassVar


class OsssyncError(Exception):
    """Something osssync knows how to explain. The first argument is the message."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 3

    def __init__(self, message: str) -> None:
        super().__init__(message)


class UsageError(OsssyncError):
    """A flag, a job file or an address is wrong: fix it and call again."""

    exit_code = 1


class GuardRefusedError(OsssyncError):
    """A safety guard refused to go on: look at the data, or switch the guard off by its flag."""

    exit_code = 6


class InterruptedRunError(OsssyncError):
    """The user or the system asked to stop. What is done is done; run again to go on."""

    exit_code = 5


class LockBusyError(OsssyncError):
    """Another run of the same job is under way: wait for it, or leave it to that one."""

    exit_code = 11


class MaxDurationError(OsssyncError):
    """The time that was allowed is over. What is done is done; run again to go on."""

    exit_code = 10


class MaxTransferError(OsssyncError):
    """The bytes that were allowed have been moved. Run again to go on."""

    exit_code = 8


class TooManyFailuresError(OsssyncError):
    """More objects failed than were allowed: look at why before anything else is tried."""

    exit_code = 4


class CredentialsError(OsssyncError):
    """No usable credentials: the source is missing, broken, or serves only expired ones."""

    exit_code = 7


class LocalFileError(OsssyncError):
    """The local file system refused: permission, read-only, name too long, not a file."""


class DiskFullError(LocalFileError):
    """No space, quota or inodes left at the destination: free some and run again."""


class UnsafeKeyError(OsssyncError):
    """The key cannot be a file below the destination directory (``..``, absolute, NUL, clash)."""


class UnsupportedFileError(OsssyncError):
    """Nothing that can be an object and a file: too large, a name that is not UTF-8, a dead link.

    Rename, replace or exclude it; no permission and no retry helps.
    """


class BeginAgainError(OsssyncError):
    """The parts do not make a whole: this object has to be transferred anew."""


class SourceChangedError(BeginAgainError):
    """The source was overwritten or edited while it was being transferred."""


class IntegrityError(OsssyncError):
    """Bytes, counts or checksums do not agree; what was received is discarded."""

    retryable = True


class NetworkError(OsssyncError):
    """The connection could not be made, was cut, or timed out."""

    retryable = True


class OssError(OsssyncError):
    """OSS answered with an error.

    Args are positional: message (without secrets), HTTP status, error code (empty when the body
    could not be read), EC, and request id.
    """

    exit_code = 2

    def __init__(
        self, message: str, status: int = 0, code: str = "", ec: str = "", request_id: str = ""
    ) -> None:
        Exception.__init__(self, message, status, code, ec, request_id)
        self.status = status
        self.code = code
        self.ec = ec
        self.request_id = request_id

    def __str__(self) -> str:
        return str(self.args[0])


class NotFoundError(OssError):
    """No such bucket, key, upload or version."""


class PreconditionFailedError(OssError):
    """If-Match and friends said no (304, 412), or forbid-overwrite found an object (409)."""


class AccessDeniedError(OssError):
    """The role lacks a permission: no retry helps."""

    exit_code = 7


class ArchivedObjectError(OssError):
    """The object is in an archive class and must be restored before it can be read."""


class ThrottledError(OssError):
    """OSS asks to slow down (503 and its relatives).

    Args are those of OssError and then the seconds OSS wants to be left alone (0.0 if unsaid).
    """

    retryable = True

    def __init__(
        self, message: str, status: int = 0, code: str = "", ec: str = "", request_id: str = "",
        delay_s: float = 0.0,
    ) -> None:  # fmt: skip
        Exception.__init__(self, message, status, code, ec, request_id, delay_s)
        self.status = status
        self.code = code
        self.ec = ec
        self.request_id = request_id
        self.delay_s = delay_s


class ServerFaultError(OssError):
    """OSS failed for reasons of its own (5xx, 408): repeat later."""

    retryable = True


class CredentialsRefusedError(OssError):
    """OSS refused the credentials a request was signed with: refresh, sign again, repeat.

    Args are those of OssError and then the access key id the request carried, so that only this
    very snapshot is invalidated.
    """

    exit_code = 7
    retryable = True

    def __init__(
        self, message: str, status: int = 0, code: str = "", ec: str = "", request_id: str = "",
        access_key_id: str = "",
    ) -> None:  # fmt: skip
        Exception.__init__(self, message, status, code, ec, request_id, access_key_id)
        self.status = status
        self.code = code
        self.ec = ec
        self.request_id = request_id
        self.access_key_id = access_key_id


class ClockSkewedError(OssError):
    """Our clock and the service's are too far apart.

    Args are those of OssError and then the service's clock in epoch seconds (0.0 if unknown).
    """

    retryable = True

    def __init__(
        self, message: str, status: int = 0, code: str = "", ec: str = "", request_id: str = "",
        server_time_s: float = 0.0,
    ) -> None:  # fmt: skip
        Exception.__init__(self, message, status, code, ec, request_id, server_time_s)
        self.status = status
        self.code = code
        self.ec = ec
        self.request_id = request_id
        self.server_time_s = server_time_s
