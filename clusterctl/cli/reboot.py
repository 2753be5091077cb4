"""``clusterctl reboot``: hosts restart."""

from pathlib import Path

import click

from clusterctl.cli.completing import HOSTS
from clusterctl.cli.options import batch_option, drain_options, probe_option
from clusterctl.cli.rolling import roll, rolling_options


@click.command(epilog="Example: clusterctl reboot w1 w2")
@click.argument("hosts", nargs=-1, required=True, type=HOSTS, metavar="HOST...")
@rolling_options
@batch_option
@drain_options
@probe_option
def reboot(
    hosts: tuple[str, ...],
    *,
    ignore: tuple[str, ...],
    log: Path | None,
    yes: bool,
    verbose: bool,
    batch: int | str | None,
    probes: tuple[str, ...],
) -> None:
    """Restart hosts, each one drained before and given back afterwards.

    Control planes first, one at a time, then workers. The next host is not touched before this one's node is Ready
    and the control planes are whole. A host that does not come back stays cordoned, and ends the run. HOST is the
    name of a host, or a role.
    """
    roll("reboot", hosts, ignore=ignore, log=log, yes=yes, verbose=verbose, batch=batch, probes=probes)
