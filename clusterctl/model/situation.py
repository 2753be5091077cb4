"""What a check may look at: the desired state and the observed one, both frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.model.facts import ClusterFacts, HostFacts, NodeFacts
from clusterctl.model.inventory import Cluster, Host, Inventory
from clusterctl.model.places import ADMIN_CONF

if TYPE_CHECKING:
    from clusterctl.model.pods import Pods
    from clusterctl.model.survey import Survey


@dataclass(frozen=True, slots=True)
class Situation:
    """One host in its cluster at one moment.

    ``all_facts`` has an entry for every host of the inventory that was reached. ``api`` is None when there is
    no cluster yet or its API does not answer; ``api_problem`` then says why. ``surveys`` has what each host found
    of the network and its disk; it is empty when every host is a node already, or when nobody asked. ``pods`` is None
    when nobody asked, and when ``api`` is None.
    """

    inventory: Inventory
    host: Host
    all_facts: Mapping[str, HostFacts]
    api: ClusterFacts | None = None
    api_problem: str = ""
    surveys: Mapping[str, Survey] = field(default_factory=dict)
    pods: Pods | None = None

    @property
    def cluster(self) -> Cluster:
        """The desired cluster."""
        return self.inventory.cluster

    @property
    def facts(self) -> HostFacts:
        """The facts of this host."""
        return self.all_facts[self.host.name]

    @property
    def api_silent(self) -> bool:
        """Whether there is a cluster, and nothing is known of it: of use to steps that read the API."""
        return self.api is None and bool(self.founders)

    @property
    def founders(self) -> tuple[str, ...]:
        """The control planes, by their hosts' names, that have an administrator's kubeconfig: the cluster is there."""
        planes = (host.name for host in self.inventory.control_planes)
        return tuple(name for name in planes if name in self.all_facts and ADMIN_CONF in self.all_facts[name].paths)

    @property
    def node_name(self) -> str:
        """The name of this host's node: its host name in lower case, as kubeadm registers it."""
        return node_name(self.facts)

    @property
    def node(self) -> NodeFacts | None:
        """This host's node, None when it is not registered or the API does not answer."""
        return self.api.nodes.get(self.node_name) if self.api else None

    def node_of(self, host: Host) -> NodeFacts | None:
        """The node of any host; of one that was not reached, the node with its name or address."""
        if self.api is None or host.name not in self.all_facts:
            return find_node(host, self.api) if self.api else None
        return self.api.nodes.get(node_name(self.all_facts[host.name]))

    @property
    def node_address(self) -> str:
        """The address by which the other nodes reach this one; a host given by name has its first address."""
        return node_address(self.host, self.facts, self.cluster)

    @property
    def survey(self) -> Survey | None:
        """What this host found of the network and its disk, None when it was not asked."""
        return self.surveys.get(self.host.name)


def find_node(host: Host, cluster: ClusterFacts) -> NodeFacts | None:
    """The node of a host whose facts nobody has read: the one with its name, or with its address."""
    addresses = {host.address, host.internal_address}
    by_address = (node for node in cluster.nodes.values() if node.internal_address in addresses)
    return cluster.nodes.get(host.name.lower()) or next(by_address, None)


def node_name(facts: HostFacts) -> str:
    """The node's name of the host with these facts."""
    return facts.hostname.lower()


def node_address(host: Host, facts: HostFacts, cluster: Cluster) -> str:
    """The address by which the other nodes reach ``host``; a host given by name has its first address.

    It is of the same family as the services: a host that is logged in to over IPv6 may be a node of IPv4.
    """
    if host.internal_address:
        return host.internal_address
    fitting = [address for address in facts.addresses if (":" in address) == (":" in cluster.service_cidr)]
    if host.address in fitting:
        return host.address
    return fitting[0] if fitting else host.address
