"""``clusterctl os-update``: the packages of the operating system are as new as their sources have them."""

from pathlib import Path

import click

from clusterctl.cli.completing import HOSTS
from clusterctl.cli.options import batch_option, drain_options, probe_option
from clusterctl.cli.rolling import roll, rolling_options


@click.command("os-update", epilog="Example: clusterctl os-update worker --batch 25%")
@click.argument("hosts", nargs=-1, type=HOSTS, metavar="[HOST]...")
@rolling_options
@batch_option
@drain_options
@probe_option
def os_update(
    hosts: tuple[str, ...],
    *,
    ignore: tuple[str, ...],
    log: Path | None,
    yes: bool,
    verbose: bool,
    batch: int | str | None,
    probes: tuple[str, ...],
) -> None:
    """Upgrade the packages of the operating system, and restart hosts where that is asked for.

    Held packages, such as the kubelet, stay as they are, and none is removed. A host restarts when a package asks
    for it (/run/reboot-required). Each one is drained before and given back afterwards, as by `clusterctl reboot`.
    HOST is the name of a host, or a role; without any, all hosts.
    """
    roll("os-update", hosts, ignore=ignore, log=log, yes=yes, verbose=verbose, batch=batch, probes=probes)
