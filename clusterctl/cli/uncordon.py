"""``clusterctl uncordon``: nodes take pods again."""

from pathlib import Path

import click

from clusterctl.cli.completing import HOSTS
from clusterctl.cli.rolling import roll, rolling_options


@click.command(epilog="Example: clusterctl uncordon w3")
@click.argument("hosts", nargs=-1, required=True, type=HOSTS, metavar="HOST...")
@rolling_options
def uncordon(hosts: tuple[str, ...], *, ignore: tuple[str, ...], log: Path | None, yes: bool, verbose: bool) -> None:
    """Let pods come again to nodes that clusterctl cordoned.

    A node that somebody else has cordoned ends it with 3, before anything changes. HOST is the name of a host, or a
    role.
    """
    roll("uncordon", hosts, ignore=ignore, log=log, yes=yes, verbose=verbose)
