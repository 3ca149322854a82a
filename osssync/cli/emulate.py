"""``emulate``: OSS and the ECS metadata service on loopback, until Ctrl-C.

The first line on stdout is one JSON object with every address and setting a client needs; it is
the interface for scripts and for tests in other languages. The process then serves in the
foreground; SIGINT and SIGTERM end it with exit code 0.
"""

import ipaddress
import json
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osssync.config import parse_address
from osssync.errors import UsageError
from osssync.units import parse_duration

if TYPE_CHECKING:
    from osssync.emulator.emulator import Emulator
    from osssync.emulator.settings import Settings, StaticCredential

_MAX_PORT = 65_535


def emulate(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=_MAX_PORT, help="Port of OSS; 0 picks a free one.")
    ] = 0,
    metadata_port: Annotated[
        int, typer.Option(min=0, max=_MAX_PORT, help="Port of the metadata service.")
    ] = 0,
    control_port: Annotated[
        int, typer.Option(min=0, max=_MAX_PORT, help="Port of the control address.")
    ] = 0,
    bind: Annotated[str, typer.Option(metavar="IP", help="Address to listen on.")] = "127.0.0.1",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let --bind be more than loopback.")
    ] = False,
    domain: Annotated[
        list[str] | None,
        typer.Option(metavar="SUFFIX", help="Suffix of virtual-hosted names; repeatable."),
    ] = None,
    credential: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AK:SK[:TOKEN]",
            help="A test credential of the owner; repeatable. One is generated if none is given.",
        ),
    ] = None,
    bucket: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Bucket to begin with; repeatable.")
    ] = None,
    role: Annotated[str, typer.Option(help="Name of the instance's RAM role.")] = "EcsRamRole",
    region: Annotated[str, typer.Option(help="Region that signatures name.")] = "cn-hangzhou",
    lifetime: Annotated[
        str, typer.Option(metavar="DURATION", help="Life of a set of role credentials: 20s, 1h.")
    ] = "1h",
    imds_v2_only: Annotated[
        bool, typer.Option("--imds-v2-only", help="Answer metadata requests with a token only.")
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="RAM policy of the role."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(file_okay=False, metavar="DIR", help="Keep objects here; memory if not."),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="Serve OSS over https."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="Key of --tls-cert."),
    ] = None,
    request_log: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="Append every OSS request as NDJSON."),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="Rules of what goes wrong."),
    ] = None,
) -> None:
    """Serve OSS and ECS metadata on loopback.

    Until Ctrl-C. The first line printed is one JSON object with every setting a client needs.
    """
    from osssync.emulator.settings import Settings

    _check_bind(bind, allow_remote=allow_remote)
    if (tls_cert is None) is not (tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together: give both")
    settings = Settings(
        port=port,
        metadata_port=metadata_port,
        control_port=control_port,
        bind=bind,
        region=region,
        domains=tuple(domain or ()),
        credentials=_credentials(credential or []),
        buckets=_buckets(bucket or []),
        role=role,
        lifetime_s=_lifetime(lifetime),
        imds_v2_only=imds_v2_only,
        policy=policy,
        root=root,
        tls_cert=tls_cert,
        tls_key=tls_key,
        request_log=request_log,
        faults=faults,
    )
    import asyncio  # here, as every other command would pay for it

    asyncio.run(_serve(_make(settings)))


def _check_bind(bind: str, *, allow_remote: bool) -> None:
    try:
        address = ipaddress.ip_address(bind)
    except ValueError:
        raise UsageError(f"--bind {bind!r} is not an IP address") from None
    if not (address.is_loopback or allow_remote):
        raise UsageError(
            f"--bind {bind} is reachable from other machines, and the metadata service hands out "
            "credentials to all who ask: add --allow-remote if that is meant"
        )


def _lifetime(text: str) -> float:
    lifetime_s = parse_duration(text)
    if lifetime_s < 1:
        raise UsageError(f"--lifetime {text}: credentials live at least one second")
    return lifetime_s


def _buckets(names: list[str]) -> tuple[str, ...]:
    for name in names:
        parse_address(f"oss://{name}/")  # raises for what is no bucket name
    return tuple(names)


def _credentials(given: list[str]) -> "tuple[StaticCredential, ...]":
    from osssync.emulator.settings import StaticCredential

    if not given:
        key_id = f"LTAI{secrets.token_hex(10)}"
        return (StaticCredential(key_id, secrets.token_urlsafe(24)),)
    credentials = []
    for number, text in enumerate(given, 1):
        key_id, _, rest = text.partition(":")
        secret, _, token = rest.partition(":")
        if not key_id or not secret:  # the text itself stays out of the message: it holds a secret
            raise UsageError(f"--credential number {number} is not AK:SK or AK:SK:TOKEN")
        credentials.append(StaticCredential(key_id, secret, token))
    return tuple(credentials)


def _make(settings: "Settings") -> "Emulator":
    from osssync.emulator.emulator import Emulator
    from osssync.emulator.faults import FaultRuleError
    from osssync.emulator.policy_conditions import PolicyError

    try:
        return Emulator(settings)
    except PolicyError as error:
        raise UsageError(f"--policy {settings.policy}: {error}") from error
    except FaultRuleError as error:
        raise UsageError(f"--faults {settings.faults}: {error}") from error
    except OSError as error:  # of --root or --request-log
        raise UsageError(f"the emulator cannot start: {error}") from error


async def _serve(emulator: "Emulator") -> None:
    import asyncio

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await emulator.start()
    except OSError as error:
        raise UsageError(f"the emulator cannot start: {error.strerror or error}") from error
    try:
        print(json.dumps(_announcement(emulator)), flush=True)
        print("serving until Ctrl-C", file=sys.stderr)
        await stop.wait()
    finally:
        await emulator.stop()


def _announcement(emulator: "Emulator") -> dict[str, object]:
    """Every address and setting a client needs, test secrets included: it has to sign with them."""
    settings = emulator.settings
    first = settings.credentials[0]
    role_url = f"{emulator.metadata_endpoint}/latest/meta-data/ram/security-credentials/"
    return {
        "endpoint": emulator.endpoint,
        "virtual_hosted_domains": [
            "localhost",
            f"oss-{settings.region}.aliyuncs.com",
            *settings.domains,
        ],
        "region": settings.region,
        "buckets": list(settings.buckets),
        "metadata_endpoint": emulator.metadata_endpoint,
        "metadata_proxy": emulator.metadata_proxy,
        "control": emulator.control_endpoint,
        "role": settings.role,
        "lifetime_s": settings.lifetime_s,
        "credentials": [
            {
                "access_key_id": one.access_key_id,
                "access_key_secret": one.access_key_secret,
                "security_token": one.security_token,
            }
            for one in settings.credentials
        ],
        "environment": {
            "OSSSYNC_ENDPOINT": emulator.endpoint,
            "OSSSYNC_REGION": settings.region,
            "OSSSYNC_METADATA_PROXY": emulator.metadata_proxy,
            "ALIBABA_CLOUD_ECS_METADATA": settings.role,
            "ALIBABA_CLOUD_CREDENTIALS_URI": f"{role_url}{settings.role}",
            "OSS_ENDPOINT": emulator.endpoint,
            "OSS_REGION": settings.region,
            "OSS_ACCESS_KEY_ID": first.access_key_id,
            "OSS_ACCESS_KEY_SECRET": first.access_key_secret,
            **({"OSS_SESSION_TOKEN": first.security_token} if first.security_token else {}),
        },
    }
