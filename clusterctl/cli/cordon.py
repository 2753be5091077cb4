"""``clusterctl cordon``: no pod comes to nodes."""

from pathlib import Path

import click

from clusterctl.cli.completing import HOSTS
from clusterctl.cli.rolling import roll, rolling_options


@click.command(epilog="Example: clusterctl cordon w3")
@click.argument("hosts", nargs=-1, required=True, type=HOSTS, metavar="HOST...")
@rolling_options
def cordon(hosts: tuple[str, ...], *, ignore: tuple[str, ...], log: Path | None, yes: bool, verbose: bool) -> None:
    """Let no pod come to nodes.

    What runs there stays. The node gets a mark that says who did this and when, and `clusterctl uncordon` takes it
    away. HOST is the name of a host, or a role.
    """
    roll("cordon", hosts, ignore=ignore, log=log, yes=yes, verbose=verbose)
