"""``clusterctl facts``: what is so on the hosts."""

import json

import click

from clusterctl.actions import facts as action
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import hosts_argument, inventory_option, json_option, sudo_option
from clusterctl.report.facts import facts_json, facts_text


@click.command(epilog="Example: clusterctl facts cp1 --json")
@hosts_argument
@inventory_option
@sudo_option
@json_option
def facts(hosts: tuple[str, ...], *, as_json: bool) -> None:
    """Show what is so on the hosts, and change nothing.

    Reads what the steps look at: system, swap, modules, packages, services, ports, and what kubeadm left.
    """
    with open_session() as session:
        found = action.facts(session, hosts)
    if as_json:
        click.echo(json.dumps({name: facts_json(facts) for name, facts in found.items()}, indent=2))
    else:
        click.echo("\n\n".join(facts_text(session.inventory.host(name), facts) for name, facts in found.items()))
