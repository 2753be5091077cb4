"""``clusterctl run``: a playbook of your own, or a saved plan."""

from pathlib import Path

import click

from clusterctl.actions import run as action
from clusterctl.actions.running import Wishes
from clusterctl.cli.completing import PLAYBOOKS
from clusterctl.cli.context import inventory_path
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    diff_option,
    ignore_option,
    inventory_option,
    limit_option,
    log_option,
    probe_option,
    sudo_option,
    verbose_option,
    yes_option,
)
from clusterctl.cli.terminal import Terminal


@click.command(epilog="Example: clusterctl run ./my-playbook.yaml --limit worker")
@click.argument("playbook", type=PLAYBOOKS)
@inventory_option
@sudo_option
@limit_option
@ignore_option
@yes_option
@log_option
@probe_option
@diff_option
@verbose_option
def run(
    playbook: str,
    *,
    limit: tuple[str, ...],
    ignore: tuple[str, ...],
    log: Path | None,
    probes: tuple[str, ...],
    yes: bool,
    diff: bool,
    verbose: bool,
) -> None:
    """Run a playbook, or a plan that was saved.

    PLAYBOOK is the path of a YAML file, such as a copy of playbooks/bootstrap.yaml with another order, or a name,
    such as bootstrap. Shows the plan, asks, and does it, as `clusterctl bootstrap` does.

    PLAYBOOK may also be a file that `clusterctl plan -o FILE` wrote. Then exactly that is done: it ends with 3,
    and does nothing more, as soon as inventory, playbook or machines differ from what was planned.
    """
    wishes = Wishes(limit, ignore, log, probes or None)
    prepared = action.prepare(playbook, inventory_path(), wishes)
    with open_session() as session:
        if not action.run(session, Terminal(verbose=verbose, diff=diff), prepared, wishes, answered=yes):
            click.echo("Nothing to do.")
