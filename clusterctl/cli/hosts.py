"""``clusterctl hosts``: which host keys we trust."""

import json

import click

from clusterctl.actions.trust import looks
from clusterctl.cli.ask import confirm
from clusterctl.cli.context import inventory_path
from clusterctl.cli.options import hosts_argument, inventory_option, json_option, this_call
from clusterctl.model.inventory import load_inventory
from clusterctl.model.words import count
from clusterctl.report.tables import table
from clusterctl.report.words import names


@click.group(epilog="Example: clusterctl hosts trust")
@inventory_option
def hosts() -> None:
    """Know the hosts by their SSH keys."""


@hosts.command(epilog="Example: clusterctl hosts trust")
@hosts_argument
@inventory_option
@click.option("--yes", is_flag=True, help="Trust the keys without asking.")
@click.option("--replace", is_flag=True, help="Forget the key that a host had before, after a new installation.")
@json_option
def trust(hosts: tuple[str, ...], *, yes: bool, replace: bool, as_json: bool) -> None:
    """Show the keys of the hosts, ask, and record them as known.

    Reads the keys over the network, without logging in. Compare the fingerprints with what each machine's
    console or your provider shows. Keys that two hosts share are refused: one machine is a copy of the other.
    """
    inventory = load_inventory(inventory_path())
    told: list[dict[str, object]] = []
    for look in looks(inventory, hosts, this_call()):
        if not as_json:
            for line in table(look.rows()):
                click.echo(line)
        look.refuse_doubtful(replace=replace)
        new = look.to_record
        if new:
            confirm(f"Do you trust the keys of {names([shown.way.name for shown in new])}?", yes=yes)
            look.record()
        told += look.as_json()
        if new and not as_json:
            click.echo(f"Recorded {count(len(new), 'host')} in {look.path}.")
        elif look.shown and not as_json:
            click.echo(f"Nothing to record: {look.path} has them already.")
        if look.unreachable:
            break
    if as_json:
        click.echo(json.dumps(told, indent=2))
    look.raise_unreachable()
