"""The whole inventory: one cluster, how to log in, and its hosts."""

from collections.abc import Mapping

from pydantic import ValidationError

from clusterctl.errors import InputError
from clusterctl.model.inventory.cluster import Cluster
from clusterctl.model.inventory.drain import DrainOptions
from clusterctl.model.inventory.hosts import Host, Role
from clusterctl.model.inventory.ssh import Ssh
from clusterctl.model.inventory.strict import Strict


class Inventory(Strict):
    """The whole file: one cluster, how to log in, and its hosts."""

    cluster: Cluster
    ssh: Ssh = Ssh.model_construct()
    hosts: tuple[Host, ...]

    @property
    def control_planes(self) -> tuple[Host, ...]:
        """The hosts with the role ``control-plane``, in the inventory's order."""
        return tuple(host for host in self.hosts if host.role == "control-plane")

    @property
    def workers(self) -> tuple[Host, ...]:
        """The hosts with the role ``worker``, in the inventory's order."""
        return tuple(host for host in self.hosts if host.role == "worker")

    @property
    def nodes(self) -> tuple[Host, ...]:
        """The hosts that shall be nodes of the cluster: all but spares, of which nothing is asked."""
        return tuple(host for host in self.hosts if host.role != "spare")

    @property
    def pool(self) -> tuple[Host, ...]:
        """The hosts that may be workers: those that are, and the spares."""
        return tuple(host for host in self.hosts if host.role != "control-plane")

    @property
    def first_control_plane(self) -> Host:
        """The host on which ``kubeadm init`` runs."""
        return self.control_planes[0]

    def host(self, name: str) -> Host:
        """Return the host called ``name``.

        Raises InputError, with the names that exist, when there is none.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        raise InputError(
            f"the inventory has no host {name!r}",
            resolution=f"use one of: {', '.join(host.name for host in self.hosts)}",
        )


def with_roles(inventory: Inventory, roles: Mapping[str, Role]) -> Inventory:
    """The inventory with other roles for the hosts that ``roles`` names."""
    hosts = tuple(host.model_copy(update={"role": roles.get(host.name, host.role)}) for host in inventory.hosts)
    return inventory.model_copy(update={"hosts": hosts})


def with_drain(inventory: Inventory, changes: Mapping[str, bool | int]) -> Inventory:
    """The inventory with ``changes`` in its ``cluster.drain``. Raises InputError for a value that cannot be."""
    if not changes:
        return inventory
    try:
        options = DrainOptions.model_validate({**inventory.cluster.drain.model_dump(), **changes})
    except ValidationError as error:
        problems = [f"--{str(each['loc'][0]).replace('_', '-')}: {each['msg']}" for each in error.errors()]
        raise InputError("the options of the drain cannot be", details="\n".join(problems)) from error
    return inventory.model_copy(update={"cluster": inventory.cluster.model_copy(update={"drain": options})})
