"""``clusterctl verify``: prove that the cluster works."""

import json
from pathlib import Path
from typing import Any

import click

from clusterctl.actions import verify as action
from clusterctl.actions.verify import DEADLINE, IMAGE
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import inventory_option, json_option, sudo_option
from clusterctl.report.checks import checks_json, checks_text


@click.command(epilog="Example: clusterctl verify --quick")
@inventory_option
@sudo_option
@click.option("--image", default=IMAGE, show_default=True, help="For the pods; with a shell, nginx, and curl or wget.")
@click.option(
    "--deadline", type=click.FloatRange(min=1), default=DEADLINE, metavar="SECONDS", help="For all checks; 300."
)
@click.option("--keep", is_flag=True, help="Leave the namespaces with the pods there, to look at.")
@click.option("--quick", is_flag=True, help="Nodes, system pods, pod network, a Service and DNS alone.")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Any cluster, by a kubeconfig alone; no inventory is read.",
)
@json_option
def verify(*, image: str, deadline: float, keep: bool, quick: bool, kubeconfig: Path | None, as_json: bool) -> None:
    """Prove that the cluster works, by using it.

    Looks at nodes and system pods. Then pods on every node reach each other directly, through Services of every
    kind, and by name, also across namespaces. Then a pod is deleted, and the pods are updated and rolled back,
    while every node keeps asking them: no request may be lost. All of it happens in two namespaces that are
    removed at the end. Ends with 7 when a check fails.
    """
    wanted: dict[str, Any] = {"image": image, "deadline": deadline, "keep": keep, "quick": quick}
    if kubeconfig is None:
        with open_session() as session:
            result = action.verify(session, **wanted)
        resolution = action.look_at(session)
    else:
        result = action.verify_any(kubeconfig, **wanted)
        resolution = f"keep the pods to look at them: clusterctl verify --kubeconfig {kubeconfig} --keep"
    click.echo(json.dumps(checks_json(result), indent=2) if as_json else checks_text(result))
    action.judge(result, resolution)
