"""``clusterctl bootstrap``: from machines that answer SSH to a cluster."""

from pathlib import Path

import click

from clusterctl.cli.opening import open_session
from clusterctl.cli.options import ignore_option, inventory_option, limit_option, log_option, sudo_option, this_command


@click.command()
@inventory_option
@sudo_option
@limit_option
@ignore_option
@click.option("--yes", is_flag=True, help="Do what the plan shows without asking.")
@log_option
@click.option("--diff", is_flag=True, help="Show what would change in files.")
@click.option("-v", "--verbose", is_flag=True, help="Show the steps that are satisfied as well.")
def bootstrap(
    *, limit: tuple[str, ...], ignore: tuple[str, ...], log: Path | None, yes: bool, diff: bool, verbose: bool
) -> None:
    """Make a Kubernetes cluster of the hosts in the inventory.

    Shows the plan, asks, and does it; each step is proved before the next one begins. Run it again after any
    failure: what is done stays done. Ends with 3 before anything changes when a step is blocked.
    """
    with open_session(begin="connect") as session:
        from clusterctl.cli.playbooks import ignoring, playbook
        from clusterctl.cli.running import run_playbook

        book = ignoring(playbook("bootstrap"), ignore)
        if not run_playbook(
            session,
            book,
            again=this_command("bootstrap"),
            limit=limit,
            ignore=ignore,
            log=log,
            yes=yes,
            diff=diff,
            verbose=verbose,
        ):
            click.echo("Nothing to do: the cluster is as the inventory wants it.")
            return
    click.echo("\nThe cluster is there. What to type next:")
    click.echo(f"  {this_command('kubeconfig', '--output', 'admin.conf')}")
    click.echo(f"  {this_command('status')}")
    click.echo(f"  {this_command('verify')}")
