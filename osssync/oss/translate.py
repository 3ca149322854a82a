"""Every failure of a call to OSS, told as one of ``osssync.errors``.

oss2 chooses exception classes by (status, code), has none for the codes that matter most here, and
lets the XML parser's errors out; its texts repeat what OSS sends, which for an expired token is the
token itself. So: decided by status, code and EC, never by class; worded from the code and OSS's own
one-line message only. oss2 is not loaded for it: who never called it gets none of its errors.

Source: https://www.alibabacloud.com/help/en/oss/support/how-to-troubleshoot-403-status-code-when-you-access-oss
and https://www.alibabacloud.com/help/en/oss/developer-reference/error-responses, read 2026-09.
"""

import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET
from xml.parsers.expat import ExpatError

from msgspec import Struct

from osssync import errors
from osssync.keys import display
from osssync.oss.replies import http_time_ns

_CODES_OF_REFUSED_CREDENTIALS = frozenset(
    (
        "SecurityTokenExpired",
        "InvalidAccessKeyId",  # also said of an expired temporary one
        "InvalidSecurityToken",
        "AccessKeyIdAndSecurityTokenNotMatch",
        "SignatureDoesNotMatch",  # a torn or just rotated set; or a proxy that rewrites requests
    )
)
_ECS_OF_REFUSED_CREDENTIALS = frozenset(
    ("0002-00000004", "0002-00000006", "0002-00000007", "0002-00000008", "0002-00000902")
)
_THROTTLING = r".*(RateLimit|QpsLimit|RequestLimit|CpuLimit)Exceeded|SlowDown|Throttling.*"
_MILLISECONDS = r"[0-9]{1,9}"  # of x-oss-qos-delay-time
_FAULTS_BELOW_500 = frozenset(("RequestTimeout", "IncompleteBody", "BadRequest"))
_CORRUPTED = frozenset(("InvalidDigest", "BadDigest", "InvalidCRC"))
_EXISTS = frozenset(("FileAlreadyExists", "ObjectAlreadyExists"))
_DENIED = frozenset(("AccessDenied", "AccessForbidden", "Forbidden", "UserDisable"))
_MESSAGE_CHARACTERS = 300
_OPAQUE = r"[A-Za-z0-9+/=_%-]{50,}"  # tokens are long; request ids, hosts are not

_UNREADABLE = (ET.ParseError, ExpatError, UnicodeDecodeError)


def _nobody() -> str:
    return ""


class ErrorReply(Struct, frozen=True):
    """The facts of an error reply. ``details`` are the elements of its XML body."""

    subject: str  # operation and address
    status: int
    code: str
    ec: str
    request_id: str
    headers: Mapping[str, str]
    details: Mapping[str, str | None]


@contextmanager
def translated(
    operation: str, bucket: str, key: str = "", signed_with: Callable[[], str] = _nobody
) -> Iterator[None]:
    """Around one call to OSS, or one read of a body: whatever fails leaves as one of our errors.

    Never around code of the caller's (a sink that writes a file): its OSError is not the
    network's.

    Args:
        operation: what is being done, for the message.
        bucket: the bucket's name, or "" for the service.
        key: the full key, or the prefix of a listing.
        signed_with: the AccessKeyId that signed this thread's last request.

    Raises:
        OsssyncError: of the class that says what to do next.
    """
    address = f"oss://{bucket}/{display(key)}" if bucket else "OSS"
    subject = f"{operation} {address}"
    try:
        yield
    except errors.OsssyncError:
        raise
    except _UNREADABLE as error:
        raise errors.IntegrityError(
            f"{subject}: the reply is not the XML it should be: {_redacted(error)}"
        ) from error
    except OSError as error:
        raise from_transport(error, subject) from error
    except Exception as error:
        sdk = sys.modules.get("oss2")
        if sdk is None or not isinstance(error, sdk.exceptions.OssError):
            raise
        # "from None": the text of oss2's error holds the reply's body, secrets included.
        raise _from_sdk(error, sdk.exceptions, subject, signed_with) from None


def _from_sdk(
    error: Any,  # noqa: ANN401 - oss2 has no types
    kinds: Any,  # noqa: ANN401 - its module of exceptions
    subject: str,
    signed_with: Callable[[], str],
) -> errors.OsssyncError:
    if isinstance(error, kinds.RequestError):
        return from_transport(error.exception, subject)
    if isinstance(error, kinds.InconsistentError):
        return errors.IntegrityError(f"{subject}: the checksums of both sides differ")
    if error.status < 0:
        return errors.UsageError(f"{subject}: refused before sending: {_redacted(error.body)}")
    reply = ErrorReply(
        subject=subject,
        status=error.status,
        code=error.code or "",
        ec=error.ec or error.headers.get("x-oss-ec", ""),
        request_id=error.request_id or "",
        headers=error.headers,
        details=error.details,
    )
    return from_reply(reply, signed_with)


def from_reply(reply: ErrorReply, signed_with: Callable[[], str]) -> errors.OsssyncError:
    """The error for a reply with a status other than 2xx."""
    facts = (reply.status, reply.code, reply.ec, reply.request_id)
    if _is_refusal(reply):
        return errors.CredentialsRefusedError(
            _message(reply, _hint_of_refusal(reply)), *facts, signed_with()
        )
    if reply.code == "RequestTimeTooSkewed":
        hint = "this machine's clock is more than 15 minutes off: set it right (NTP)"
        return errors.ClockSkewedError(_message(reply, hint), *facts, _server_time_s(reply))
    if reply.code in _CORRUPTED:
        return errors.IntegrityError(_message(reply, "the body was changed on its way"))
    kind, hint = _classify(reply)
    if kind is errors.ThrottledError:
        return errors.ThrottledError(_message(reply, hint), *facts, _asked_delay_s(reply))
    return kind(_message(reply, hint), *facts)


_EC_WRONG_REGION = "0002-00000226"  # "Invalid signing region in Authorization header."


def _is_refusal(reply: ErrorReply) -> bool:
    return (
        reply.code in _CODES_OF_REFUSED_CREDENTIALS
        or reply.status == 401
        or (reply.status == 403 and reply.ec in _ECS_OF_REFUSED_CREDENTIALS)
    )


def _hint_of_refusal(reply: ErrorReply) -> str:
    if reply.code == "SignatureDoesNotMatch":
        return "if it stays so: a proxy changes requests on their way, or the secret is wrong"
    return "the credentials of the request have expired or are not valid (any more)"


def _classify(reply: ErrorReply) -> tuple[type[errors.OssError], str]:
    status, code = reply.status, reply.code
    kind: type[errors.OssError] = errors.OssError
    hint = _hint_of_endpoint(reply)
    if reply.ec == _EC_WRONG_REGION:
        hint = "the bucket's region is another one: give --region"
    if code == "InvalidObjectState":
        kind, hint = errors.ArchivedObjectError, "it is archived: restore it before reading it"
    elif status in (304, 412) or code in _EXISTS:
        kind, hint = errors.PreconditionFailedError, _hint_of_condition(reply)
    elif status in (429, 503) or re.fullmatch(_THROTTLING, code):
        kind, hint = errors.ThrottledError, _hint_of_throttle(reply)
    elif status >= 500 or status == 408 or code in _FAULTS_BELOW_500:
        kind = errors.ServerFaultError
    elif status == 404:
        kind = errors.NotFoundError
    elif code in _DENIED or (status == 403 and not code):
        kind = errors.AccessDeniedError
        hint = hint or "the role lacks a permission for this, or a bucket policy denies it"
    return kind, hint


def _hint_of_condition(reply: ErrorReply) -> str:
    if reply.code in _EXISTS:
        return "an object of this key exists and must not be overwritten"
    return "the object is not the version that was asked for: it has changed"


def _hint_of_throttle(reply: ErrorReply) -> str:
    delay_s = _asked_delay_s(reply)
    return "OSS asks to slow down" + (f" (delay {delay_s * 1000:.0f} ms)" if delay_s else "")


def _asked_delay_s(reply: ErrorReply) -> float:
    """The pause OSS asks for, in seconds; 0.0 if it says none, or something else."""
    delay = re.fullmatch(_MILLISECONDS, reply.headers.get("x-oss-qos-delay-time", "").strip())
    return int(delay[0]) / 1000 if delay else 0.0


def _hint_of_endpoint(reply: ErrorReply) -> str:
    endpoint = reply.details.get("Endpoint") or ""
    if endpoint:
        return f"the bucket is at another address: give --endpoint {_redacted(endpoint)}"
    if reply.status // 100 == 3:
        host = urlsplit(reply.headers.get("location", "")).hostname or "another address"
        return f"redirected to {_redacted(host)}, which is not followed: check --endpoint"
    return ""


def _message(reply: ErrorReply, hint: str) -> str:
    title = reply.code or _phrase_of(reply.status)
    said = _redacted(reply.details.get("Message") or "")
    ids = f"request id {reply.request_id or 'unknown'}" + (f", EC {reply.ec}" if reply.ec else "")
    text = f"{reply.subject}: {reply.status} {title}"
    if said:
        text += f": {said}"
    return f"{text} ({ids})" + (f"; {hint}" if hint else "")


def _phrase_of(status: int) -> str:
    from http import HTTPStatus  # here: rarely needed

    known = status in HTTPStatus._value2member_map_
    return HTTPStatus(status).phrase if known else "unknown status"


def _redacted(text: object) -> str:
    line = display(" ".join(str(text).split()))
    line = re.sub(_OPAQUE, "(removed)", line)
    return line if len(line) <= _MESSAGE_CHARACTERS else f"{line[:_MESSAGE_CHARACTERS]}…"


def _server_time_s(reply: ErrorReply) -> float:
    """The service's clock in epoch seconds: of the error, else of the Date header, else 0.0."""
    try:
        return datetime.fromisoformat(reply.details.get("ServerTime") or "").timestamp()
    except ValueError:
        return http_time_ns(reply.headers.get("date", "")) / 1e9


def from_transport(error: BaseException, subject: str) -> errors.OsssyncError:
    """The error for a request that got no reply, or half a one."""
    import ssl  # here: rarely needed

    if isinstance(error, TimeoutError) and not error.strerror:
        return errors.NetworkError(f"{subject}: timed out")
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return errors.OsssyncError(
                f"{subject}: the TLS certificate is not trusted ({cause.verify_message}); "
                "check endpoint and clock, or give the CA that signed it (--ca-file)"
            )
        if "WRONG_VERSION_NUMBER" in str(cause) and isinstance(cause, ssl.SSLError):
            return errors.OsssyncError(
                f"{subject}: the other side does not speak TLS; check --endpoint (http:// or "
                "https://, and its port)"
            )
        if isinstance(cause, socket.gaierror):
            return errors.NetworkError(
                f"{subject}: the host name cannot be resolved; check --endpoint, --region "
                "and DNS (internal endpoints are for instances of the same region)"
            )
    said = (cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror)
    why = next(said, "")
    if not why and any(isinstance(cause, TimeoutError) for cause in causes):
        return errors.NetworkError(f"{subject}: timed out")
    why = why or f"{type(error).__name__}: {_redacted(error)}"
    return errors.NetworkError(f"{subject}: the connection failed: {why}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, outermost first; each way libraries wrap."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
