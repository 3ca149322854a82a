"""The credentials document, field by field: what may be used, and why the rest may not.

The same JSON comes from the metadata service and from a credentials URI. It is parsed by the
vendor's package; this reads it a second time only to say what is wrong with it, without ever
quoting a field that could be a secret.
"""

from osssync.credentials.exchange import Reply
from osssync.credentials.provider import expired_message
from osssync.errors import CredentialsError

_EXPIRATION = "%Y-%m-%dT%H:%M:%SZ"


def usable(value: object, name: str, who: str) -> str:
    """A value that may go into an HTTP header; the vendor's package itself checks none.

    Raises:
        CredentialsError: missing, empty, not text, or with characters no credential has.
    """
    if isinstance(value, str) and value and value.isascii() and value.isprintable():
        return value
    problem = "no" if value is None or value == "" else "an unusable"
    raise CredentialsError(f"{who}: there is {problem} {name}: the source of credentials is broken")


def why_unusable(who: str, reply: Reply, now_s: float) -> str:
    """What is wrong with a document that arrived with status 200. ``now_s`` is epoch seconds."""
    import calendar  # here: rarely needed
    import json
    import time

    try:
        answer = json.loads(reply.body)
        code, expiration = answer.get("Code"), answer.get("Expiration")
    except (ValueError, AttributeError, RecursionError):
        return f"{who}: the answer is not a JSON object ({len(reply.body)} bytes)"
    if code != "Success":
        return (
            f"{who}: the answer's Code is {_quoted(code)} instead of 'Success': check the role and "
            "its trust policy (an instance role must trust ecs.aliyuncs.com)"
        )
    try:
        expires_at_s = calendar.timegm(time.strptime(expiration, _EXPIRATION))
    except (ValueError, TypeError, OverflowError):
        return f"{who}: the answer's Expiration is {_quoted(expiration)}, which is not a UTC time"
    if expires_at_s <= now_s:
        return expired_message(who, expires_at_s, now_s)
    return f"{who}: the answer lacks a field, or one is not text"


def _quoted(value: object) -> str:
    return repr(value)[:60] if value is None or isinstance(value, str | int | float) else "no text"
