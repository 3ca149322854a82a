"""From settings to a provider: one source, chosen by name. There is no chain and no fallback.

A chain would let a forgotten variable or profile win over the instance's role without a word.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from osssync.config import CredentialSettings, CredentialSource
from osssync.credentials.document import usable
from osssync.credentials.provider import Fetcher, RefreshingCredentialsProvider, Snapshot
from osssync.errors import CredentialsError
from osssync.veiled import Veiled

_ID = "ALIBABA_CLOUD_ACCESS_KEY_ID"
_SECRET = "ALIBABA_CLOUD_ACCESS_KEY_SECRET"  # noqa: S105 - the name of a variable
_TOKEN = "ALIBABA_CLOUD_SECURITY_TOKEN"  # noqa: S105 - the name of a variable
_ROLE_ARN = "ALIBABA_CLOUD_ROLE_ARN"
_OIDC_PROVIDER = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN"
_OIDC_TOKEN_FILE = "ALIBABA_CLOUD_OIDC_TOKEN_FILE"  # noqa: S105 - the name of a variable


def open_provider(
    settings: CredentialSettings, environ: Mapping[str, str] = os.environ
) -> RefreshingCredentialsProvider:
    """A provider for the chosen source. Nothing is fetched before the first read.

    Raises:
        UsageError: a role name, proxy or URI that cannot be one.
        CredentialsError: variables that the source needs are missing.
    """
    return RefreshingCredentialsProvider(open_fetcher(settings, environ))


def open_fetcher(settings: CredentialSettings, environ: Mapping[str, str] = os.environ) -> Fetcher:
    """The source itself, for one fetch without a cache.

    Raises:
        UsageError: a role name, proxy or URI that cannot be one.
        CredentialsError: variables that the source needs are missing.
    """
    match settings.source:
        case CredentialSource.INSTANCE_ROLE:
            from osssync.credentials.instance_role import InstanceRoleFetcher

            return InstanceRoleFetcher(settings)
        case CredentialSource.ENV:
            _require(environ, "env", _ID, _SECRET)
            return EnvFetcher(environ)
        case CredentialSource.PROFILE:
            return _profile(settings, environ)
        case CredentialSource.OIDC:
            return _oidc(environ)
        case CredentialSource.URI:
            if not settings.uri:
                raise CredentialsError("credentials uri: set ALIBABA_CLOUD_CREDENTIALS_URI")
            from osssync.credentials.uri import UriFetcher

            return UriFetcher(settings.uri)


def load(source: CredentialSource) -> None:
    """Import what fetching from a source takes: 0.1 s for those that ask by the vendor's package.

    Who forks does it before, or every child does it again. A profile may need no such package.
    """
    if source in (CredentialSource.INSTANCE_ROLE, CredentialSource.OIDC, CredentialSource.URI):
        from osssync.credentials import sdk

        sdk.load()


class EnvFetcher(Veiled, frozen=True):
    """Keys from the environment. We cannot know when they end, so they never expire for us."""

    environ: Mapping[str, str]
    clock: Callable[[], float] = time.time

    def __call__(self) -> Snapshot:
        """Read the variables as they are now.

        Raises:
            CredentialsError: a variable is missing or not a key.
        """
        _require(self.environ, "env", _ID, _SECRET)
        # Stripped: a trailing newline from a shell's command substitution is nobody's intention.
        token = self.environ.get(_TOKEN, "").strip()
        return Snapshot(
            access_key_id=usable(self.environ[_ID].strip(), _ID, "environment"),
            access_key_secret=usable(self.environ[_SECRET].strip(), _SECRET, "environment"),
            security_token=usable(token, _TOKEN, "environment") if token else "",
            expires_at_s=math.inf,
            fetched_at_s=self.clock(),
            identity="environment",
        )


def _profile(settings: CredentialSettings, environ: Mapping[str, str]) -> Fetcher:
    from osssync.credentials.profile import ProfileFetcher

    if environ.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() == "true":
        raise CredentialsError(
            "credentials profile: ALIBABA_CLOUD_CLI_PROFILE_DISABLED=true forbids it; unset it"
        )
    home = Path(environ.get("HOME") or "~").expanduser()
    return ProfileFetcher(settings, home / ".aliyun" / "config.json")


def _oidc(environ: Mapping[str, str]) -> Fetcher:
    from osssync.credentials.sts import OidcFetcher, Role

    _require(environ, "oidc", _ROLE_ARN, _OIDC_PROVIDER, _OIDC_TOKEN_FILE)
    role = Role(
        arn=environ[_ROLE_ARN],
        session_name=environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME") or "osssync",
        region=environ.get("ALIBABA_CLOUD_STS_REGION", ""),
        vpc=environ.get("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "").lower() == "true",
    )
    return OidcFetcher(role, environ[_OIDC_PROVIDER], environ[_OIDC_TOKEN_FILE])


def _require(environ: Mapping[str, str], source: str, *names: str) -> None:
    missing = [name for name in names if not environ.get(name, "").strip()]
    if missing:
        raise CredentialsError(
            f"credentials {source}: {' and '.join(missing)} must be set; without --credentials "
            "the instance's role is used"
        )
