"""A fabfile for the hosts of an inventory: fab --list; fab uptime --inventory inventory.yaml --role worker"""

from fabric import task

import clusterctl


@task
def uptime(context, inventory="inventory.yaml", role="worker"):
    """Ask every host for how long it runs."""
    with clusterctl.connections(clusterctl.load(inventory), role) as group:
        for connection, result in group.run("uptime -p", hide=True).items():
            print(f"{connection.original_host}: {result.stdout.strip()}")


@task
def fetch(context, path, inventory="inventory.yaml", role="worker"):
    """Copy a file of every host into a folder named after it."""
    with clusterctl.connections(clusterctl.load(inventory), role) as group:
        for connection in group:
            connection.get(path, f"{connection.original_host}/")
