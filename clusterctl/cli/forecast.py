"""``clusterctl forecast``: what draining nodes would meet."""

import json

import click

from clusterctl.actions import forecast as action
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import hosts_argument, inventory_option, json_option, sudo_option
from clusterctl.errors import Refused
from clusterctl.report.forecast import forecast_json, forecast_text, is_held


@click.command(epilog="Example: clusterctl forecast w1 w2")
@hosts_argument
@inventory_option
@sudo_option
@json_option
def forecast(hosts: tuple[str, ...], *, as_json: bool) -> None:
    """Show what draining the nodes would meet, and move nothing.

    For each node: which pods move, which are held and by what, which would find no other node, what is interrupted or
    lost although no rule forbids it, and how long it may take. The API server is asked whether it would evict each
    pod; none is evicted. Ends with 3 when a node cannot be drained as it is.
    """
    with open_session() as session:
        found = action.forecast(session, hosts)
    earlier = action.drain_seconds()
    if as_json:
        click.echo(json.dumps(forecast_json(found, earlier=earlier), indent=2))
    else:
        click.echo(forecast_text(found, earlier=earlier))
    if any(is_held(each) for each in found):
        click.get_current_context().exit(Refused.exit_code)
