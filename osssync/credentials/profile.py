"""Credentials of a profile of the vendor's command line, ``~/.aliyun/config.json``. Read only.

The file is read at every fetch. The vendor's own reader of it is not used: it drops the expiry and
starts threads; the providers behind the modes are the vendor's.

Source: aliyun-cli ``config/profile.go``, modes of a profile.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from osssync.config import CredentialSettings
from osssync.credentials.document import usable
from osssync.credentials.instance_role import InstanceRoleFetcher
from osssync.credentials.provider import Fetcher, Snapshot
from osssync.credentials.sts import AssumedRoleFetcher, OidcFetcher, Role
from osssync.credentials.uri import UriFetcher
from osssync.errors import CredentialsError, UsageError
from osssync.veiled import Veiled

_REFUSED = {
    "External": "it runs a shell command, which osssync does not do for the sake of a key",
    "OAuth": "its refresh token is used up by every use and would have to be written back",
    "CloudSSO": "its sign-in ends after hours; use the role of an instance, or assume a role",
    "RsaKeyPair": "OSS does not know its session keys",
}


class _Profile(Veiled, frozen=True):
    """One profile of the file. ``fields`` may hold secrets, so they are veiled."""

    name: str
    fields: Mapping[str, object]

    @property
    def mode(self) -> str:
        return self.text("mode") or "AK"

    def text(self, field: str) -> str:
        """A field, or empty."""
        value = self.fields.get(field)
        return value if isinstance(value, str) else ""

    def number(self, field: str) -> int:
        """A field, or 0."""
        value = self.fields.get(field)
        return value if isinstance(value, int) else 0

    def required(self, field: str) -> str:
        """A field that this mode cannot do without."""
        if self.text(field):
            return self.text(field)
        raise CredentialsError(
            f"profile {self.name!r} has mode {self.mode} but no {field}: run `aliyun configure "
            f"--profile {self.name} --mode {self.mode}`"
        )


class ProfileFetcher:
    """Fetches what a profile stands for, by its mode."""

    def __init__(
        self,
        settings: CredentialSettings,
        config_file: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._config_file = config_file
        self._clock = clock

    def __call__(self) -> Snapshot:
        """Fetch afresh.

        Raises:
            CredentialsError: no file, no such profile, a field missing, a mode that is not
                supported, or the fetch behind it failed.
        """
        current, profiles = self._read()
        name = self._settings.profile or current
        return self._fetcher(name, profiles, ())()

    def _read(self) -> tuple[str, dict[str, _Profile]]:
        """The name of the current profile, and all profiles by name."""
        where = self._config_file
        try:
            content = json.loads(where.read_text(encoding="utf-8"))
            profiles = [
                _Profile(fields["name"], fields)
                for fields in content["profiles"]
                if isinstance(fields["name"], str)
            ]
            return str(content.get("current") or "default"), {each.name: each for each in profiles}
        except OSError as error:
            raise CredentialsError(
                f"{where} cannot be read ({error.strerror}): run `aliyun configure`, or choose "
                "another source with --credentials"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        # Outside: a JSONDecodeError carries the whole file, secrets included.
        raise CredentialsError(f"{where} is not a configuration of the aliyun command line")

    def _fetcher(
        self, name: str, profiles: Mapping[str, _Profile], above: tuple[str, ...]
    ) -> Fetcher:
        """``above`` are the profiles that lead here through ``source_profile``."""
        if name in above:
            raise CredentialsError(f"profiles lead in a circle: {' → '.join((*above, name))}")
        if name not in profiles:
            known = ", ".join(sorted(profiles)) or "none"
            raise CredentialsError(f"{self._config_file} has no profile {name!r}; it has: {known}")
        profile = profiles[name]
        builders: dict[str, Callable[[_Profile], Fetcher]] = {
            "AK": self._keys,
            "StsToken": self._keys,
            "EcsRamRole": self._instance_role,
            "OIDC": self._oidc,
            "CredentialsURI": self._uri,
            "RamRoleArn": lambda it: self._assumed(it, self._keys(it)),
            "RamRoleArnWithRoleName": lambda it: self._assumed(it, self._instance_role(it)),
            "ChainableRamRoleArn": lambda it: self._assumed(
                it, self._fetcher(it.required("source_profile"), profiles, (*above, name))
            ),
        }
        if profile.mode not in builders:
            why = _REFUSED.get(profile.mode, "it is not known")
            raise CredentialsError(f"profile {name!r}: mode {profile.mode} is not supported: {why}")
        try:
            return builders[profile.mode](profile)
        except UsageError as error:
            raise CredentialsError(f"profile {name!r}: {error}") from error

    def _keys(self, profile: _Profile) -> Fetcher:
        return lambda: self._static(profile)

    def _oidc(self, profile: _Profile) -> Fetcher:
        return OidcFetcher(
            _role(profile),
            profile.required("oidc_provider_arn"),
            profile.required("oidc_token_file"),
            self._clock,
        )

    def _uri(self, profile: _Profile) -> Fetcher:
        return UriFetcher(profile.required("credentials_uri"), clock=self._clock)

    def _static(self, profile: _Profile) -> Snapshot:
        who = f"profile {profile.name}"
        token = profile.text("sts_token")
        if profile.mode == "StsToken":
            token = profile.required("sts_token")
        expiration = profile.number("sts_expiration") if token else 0
        return Snapshot(
            access_key_id=usable(profile.required("access_key_id"), "access_key_id", who),
            access_key_secret=usable(
                profile.required("access_key_secret"), "access_key_secret", who
            ),
            security_token=usable(token, "sts_token", who) if token else "",
            expires_at_s=float(expiration) if expiration > 0 else math.inf,
            fetched_at_s=self._clock(),
            identity=who,
        )

    def _instance_role(self, profile: _Profile) -> Fetcher:
        role = profile.text("ram_role_name")
        return InstanceRoleFetcher(replace(self._settings, role_name=role), clock=self._clock)

    def _assumed(self, profile: _Profile, source: Fetcher) -> Fetcher:
        return AssumedRoleFetcher(_role(profile), source, profile.text("external_id"), self._clock)


def _role(profile: _Profile) -> Role:
    duration_s = profile.number("expired_seconds")
    if 0 < duration_s < 900:
        raise CredentialsError(
            f"profile {profile.name!r}: expired_seconds is {duration_s}; STS takes 900 or more"
        )
    return Role(
        arn=profile.required("ram_role_arn"),
        session_name=profile.text("ram_session_name") or "osssync",
        duration_s=duration_s,
        policy=profile.text("policy"),
        region=profile.text("sts_region"),
        vpc=profile.fields.get("enable_vpc") is True,
    )
