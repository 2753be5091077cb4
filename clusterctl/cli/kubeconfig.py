"""``clusterctl kubeconfig``: the administrator's way into the cluster."""

from pathlib import Path

import click

from clusterctl.actions.kubeconfig import write
from clusterctl.cli.opening import open_session
from clusterctl.cli.options import inventory_option, sudo_option


@click.command(epilog="Example: clusterctl kubeconfig -o ~/.kube/config")
@inventory_option
@sudo_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to FILE.")
@click.option("--force", is_flag=True, help="Overwrite FILE even when it is another cluster's.")
def kubeconfig(*, output: Path | None, force: bool) -> None:
    """Fetch the administrator's kubeconfig of the cluster.

    Reads it on a control plane and prints it, or writes FILE, which only you may read. Whoever has it
    may do anything in the cluster.
    """
    with open_session() as session:
        content = session.admin_conf()
    if output is None:
        click.echo(content.reveal().rstrip("\n"))
        return
    write(output, content, force=force)
    click.echo(f"Wrote {output}. Use it: export KUBECONFIG={output.absolute()}", err=True)
