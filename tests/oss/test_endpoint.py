"""Addresses and regions: what follows from which settings."""

import pytest

from osssync.config import OssSettings, SignatureVersion
from osssync.errors import CredentialsError, UsageError
from osssync.oss.endpoint import Endpoint, normalized_region, resolve


def never():
    pytest.fail("the metadata service was asked although everything is known")


def beijing():
    return "cn-beijing"


@pytest.mark.parametrize(
    ("endpoint", "url", "region"),
    [
        ("oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        (
            "https://oss-cn-hangzhou-internal.aliyuncs.com/",
            "https://oss-cn-hangzhou-internal.aliyuncs.com",
            "cn-hangzhou",
        ),
        ("http://OSS-us-west-1.aliyuncs.com", "http://oss-us-west-1.aliyuncs.com", "us-west-1"),
        (
            " oss-cn-shenzhen-finance-1-internal.aliyuncs.com:8443 ",
            "https://oss-cn-shenzhen-finance-1-internal.aliyuncs.com:8443",
            "cn-shenzhen-finance-1",
        ),
    ],
)
def test_an_endpoint_names_its_region(endpoint, url, region):
    """Https unless http is written; the region is read off the name; nobody else is asked."""
    assert resolve(OssSettings(endpoint=endpoint), never) == Endpoint(url, region)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_addresses_are_path_style(host):
    """A bucket cannot be put before an address."""
    settings = OssSettings(endpoint=f"http://{host}:9000", region="cn-hangzhou")

    assert resolve(settings, never) == Endpoint(f"http://{host}:9000", "cn-hangzhou", True)


def test_a_name_is_path_style_only_when_asked():
    """A custom domain."""
    settings = OssSettings(endpoint="oss.example.com", region="r-1", path_style=True)

    assert resolve(settings, never).path_style
    assert not resolve(OssSettings(endpoint="oss.example.com", region="r-1"), never).path_style


def test_a_custom_endpoint_takes_the_instances_region():
    """V4 needs one, and it is not in the name."""
    assert resolve(OssSettings(endpoint="oss.example.com"), beijing) == Endpoint(
        "https://oss.example.com", "cn-beijing"
    )


def test_v1_needs_no_region_for_a_known_address():
    """Nobody is asked for what is not needed."""
    settings = OssSettings(endpoint="oss.example.com", signature=SignatureVersion.V1)

    assert resolve(settings, never) == Endpoint("https://oss.example.com", "")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (OssSettings(region="cn-hangzhou"), "https://oss-cn-hangzhou.aliyuncs.com"),
        (OssSettings(region="oss-cn-hangzhou"), "https://oss-cn-hangzhou.aliyuncs.com"),
        (
            OssSettings(region="cn-hangzhou", internal=True),
            "https://oss-cn-hangzhou-internal.aliyuncs.com",
        ),
        (OssSettings(region="cn-hangzhou", accelerate=True), "https://oss-accelerate.aliyuncs.com"),
    ],
)
def test_a_region_names_its_endpoint(settings, url):
    """Public unless internal or accelerated is asked for."""
    assert resolve(settings, never) == Endpoint(url, "cn-hangzhou")


@pytest.mark.parametrize(
    ("internal", "host"),
    [
        (None, "oss-cn-beijing-internal.aliyuncs.com"),
        (True, "oss-cn-beijing-internal.aliyuncs.com"),
        (False, "oss-cn-beijing.aliyuncs.com"),
    ],
)
def test_without_anything_the_instance_uses_its_own_region_inside(internal, host):
    """Traffic inside the region is free; the public endpoint on request."""
    assert resolve(OssSettings(internal=internal), beijing) == Endpoint(
        f"https://{host}", "cn-beijing"
    )


def test_an_accelerated_endpoint_takes_the_region_for_signing_only():
    """Its name has none."""
    settings = OssSettings(endpoint="oss-accelerate-overseas.aliyuncs.com", accelerate=True)

    assert resolve(settings, beijing) == Endpoint(
        "https://oss-accelerate-overseas.aliyuncs.com", "cn-beijing"
    )


def silent():
    return ""


def broken():
    raise CredentialsError("no answer")


@pytest.mark.parametrize("metadata", [silent, broken])
@pytest.mark.parametrize("endpoint", ["", "oss.example.com"])
def test_a_region_that_cannot_be_found_out_names_the_flag(metadata, endpoint):
    """What to give, not what went wrong inside."""
    with pytest.raises(UsageError, match="--region"):
        resolve(OssSettings(endpoint=endpoint), metadata)


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("http://[::1]:9000", "IPv6"),
        ("::1", "IPv6"),
        ("ftp://oss.example.com", "scheme"),
        ("https://oss.example.com/bucket", "nothing else"),
        ("https://oss.example.com?x=1", "nothing else"),
        ("https://user:pw@oss.example.com", "nothing else"),
        ("https://", "nothing else"),
        ("https://host:0", "port"),
        ("https://host:65536", "port"),
        ("https://host:", "port"),
        ("https://ho st", "host name"),
        ("https://-host", "host name"),
        ("https://a..b", "host name"),
        ("my-bucket.oss-cn-hangzhou.aliyuncs.com", "give oss-cn-hangzhou.aliyuncs.com"),
    ],
)
def test_endpoints_that_cannot_be_are_refused(endpoint, complaint):
    """Each says what is wrong with it."""
    with pytest.raises(UsageError, match=complaint):
        resolve(OssSettings(endpoint=endpoint, region="cn-hangzhou"), never)


@pytest.mark.parametrize(
    "settings",
    [
        OssSettings(endpoint="oss-cn-hangzhou.aliyuncs.com", region="cn-beijing"),
        OssSettings(endpoint="oss-cn-hangzhou.aliyuncs.com", internal=True),
        OssSettings(endpoint="oss-cn-hangzhou-internal.aliyuncs.com", internal=False),
        OssSettings(endpoint="oss-cn-hangzhou.aliyuncs.com", accelerate=True),
        OssSettings(region="cn-hangzhou", internal=True, accelerate=True),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings):
    """No flag is silently ignored."""
    with pytest.raises(UsageError):
        resolve(settings, never)


@pytest.mark.parametrize(
    "text",
    ["cn-beijing", " CN-Beijing", "oss-cn-beijing", "oss-cn-beijing-internal.aliyuncs.com"],
)
def test_a_region_is_understood_in_every_usual_spelling(text):
    """V4 signs the bare id."""
    assert normalized_region(text) == "cn-beijing"


@pytest.mark.parametrize("text", ["cn_beijing", "cn-", "/", "oss-"])
def test_what_is_no_region_is_refused(text):
    """It would end in a signature that never matches."""
    with pytest.raises(UsageError, match="--region"):
        normalized_region(text)
