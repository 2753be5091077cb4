"""``clusterctl upgrade``: bring a running cluster to a new version, hop by hop."""

from pathlib import Path

import click

from clusterctl.actions import upgrade as action
from clusterctl.actions.running import Wishes
from clusterctl.cli.completing import HOST
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    batch_option,
    diff_option,
    drain_options,
    ignore_option,
    inventory_option,
    limit_option,
    log_option,
    probe_option,
    strategy_option,
    sudo_option,
    to_option,
    verbose_option,
    via_option,
    workers_option,
    yes_option,
)
from clusterctl.cli.terminal import Terminal


@click.command(epilog="Example: clusterctl upgrade --to 1.36 --canary w1 --pause")
@inventory_option
@sudo_option
@to_option
@via_option
@workers_option
@strategy_option
@batch_option
@click.option("--canary", type=HOST, metavar="HOST", help="The worker that goes first, alone.")
@click.option("--pause", is_flag=True, help="Ask again when the canary is through.")
@click.option("--max-failures", type=click.IntRange(min=0), default=0, metavar="N", help="Workers that may fail; 0.")
@limit_option
@ignore_option
@yes_option
@click.option(
    "--write",
    is_flag=True,
    help="Bring the inventory up to date when all is done: version, and roles.",
)
@click.option("--no-verify", is_flag=True, help="Do not use the cluster at the end to prove that it works.")
@log_option
@probe_option
@drain_options
@diff_option
@verbose_option
def upgrade(
    *,
    to: str | None,
    via: tuple[str, ...],
    workers: str,
    strategy: str,
    batch: int | str | None,
    canary: str | None,
    pause: bool,
    max_failures: int,
    limit: tuple[str, ...],
    ignore: tuple[str, ...],
    yes: bool,
    write: bool,
    no_verify: bool,
    log: Path | None,
    probes: tuple[str, ...],
    diff: bool,
    verbose: bool,
) -> None:
    """Bring the cluster to a new version of Kubernetes.

    Finds the hops, one for each minor on the way, shows the plan of the first one, asks, and goes: control planes one
    after the other, then the workers. A node is drained before its kubelet changes, and given back afterwards. Before
    each hop the cluster is looked at anew. Ctrl-C stops after the node in hand; run it again after any failure.
    """
    way = action.Way(to, via, workers, strategy, batch, canary, pause, max_failures, write, no_verify)
    wishes = Wishes(limit, ignore, log, probes)
    action.check_way(way, wishes)
    with open_session() as session:
        action.upgrade(session, Terminal(verbose=verbose, diff=diff), way, wishes, answered=yes)
