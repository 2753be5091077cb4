"""Check the networks of pods and services."""

import ipaddress
from collections.abc import Iterator

from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding
from clusterctl.steps.preflight.network import Network, inside, network_of, overlap

# Interfaces of a pod network that is there already, ours or one that preflight/leftovers tells.
_POD_DEVICES = ("cni", "flannel", "cali", "vxlan.calico", "tunl", "kube-ipvs")


class Cidrs(Finding):
    """The networks of pods and services are used by nothing else that the host talks to."""

    name = "preflight/cidrs"
    title = "Check the networks of pods and services"

    def find(self, situation: Situation) -> Verdict:
        """Against routes, name servers and the addresses of all hosts; a node has routes for pods already."""
        if is_node(situation):
            return A_NODE
        clashes = []
        for key in ("pod_cidr", "service_cidr"):
            network = ipaddress.ip_network(getattr(situation.cluster, key))
            clashes += [f"{key} {network} {what}" for what in _clashes(situation, network)]
        if clashes:
            return Blocked(
                "; ".join(clashes),
                "set cluster.pod_cidr and cluster.service_cidr to networks that nothing else uses; see: ip route",
            )
        return Satisfied("in nobody's way")


def _clashes(situation: Situation, network: Network) -> Iterator[str]:
    for route in situation.facts.routes:
        other = network_of(route.destination)
        if other and overlap(network, other) and not route.device.startswith(_POD_DEVICES):
            yield f"overlaps the route to {other}" + (f" on {route.device}" if route.device else "")
    for server in situation.facts.nameservers:
        if inside(server, network):
            yield f"contains the name server {server}"
    for name, facts in situation.all_facts.items():
        address = node_address(situation.inventory.host(name), facts, situation.cluster)
        if inside(address, network):
            yield f"contains {address}, the address of {name}"
