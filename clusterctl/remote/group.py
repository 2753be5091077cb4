"""A Fabric Group of an inventory's hosts, for whoever has a fabfile."""

from collections.abc import Sequence

from clusterctl.model.inventory import Host
from clusterctl.remote.connection import Connection
from clusterctl.remote.fleet import Fleet

# isort: split
import fabric


class HostGroup(fabric.ThreadingGroup):  # type: ignore[misc]  # Fabric has no types.
    """The hosts' connections, whose verbs run on all of them at once; it closes as a context manager.

    ``config`` are Fabric's settings for all of them.
    """

    def __init__(self, fleet: Fleet, hosts: Sequence[Host], config: "fabric.Config | None" = None) -> None:
        super().__init__()
        self._fleet = fleet
        self.extend(Connection(host, fleet.login, fleet.bastions).fabric(config) for host in hosts)

    def close(self) -> None:
        """Close the connections, and those to the bastions."""
        super().close()
        self._fleet.close()
