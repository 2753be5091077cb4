"""``clusterctl bootstrap``: from machines that answer SSH to a cluster."""

from pathlib import Path

import click

from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    diff_option,
    ignore_option,
    inventory_option,
    limit_option,
    log_option,
    sudo_option,
    verbose_option,
    yes_option,
)


@click.command(epilog="Example: clusterctl -i prod.yaml bootstrap")
@inventory_option
@sudo_option
@limit_option
@ignore_option
@yes_option
@log_option
@diff_option
@verbose_option
def bootstrap(
    *, limit: tuple[str, ...], ignore: tuple[str, ...], log: Path | None, yes: bool, diff: bool, verbose: bool
) -> None:
    """Make a Kubernetes cluster of the hosts in the inventory.

    Shows the plan, asks, and does it; each step is proved before the next one begins. Run it again after any
    failure: what is done stays done. Ends with 3 before anything changes when a step is blocked.
    """
    with open_session(begin="connect") as session:
        from clusterctl.actions import bootstrap as action
        from clusterctl.actions.running import Wishes
        from clusterctl.cli.terminal import Terminal

        terminal = Terminal(verbose=verbose, diff=diff)
        if not action.bootstrap(session, terminal, Wishes(limit, ignore, log), answered=yes):
            click.echo("Nothing to do: the cluster is as the inventory wants it.")
            return
    click.echo("\nThe cluster is there. What to type next:")
    for words in (("kubeconfig", "--output", "admin.conf"), ("status",), ("verify",)):
        click.echo(f"  {session.call.command(*words)}")
