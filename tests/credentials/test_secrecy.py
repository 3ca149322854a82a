"""What must not happen: output, handlers, threads, heavy imports, secrets in a log."""

import logging
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from osssync.credentials.exchange import Question, Reply
from osssync.credentials.instance_role import InstanceRoleFetcher
from osssync.credentials.provider import RefreshingCredentialsProvider
from osssync.credentials.sources import EnvFetcher
from osssync.credentials.sts import AssumedRoleFetcher, Role
from osssync.errors import CredentialsError
from osssync.oss.dialing import Proxy
from osssync.oss.moment import Identity, moment_of
from tests.credentials.metadata_stub import SECRET, STS_TOKEN


def run(code, **variables):
    """Run code in a fresh interpreter guarded as the suite is; stdout, stderr."""
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=60, check=True, env=environ | variables,
    )  # fmt: skip
    return done.stdout, done.stderr


def test_importing_costs_nothing_and_leaves_nothing():
    """No SDK, no thread, no handler: ``--help`` does not pay for credentials."""
    shown, errors = run("""
        import importlib, logging, pathlib, sys, threading
        import osssync.credentials
        for file in sorted(pathlib.Path(osssync.credentials.__path__[0]).glob("[a-z]*.py")):
            importlib.import_module(f"osssync.credentials.{file.stem}")
        heavy = {"oss2", "requests", "urllib3", "aiohttp", "alibabacloud_credentials", "Tea"}
        loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
        print(sorted(heavy & set(sys.modules)))
        print([logger.name for logger in [logging.root, *loggers] if logger.handlers])
        print(threading.active_count())
    """)

    assert shown.splitlines() == ["[]", "[]", "1"]
    assert errors == ""


@pytest.mark.parametrize("variables", [{}, {"DEBUG": "sdk"}])
def test_fetches_print_nothing_even_when_they_fail(stub, variables):
    """The package would print tracebacks three times, and with DEBUG=sdk every header."""
    shown, errors = run(
        f"""
        import logging, threading
        from osssync.config import CredentialSettings
        from osssync.credentials.sources import open_provider
        from osssync.errors import CredentialsError
        open_provider(CredentialSettings(metadata_proxy="{stub.proxy}")).get_credentials()
        for bad in ("Missing", "Gone"):
            settings = CredentialSettings(role_name=bad, metadata_proxy="{stub.proxy}")
            try:
                open_provider(settings).get_credentials()
            except CredentialsError:
                pass
        print(threading.active_count())
        for name in ("credentials", "alibabacloud-tea"):
            logger = logging.getLogger(name)
            print([type(each).__name__ for each in logger.handlers], logger.propagate)
            logger.error("nobody should see this")
        """,
        **variables,
    )

    assert shown.splitlines() == ["1", "['NullHandler'] False", "['NullHandler'] False"]
    assert errors == ""


def test_no_log_record_holds_a_secret(stub, settings, caplog, clock):
    """At the most talkative level, through fetch, rotation, refusal and outage."""
    caplog.set_level(logging.DEBUG)
    provider = RefreshingCredentialsProvider(
        InstanceRoleFetcher(settings), monotonic=clock, jitter=lambda: 0.0
    )
    first = provider.snapshot()
    stub.number = 2
    provider.invalidate(first.access_key_id)
    provider.get_credentials()
    stub.status = 500
    clock.advance(3700)
    provider.get_credentials()

    text = caplog.text

    assert {record.name for record in caplog.records} == {"osssync.credentials.provider"}
    assert "still valid, but a refresh failed" in text
    assert "were refused" in text
    for secret in (SECRET, STS_TOKEN, "imds-", first.access_key_id):
        assert secret not in text


def test_an_error_is_free_of_secrets_in_all_its_frames(stub, settings):
    """Reporters that print the local variables of a traceback find nothing of the package."""
    stub.changes = {"Expiration": "soon"}

    with pytest.raises(CredentialsError) as caught:
        InstanceRoleFetcher(settings)()

    error, frames = caught.value, []
    while error is not None:
        traceback = error.__traceback__
        while traceback is not None:
            if "credentials" in traceback.tb_frame.f_code.co_filename:
                frames.append(traceback.tb_frame)
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__
    shown = [repr(value) for frame in frames for value in frame.f_locals.values()]
    assert any("InstanceRoleFetcher" in each for each in shown)
    assert not [each for each in shown if SECRET in each or STS_TOKEN in each]


def test_what_holds_a_secret_shows_no_field():
    """Not by ``repr``, and not to ``rich``, which asks a record for its fields."""
    identity = Identity("LTAI5tShown", SECRET, STS_TOKEN)
    holders = (
        identity,
        moment_of(1, identity, ("cn-hangzhou", "oss"), None),
        Question("GET", f"http://h/?x={SECRET}", {"x-token": STS_TOKEN}),
        Reply(200, "OK", {"x-token": STS_TOKEN}, SECRET.encode()),
        EnvFetcher({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}),
        AssumedRoleFetcher(Role("arn"), EnvFetcher({}), external_id=SECRET),
        Proxy("proxy", 3128, SECRET),
    )

    for holder in holders:
        assert f"{type(holder).__name__}(…)" == repr(holder)
        assert not list(holder.__rich_repr__())


def test_a_provider_starts_no_thread(stub, settings):
    """Not at opening, not at fetching: the callers' threads do all the work."""
    names = {thread.name for thread in threading.enumerate()}

    for _ in range(20):
        RefreshingCredentialsProvider(InstanceRoleFetcher(settings)).get_credentials()

    new = {thread.name for thread in threading.enumerate()} - names
    assert {name for name in new if "process_request" not in name} == set()  # the stub's own
