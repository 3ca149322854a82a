"""``demo``: keyless OSS access shown end to end on this machine, no cloud needed."""

from typing import Annotated

import typer


def demo(
    large_mib: Annotated[
        int, typer.Option("--large-mib", help="Size of the one large object.", min=32, max=4096)
    ] = 256,
    files: Annotated[
        int, typer.Option("--files", help="Number of small files.", min=1, max=100_000)
    ] = 200,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the files to look at.")] = False,
) -> None:
    """Show keyless access on this machine.

    Runs the documented example on the built-in emulator. Uploads a tree, syncs it down elsewhere,
    proves both equal, and reads one object as the
    documented sample does; the role's credentials are replaced again and again meanwhile.
    """
    from osssync.demo import run_demo

    raise typer.Exit(run_demo(large_mib << 20, files, keep=keep, say=typer.echo))
