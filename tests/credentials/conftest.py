"""What all tests of credentials share: a stub service, a clock to turn, and no way out."""

import json
import os
import socket

import pytest

from osssync.config import CredentialSettings, CredentialSource
from osssync.credentials.sources import open_fetcher
from tests.credentials.metadata_stub import MetadataStub


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch):
    """Nothing here may reach the real metadata service, or any other machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        assert self.family == socket.AF_UNIX or str(address[0]).startswith("127."), address
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("ALIBABA_CLOUD_", "OSSSYNC_")):
            monkeypatch.delenv(name)


@pytest.fixture
def stub():
    with MetadataStub() as running:
        yield running


@pytest.fixture
def settings(stub):
    """The instance role, through the stub, by name (so that a fetch is two requests)."""
    return CredentialSettings(role_name="AppRole", metadata_proxy=stub.proxy)


class TurnedClock:
    """A clock for both wall and monotonic time; moves only by hand."""

    def __init__(self):
        self.now_s = 1_800_000_000.0

    def __call__(self):
        return self.now_s

    def advance(self, seconds):
        self.now_s += seconds


@pytest.fixture
def clock():
    return TurnedClock()


@pytest.fixture
def profiles(tmp_path):
    """Write profiles and get back a function that fetches by one of them."""

    def write_and_open(*entries, current="default", **fields):
        folder = tmp_path / ".aliyun"
        folder.mkdir(exist_ok=True)
        content = {"current": current, "profiles": list(entries)}
        (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return open_fetcher(
            CredentialSettings(source=CredentialSource.PROFILE, **fields), {"HOME": str(tmp_path)}
        )

    return write_and_open
