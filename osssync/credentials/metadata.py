"""Facts from the ECS metadata service: role name, region, instance. Not the credentials.

Those come through the vendor's package (``instance_role``), over the same ``exchange``. Both
explain a failed question with ``refusal``.

Source: ECS user guide "Instance metadata": normal (v1) and security-hardened (v2) access mode.
"""

import os
import threading
import time
from collections.abc import Callable

from osssync.credentials.exchange import GarbledReplyError, Question, Reply, Route, Trace, ask
from osssync.errors import CredentialsError

METADATA_HOST = "100.100.100.200"
_TOKEN_URL = f"http://{METADATA_HOST}/latest/api/token"
_FACTS_URL = f"http://{METADATA_HOST}/latest/meta-data/"
_TOKEN_TTL_S = 21_600  # the longest the service grants
_TOKEN_USE_S = 0.9 * _TOKEN_TTL_S
ROLE_LIST = "ram/security-credentials/"


class MetadataError(CredentialsError):
    """The metadata service did not give what was asked for. Its subclasses say why."""


class MetadataUnreachableError(MetadataError):
    """No connection, or no answer in time: most likely this is not an ECS instance."""


class MetadataNotFoundError(MetadataError):
    """404: no such fact, no such role."""


class MetadataForbiddenError(MetadataError):
    """401 or 403: the hardened mode, and our token was missing or refused."""


class MetadataBusyError(MetadataError):
    """429 or 5xx: throttled or broken for now."""


class MetadataGarbledError(MetadataError):
    """An answer that is not what this service says."""


class MetadataService:
    """Reads single facts. Safe for threads; holds nothing but a metadata token."""

    def __init__(
        self,
        proxy: str = "",
        *,
        imds_v2_only: bool = False,
        timeout_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._route = Route(proxy, timeout_s)
        self._imds_v2_only = imds_v2_only
        self._monotonic = monotonic
        self._token = ""
        self._token_until_s = 0.0  # monotonic
        self._lock = threading.Lock()  # only around the two fields above, never around I/O

    def __repr__(self) -> str:
        return f"MetadataService({METADATA_HOST}, imds_v2_only={self._imds_v2_only})"

    def get(self, path: str) -> str:
        """One fact below ``/latest/meta-data/``, without surrounding white space.

        Raises:
            MetadataError: one of its subclasses; see there.
        """
        refuse_if_disabled()
        token = self._current_token()
        trace = self._ask(path, token)
        if token and trace.reply is not None and trace.reply.status in {401, 403}:
            # The instance was migrated or its service restarted: the token is no longer known.
            trace = self._ask(path, self._new_token())
        reply = succeeded(trace)
        try:
            return reply.body.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise MetadataGarbledError(f"{_about(trace)} answered with binary data") from None

    def role_name(self) -> str:
        """The name of the RAM role attached to this instance.

        Raises:
            MetadataNotFoundError: no role is attached.
            MetadataError: the service could not be asked.
        """
        try:
            names = self.get(ROLE_LIST).splitlines()
        except MetadataNotFoundError:
            names = []
        if not names:
            raise MetadataNotFoundError(
                "no RAM role is attached to this instance: attach one (ECS console → instance → "
                "Attach/Detach RAM Role), or choose another source with --credentials"
            )
        if not is_role_name(names[0]):
            raise MetadataGarbledError(
                f"the metadata service names {names[0][:80]!r} as this instance's RAM role, and "
                "that is not a role name"
            )
        return names[0]

    def _ask(self, path: str, token: str) -> Trace:
        headers = {"X-aliyun-ecs-metadata-token": token} if token else {}
        return ask(Question("GET", _FACTS_URL + path, headers), self._route)

    def _current_token(self) -> str:
        with self._lock:
            if self._token and self._monotonic() < self._token_until_s:
                return self._token
        return self._new_token()

    def _new_token(self) -> str:
        """A fresh token; empty where the service has none and v1 is allowed."""
        asked_at_s = self._monotonic()
        headers = {"X-aliyun-ecs-metadata-token-ttl-seconds": str(_TOKEN_TTL_S)}
        trace = ask(Question("PUT", _TOKEN_URL, headers), self._route)
        token = _token_of(trace.reply) if trace.reply is not None else ""
        # Nobody listens there at all, or v1 is not allowed: asking on would only cost time.
        if not token and (self._imds_v2_only or isinstance(trace.failure, ConnectionRefusedError)):
            succeeded(trace)
            raise MetadataGarbledError(f"{_about(trace)} answered with something that is no token")
        with self._lock:
            self._token, self._token_until_s = token, asked_at_s + _TOKEN_USE_S
        return token


def is_role_name(name: str) -> bool:
    """Whether a name can stand in a metadata URL as it is: letters, digits, and ``. _ - @``.

    RAM allows 64 of the first five; the rest is tolerance.
    """
    return 0 < len(name) <= 128 and name.isascii() and name.translate(_ROLE_MARKS).isalnum()


_ROLE_MARKS = str.maketrans(dict.fromkeys("._-@", "x"))


def refuse_if_disabled() -> None:
    """Ask nothing where the user has switched the metadata service off.

    Raises:
        CredentialsError: ``ALIBABA_CLOUD_ECS_METADATA_DISABLED`` is ``true``.
    """
    if os.environ.get("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "").lower() == "true":
        raise CredentialsError(
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true switches the metadata service off: unset it "
            "to use the instance's role, or choose another source with --credentials"
        )


def succeeded(trace: Trace) -> Reply:
    """The reply, if it is a 200.

    Raises:
        MetadataError: what ``refusal`` makes of anything else.
    """
    if trace.reply is None or trace.reply.status != 200:
        raise refusal(trace)
    return trace.reply


def refusal(trace: Trace) -> MetadataError:
    """The error that explains a failed exchange with the metadata service."""
    about = _about(trace)
    if isinstance(trace.failure, GarbledReplyError):
        return MetadataGarbledError(f"{about} answered with garbage: {trace.failure}")
    if trace.reply is None:
        return MetadataUnreachableError(
            f"{about} did not answer ({_reason(trace.failure)}): is this an ECS instance, and may "
            f"this process reach {METADATA_HOST}? Elsewhere choose a source with --credentials"
        )
    status = trace.reply.status
    if status == 429 or status >= 500:
        return MetadataBusyError(f"{about} answered HTTP {status}: busy or broken, try again later")
    if trace.question.method == "PUT":
        return MetadataForbiddenError(
            f"{about} answered HTTP {status}: no token for the security-hardened mode, and "
            "--imds-v2-only (or ALIBABA_CLOUD_IMDSV1_DISABLED) forbids to go on without one"
        )
    return _refused_fact(about, status)


def _refused_fact(about: str, status: int) -> MetadataError:
    if status == 404:
        return MetadataNotFoundError(f"{about} answered HTTP 404: no such thing")
    if status in {401, 403}:
        return MetadataForbiddenError(
            f"{about} answered HTTP {status}: the instance is in the security-hardened mode and "
            "our metadata token is missing or refused (a firewall or a container network that "
            "stops PUT requests, perhaps)"
        )
    return MetadataGarbledError(f"{about} answered HTTP {status}, which it never does")


def _about(trace: Trace) -> str:
    return f"the metadata service ({trace.question.method} {trace.question.url})"


def _reason(failure: OSError | None) -> str:
    if isinstance(failure, TimeoutError):
        return "timed out"
    return (failure and failure.strerror) or type(failure).__name__


def _token_of(reply: Reply) -> str:
    text = reply.body.decode("latin-1").strip()
    is_token = reply.status == 200 and 0 < len(text) <= 4096 and text.isascii()
    return text if is_token and text.isprintable() and " " not in text else ""
