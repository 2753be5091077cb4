"""The proxy: who is told of it, and what is reached without it. Pure."""

import ipaddress
from collections.abc import Iterator

from clusterctl.model.inventory import Cluster
from clusterctl.model.situation import Situation, node_address

_LOCAL = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local")


def environment(cluster: Cluster) -> dict[str, str]:
    """The variables by which programs on a host find the way out; empty without a proxy."""
    return _variables(cluster, (*_LOCAL, cluster.pod_cidr, cluster.service_cidr))


def control_plane_environment(situation: Situation) -> dict[str, str]:
    """The same for kubeadm, which hands it on to the control plane's pods: these also reach the nodes directly.

    A node counts with the network of its interface, so that one which joins later is reached as well.
    """
    cluster = situation.cluster
    endpoint = cluster.endpoint.rpartition(":")[0].strip("[]")
    return _variables(
        cluster, (*_LOCAL, cluster.pod_cidr, cluster.service_cidr, endpoint, *sorted(set(_nodes(situation))))
    )


def _variables(cluster: Cluster, direct: tuple[str, ...]) -> dict[str, str]:
    if cluster.proxy is None:
        return {}
    no_proxy = ",".join(dict.fromkeys((*direct, *cluster.proxy.no_proxy)))
    named = {"http_proxy": cluster.proxy.http, "https_proxy": cluster.proxy.https, "no_proxy": no_proxy}
    lower = {name: value for name, value in named.items() if value}
    return lower | {name.upper(): value for name, value in lower.items()}


def _nodes(situation: Situation) -> Iterator[str]:
    for host in situation.inventory.hosts:
        facts = situation.all_facts.get(host.name)
        address = node_address(host, facts, situation.cluster) if facts else host.internal_address or host.address
        yield address
        link = facts.links.get(address) if facts else None
        if facts is None or link is None:
            continue
        for route in facts.routes:
            if route.device == link.name and "/" in route.destination:
                network = ipaddress.ip_network(route.destination, strict=False)
                if ipaddress.ip_address(address) in network:
                    yield str(network)
