"""``clusterctl render``: what a step would send to a host."""

import click

from clusterctl.actions import render as action
from clusterctl.actions.playbooks import step as step_called
from clusterctl.cli.completing import HOST, STEPS
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import inventory_option, sudo_option


@click.command(epilog="Example: clusterctl render os/sysctl --host w1")
@click.argument("step", type=STEPS)
@click.option("--host", "host_name", type=HOST, metavar="HOST", required=True, help="The host to render for.")
@inventory_option
@sudo_option
def render(step: str, *, host_name: str) -> None:
    """Print what a step would run and write on a host.

    Looks at the hosts as they are now, and changes nothing. Secrets are never part of it.
    """
    wanted = step_called(step)
    with open_session() as session:
        text = action.render(session, wanted, host_name)
    if text:
        click.echo(text.rstrip("\n"))
    else:
        click.echo(f"{wanted.name} runs nothing on {host_name}: it checks or waits.", err=True)
