"""Buckets that talk to the scripted server."""

import pytest

from osssync.config import OssSettings
from osssync.oss.bucket import open_bucket, open_service
from osssync.oss.endpoint import Endpoint
from osssync.oss.session import PooledSession
from osssync.oss.signature import ClockOffset
from tests.oss.stub_server import FixedCredentials


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """The proxies of whoever runs the tests are not the tests' business."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def provider():
    return FixedCredentials()


@pytest.fixture
def clock_offset():
    return ClockOffset()


@pytest.fixture
def settings():
    return OssSettings(connect_timeout_s=5.0, read_timeout_s=5.0)


@pytest.fixture
def session(settings):
    pooled = PooledSession(settings, pool_size=4)
    yield pooled
    pooled.close()


@pytest.fixture
def bucket(server, settings, session, provider, clock_offset):
    endpoint = Endpoint(server.url, "cn-test", path_style=True)
    return open_bucket("bucket", settings, endpoint, provider, session, clock_offset)


@pytest.fixture
def service(server, settings, session, provider, clock_offset):
    endpoint = Endpoint(server.url, "cn-test", path_style=True)
    return open_service(settings, endpoint, provider, session, clock_offset)
