"""``clusterctl inventory``: the file that says what the cluster shall be."""

import json

import click

from clusterctl.cli.context import inventory_path
from clusterctl.cli.options import inventory_option, json_option
from clusterctl.model.inventory import load_inventory
from clusterctl.model.inventory.schema import inventory_schema
from clusterctl.remote.way import Way, Ways
from clusterctl.report.tables import table


@click.group(epilog="Example: clusterctl inventory check")
@inventory_option
def inventory() -> None:
    """Read the inventory and name every mistake in it."""


@inventory.command(epilog="Example: clusterctl inventory schema > inventory.schema.json")
def schema() -> None:
    """Print the JSON Schema of the inventory, for editors.

    With the YAML language server, the first line of an inventory may name the file that it was written to:
    `# yaml-language-server: $schema=inventory.schema.json`.
    """
    click.echo(json.dumps(inventory_schema(), indent=2))


@inventory.command(epilog="Example: clusterctl -i prod.yaml inventory check")
@inventory_option
@json_option
def check(*, as_json: bool) -> None:
    """Read the inventory without touching a host, and name every mistake in it.

    Ends with 2 when there is a mistake; each is told with its line and its path.
    """
    path = inventory_path()
    read = load_inventory(path)
    if as_json:
        click.echo(json.dumps(read.model_dump(mode="json"), indent=2))
        return
    cluster = read.cluster
    click.echo(f"{path}: no mistakes")
    click.echo(f"  cluster {cluster.name}, Kubernetes {cluster.kubernetes}, endpoint {cluster.endpoint}")
    click.echo(f"  pods {cluster.pod_cidr}, services {cluster.service_cidr}")
    version = f" {cluster.network.version}" if cluster.network.plugin != "manifests" else " of the inventory"
    click.echo(f"  network {cluster.network.plugin}{version}")
    ways = Ways(read.ssh)
    for line in table([(host.name, host.role, _way(ways.to(host))) for host in read.hosts]):
        click.echo(f"  {line}")


def _way(way: Way) -> str:
    return " through ".join(str(each) for each in (way, *reversed(way.bastions)))
