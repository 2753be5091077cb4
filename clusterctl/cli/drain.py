"""``clusterctl drain``: the pods of nodes go elsewhere."""

from pathlib import Path

import click

from clusterctl.cli.completing import HOSTS
from clusterctl.cli.options import drain_options
from clusterctl.cli.rolling import roll, rolling_options


@click.command(epilog="Example: clusterctl drain w3 --delete-emptydir-data")
@click.argument("hosts", nargs=-1, required=True, type=HOSTS, metavar="HOST...")
@rolling_options
@drain_options
def drain(hosts: tuple[str, ...], *, ignore: tuple[str, ...], log: Path | None, yes: bool, verbose: bool) -> None:
    """Let the pods of nodes go elsewhere, one node after the other.

    Looks first what stands in the way: budgets, pods that nobody makes again, data in emptyDir, pods that have
    nowhere to go. The nodes stay cordoned until `clusterctl uncordon`. HOST is the name of a host, or a role.
    """
    roll("drain", hosts, ignore=ignore, log=log, yes=yes, verbose=verbose)
