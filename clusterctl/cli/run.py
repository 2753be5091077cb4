"""``clusterctl run``: a playbook of your own, or a saved plan."""

from pathlib import Path

import click

from clusterctl.cli.contracts import digests, saved_plan
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    ignore_option,
    inventory_option,
    limit_option,
    log_option,
    probe_option,
    sudo_option,
    this_command,
)
from clusterctl.cli.playbooks import any_playbook, ignoring
from clusterctl.cli.running import run_playbook
from clusterctl.errors import InputError


@click.command()
@click.argument("playbook")
@inventory_option
@sudo_option
@limit_option
@ignore_option
@click.option("--yes", is_flag=True, help="Do what the plan shows without asking.")
@log_option
@probe_option
@click.option("--diff", is_flag=True, help="Show what would change in files.")
@click.option("-v", "--verbose", is_flag=True, help="Show the steps that are satisfied as well.")
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
    contract = saved_plan(playbook)
    if contract is None:
        book = ignoring(any_playbook(playbook), ignore)
    elif limit or ignore:
        option = "--limit" if limit else "--ignore"
        raise InputError(f"a saved plan has its own {option}", resolution=f"leave {option} out, or make another plan")
    else:
        contract.agree_on(digests(contract.playbook))
        book = ignoring(any_playbook(contract.playbook), contract.ignore)
    with open_session() as session:
        if not run_playbook(
            session,
            book if contract is None else book.limited(contract.limit, session.inventory),
            again=this_command("run", playbook),
            limit=limit,
            ignore=ignore,
            log=log,
            yes=yes,
            diff=diff,
            verbose=verbose,
            contract=contract,
            probes=probes or None,
        ):
            click.echo("Nothing to do.")
