"""``clusterctl verify``: prove that the cluster works."""

import json
from pathlib import Path

import click

from clusterctl.cli.opening import open_session
from clusterctl.cli.options import inventory_option, json_option, sudo_option, this_command
from clusterctl.cli.session import Session
from clusterctl.errors import NotVerified
from clusterctl.report.checks import Checks, checks_json, checks_text
from clusterctl.report.progress import Progress

# Small, on every registry's mirror, and with what the checks need: a shell, nginx and curl.
IMAGE = "docker.io/library/nginx:1.22"
DEADLINE = 300.0


@click.command()
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
    result: Checks
    if kubeconfig is None:
        with open_session() as session:
            result = session.verify(image=image, deadline=deadline, keep=keep, quick=quick)
    else:
        result = _verify_any(kubeconfig, image=image, deadline=deadline, keep=keep, quick=quick)
    click.echo(json.dumps(checks_json(result), indent=2) if as_json else checks_text(result))
    _judge(result, kubeconfig)


def prove(session: Session) -> None:
    """Use the cluster of ``session``, show what was seen, and raise NotVerified unless it passes."""
    result = session.verify(image=IMAGE, deadline=DEADLINE, keep=False, quick=False)
    click.echo(f"\n{checks_text(result)}")
    _judge(result, None)


def _judge(result: Checks, kubeconfig: Path | None) -> None:
    failed = [check.name for check in result.checks if not check.ok]
    if failed:
        raise NotVerified(
            f"the cluster does not pass: {', '.join(failed)}",
            resolution=f"look at what differs: {this_command('status')}; keep the pods to look at them: "
            f"{this_command('verify', '--keep')}"
            if kubeconfig is None
            else f"keep the pods to look at them: clusterctl verify --kubeconfig {kubeconfig} --keep",
        )


def _verify_any(kubeconfig: Path, *, image: str, deadline: float, keep: bool, quick: bool) -> Checks:
    """Use a cluster that no inventory describes. Raises InputError or KubernetesError."""
    from clusterctl.kube.connect.client import Kube
    from clusterctl.kube.verify import verify as cluster

    with Progress("verifying the cluster") as progress, Kube.from_file(kubeconfig) as kube:
        return cluster.verify(kube, progress.now, image=image, deadline=deadline, keep=keep, quick=quick)
