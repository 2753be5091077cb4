"""``clusterctl plan``: what a playbook would do."""

import json
import shlex
from pathlib import Path

import click

from clusterctl.cli.contracts import save_plan
from clusterctl.cli.options import ignore_option, inventory_option, json_option, limit_option, sudo_option, this_command
from clusterctl.cli.playbooks import any_playbook, ignoring
from clusterctl.cli.session import open_session, raise_all
from clusterctl.errors import Refused
from clusterctl.report.plan import plan_text


@click.command()
@click.argument("playbook")
@inventory_option
@sudo_option
@limit_option
@ignore_option
@click.option("--diff", is_flag=True, help="Show what would change in files.")
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
    """
    book = ignoring(any_playbook(playbook), ignore)
    with open_session() as session:
        book = book.limited(limit, session.inventory)
        made = session.plan(book, texts=output is not None, partial=True)
        walking = {host.name for host in book.hosts(session.inventory)}
        unreached = {name: error for name, error in session.unreached.items() if name in walking}
    if as_json:
        click.echo(json.dumps(made.as_json(), indent=2))
    else:
        click.echo(plan_text(made, verbose=verbose, diff=diff))
    raise_all(unreached)
    if output:
        save_plan(output, made, playbook=playbook, limit=limit, ignore=ignore)
        click.echo(f"Saved. To do exactly this: {this_command('run', shlex.quote(str(output)))}", err=True)
    if made.blocked:
        click.get_current_context().exit(Refused.exit_code)
