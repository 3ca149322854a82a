"""Loopback or nothing: imported by every Python process of the suite, through PYTHONPATH.

An audit hook sees each connect and name look-up before it happens and cannot be removed. What it
stops is also written to a file, so that an attempt swallowed somewhere still fails the suite.
"""

import os
import sys

LOG_VARIABLE = "OSSSYNC_TEST_ESCAPES"
ALLOWED_VARIABLE = "OSSSYNC_TEST_ALLOWED"  # addresses a test gave itself in its own namespace


def _is_local(host):
    allowed = os.environ.get(ALLOWED_VARIABLE, "").split(",")
    return host in ("", "localhost", "::1", "0.0.0.0") or host.startswith("127.") or host in allowed


def _hook(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""
    elif event == "socket.getaddrinfo":
        host = arguments[0] or ""
    else:
        return
    host = host.decode() if isinstance(host, bytes) else str(host)
    if not _is_local(host) and not host.endswith(".localhost"):
        path = os.environ.get(LOG_VARIABLE)
        if path:
            with open(path, "a") as file:  # noqa: PTH123 - start-up of every process: import little
                file.write(f"{event} {host}\n")
        raise ConnectionRefusedError(f"the suite may not reach {host}")


if not getattr(sys, "_osssync_guard", False):
    sys._osssync_guard = True
    sys.addaudithook(_hook)
