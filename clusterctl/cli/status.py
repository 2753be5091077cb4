"""``clusterctl status``: how the cluster is."""

import json

import click

from clusterctl.actions import status as action
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import inventory_option, json_option, sudo_option


@click.command(epilog="Example: clusterctl status --json")
@inventory_option
@sudo_option
@json_option
def status(*, as_json: bool) -> None:
    """Show the cluster's nodes and control plane beside the inventory.

    Asks the API and the hosts, and changes nothing. A host that does not answer is shown as such; one
    control plane has to answer.
    """
    with open_session() as session:
        shown = action.status(session)
    click.echo(json.dumps(shown.as_json(), indent=2) if as_json else shown.as_text())
