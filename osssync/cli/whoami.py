"""``whoami``: who OSS thinks we are."""

import math
import os
import time
from datetime import UTC, datetime

from msgspec.structs import asdict, replace

from osssync.cli.declared import takes
from osssync.cli.flags import ConnectionFlags
from osssync.cli.lines import complain, say, say_json
from osssync.cli.look import JsonFlag
from osssync.config import options_from_env
from osssync.units import format_duration


@takes(JsonFlag, ConnectionFlags)
def whoami(output: JsonFlag, connection: ConnectionFlags) -> None:
    """Show who OSS thinks we are.

    Role, masked key id, expiry, metadata mode, account and region: never a secret.
    """
    from osssync.identity import whoami as find_out

    options = replace(
        options_from_env(os.environ),
        credentials=connection.credential_settings(),
        oss=connection.oss_settings(),
    )
    found = find_out(options)
    if output.json:
        expires = None if math.isinf(found.expires_at_s) else _iso(found.expires_at_s)
        say_json(**{**asdict(found), "expires_at_s": found.expires_at_s if expires else None,
                    "expires_at": expires})  # fmt: skip
        return
    say(f"credentials    {found.source}{f': {found.identity}' if found.identity else ''}")
    say(f"access key id  {found.masked_access_key_id}")
    say(f"expires        {_expiry(found.expires_at_s)}")
    for name, value in (
        ("metadata", found.metadata_mode),
        ("account", found.account),
        ("instance", found.instance),
        ("region", found.region),
        ("endpoint", found.endpoint),
        ("OSS owner", found.oss_owner),
    ):
        if value:
            say(f"{name:<14} {value}")
    for note in found.notes:
        complain(f"note: {note}")


def _expiry(expires_at_s: float) -> str:
    if math.isinf(expires_at_s):
        return "never"
    left = format_duration(max(0.0, expires_at_s - time.time()))
    return f"{_iso(expires_at_s)} (in {left})"


def _iso(instant_s: float) -> str:
    return datetime.fromtimestamp(instant_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
