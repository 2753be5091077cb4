"""``clusterctl plan``: what a playbook would do."""

import json
import shlex
from pathlib import Path

import click

from clusterctl.cli.completing import PLAYBOOKS
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import (
    diff_option,
    ignore_option,
    inventory_option,
    json_option,
    limit_option,
    strategy_option,
    sudo_option,
    to_option,
    via_option,
    workers_option,
)
from clusterctl.errors import InputError, Refused, raise_all

_UPGRADE = "upgrade"


@click.command(epilog="Example: clusterctl plan bootstrap --diff")
@click.argument("playbook", type=PLAYBOOKS)
@inventory_option
@sudo_option
@to_option
@via_option
@workers_option
@strategy_option
@limit_option
@ignore_option
@diff_option
@click.option("-v", "--verbose", is_flag=True, help="List the steps that are satisfied as well.")
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the plan; `clusterctl run FILE` does exactly that.",
)
def plan(
    playbook: str,
    *,
    to: str | None,
    via: tuple[str, ...],
    workers: str,
    strategy: str,
    limit: tuple[str, ...],
    ignore: tuple[str, ...],
    output: Path | None,
    diff: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Show what a playbook would do, and change nothing.

    PLAYBOOK is a name, such as bootstrap, or the path of a YAML file. A step is needed (+), not known before
    earlier ones are done (?), blocked (!) or satisfied (=); a warning (~) stops nothing. Ends
    with 3 when a step is blocked, with 4 when a host cannot be reached: the plan is about the others then.
    JSON has the numbers "changes", "blocked" and "unknown" at its top.

    `plan upgrade --to VERSION` shows the hops, the plan of the first one, what draining the nodes would meet, and how
    long it may take.
    """
    if playbook != _UPGRADE and (to or via or workers != "once" or strategy != "rolling"):
        raise InputError(
            "--to, --via, --workers and --strategy are for an upgrade",
            resolution="clusterctl plan upgrade --to VERSION",
        )
    with open_session(begin="look") as session:
        if playbook == _UPGRADE:
            from clusterctl.actions.plan_upgrade import plan_upgrade
            from clusterctl.actions.upgrade import Way

            way = Way(to, via, workers, strategy)
            made = plan_upgrade(session, way, limit=limit, ignore=ignore, output=output)
        else:
            from clusterctl.actions.plan import plan_playbook

            made = plan_playbook(session, playbook, limit=limit, ignore=ignore, output=output)
    click.echo(json.dumps(made.as_json(), indent=2) if as_json else made.text(verbose=verbose, diff=diff))
    raise_all(made.unreached)
    if output:
        from clusterctl.actions.contracts import save_plan

        save_plan(output, made.plan, inventory=session.path, playbook=playbook, limit=limit, ignore=ignore)
        click.echo(f"Saved. To do exactly this: {session.call.command('run', shlex.quote(str(output)))}", err=True)
    if made.plan.blocked:
        click.get_current_context().exit(Refused.exit_code)
