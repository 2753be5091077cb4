"""What the survey asks: which ports each host holds meanwhile, and what the hosts that are to join try."""

from collections.abc import Iterator, Mapping, Sequence

from clusterctl.model.facts import HostFacts
from clusterctl.model.inventory import CalicoNetwork, Cluster, FlannelNetwork, Host, Inventory
from clusterctl.model.inventory.endpoint import address
from clusterctl.model.places import KUBELET_CONF
from clusterctl.model.situation import node_address
from clusterctl.rules import proxy

API_SERVER, ETCD, KUBELET, TYPHA = 6443, (2379, 2380), 10250, 5473
_VXLAN = {"flannel": 8472, "calico": 4789}
_FLANNEL_REGISTRY, _CALICO_REGISTRY = "ghcr.io", "quay.io"
_ENCAPSULATION = 50
# The listeners end by themselves after so many seconds; the survey ends them as soon as it is through.
_SECONDS = 25
# In a large cluster each host tries the control planes and so many of the others, each of which is tried by as many.
_PEERS = 24

_Values = dict[str, dict[str, object]]


def listening(inventory: Inventory, facts: Mapping[str, HostFacts]) -> _Values:
    """The values of the mode ``listen`` for each host; empty when every host is a node already."""
    if all(_joined(each) for each in facts.values()):
        return {}
    return {
        host.name: {
            "name": host.name,
            "address": node_address(host, facts[host.name], inventory.cluster),
            "seconds": _SECONDS,
            "ports": _ports(host, inventory.cluster),
        }
        for host in inventory.hosts
        if host.name in facts
    }


def asking(inventory: Inventory, facts: Mapping[str, HostFacts], bound: Mapping[str, frozenset[str]]) -> _Values:
    """The values of the mode ``ask`` for each host that is to join.

    ``bound`` are the ports that the hosts' listeners could hold. Where they could not, a component of Kubernetes
    may have the port; TCP is tried all the same, UDP would not be answered.
    """
    values: _Values = {}
    for host in inventory.hosts:
        if host.name not in facts or _joined(facts[host.name]):
            continue
        tasks = [
            word
            for peer in _peers(inventory, facts, host)
            for task in _tasks(inventory, facts, host, peer, bound)
            for word in task
        ]
        values[host.name] = {
            "tasks": tasks,
            "endpoint": _endpoint(inventory, facts),
            "virtual_ip": _free_virtual_ip(inventory, facts) if host.role == "control-plane" else "",
            "registries": _registries(inventory.cluster),
            "environment": tuple(proxy.environment(inventory.cluster).items()),
            "fsync": "/var/lib/etcd" if host.role == "control-plane" else "",
        }
    return values


def _ports(host: Host, cluster: Cluster) -> list[str]:
    tcp = [KUBELET]
    if host.role == "control-plane":
        tcp += [API_SERVER, *ETCD, *_load_balancer(cluster)]
    if isinstance(cluster.network, CalicoNetwork):
        tcp.append(TYPHA)
    vxlan = _VXLAN.get(cluster.network.plugin)
    return [*(f"tcp/{port}" for port in tcp), *([f"udp/{vxlan}"] if vxlan else [])]


def _tasks(
    inventory: Inventory,
    facts: Mapping[str, HostFacts],
    host: Host,
    peer: Host,
    bound: Mapping[str, frozenset[str]],
) -> Iterator[tuple[str, str, str, str, str]]:
    """What ``host`` tries of ``peer``: kind, peer, address, port, and what else the kind needs."""
    address = node_address(peer, facts[peer.name], inventory.cluster)
    held = bound.get(peer.name, frozenset())
    needed = [API_SERVER, *_load_balancer(inventory.cluster)] if peer.role == "control-plane" else []
    if host.role == "control-plane":
        needed += [*(ETCD if peer.role == "control-plane" else ()), KUBELET]
    if isinstance(inventory.cluster.network, CalicoNetwork):
        needed.append(TYPHA)
    for port in needed:
        ours = f"tcp/{port}" in held
        if ours or (_joined(facts[peer.name]) and port not in (TYPHA, *ETCD)):
            yield "tcp", peer.name, address, str(port), "1" if ours else "0"
    for name in sorted(held):
        protocol, _, port_text = name.partition("/")
        if protocol == "udp":
            yield "udp", peer.name, address, port_text, str(_packet(inventory.cluster, host, facts[host.name]))


def _packet(cluster: Cluster, host: Host, facts: HostFacts) -> int:
    """The largest packet that VXLAN makes: as large as the interface allows, unless the inventory gives pods an MTU."""
    network = cluster.network
    if isinstance(network, CalicoNetwork) and isinstance(network.mtu, int):
        return network.mtu + _ENCAPSULATION
    link = facts.links.get(node_address(host, facts, cluster))
    return link.mtu if link else 1500


def _peers(inventory: Inventory, facts: Mapping[str, HostFacts], host: Host) -> Sequence[Host]:
    """The control planes, and the next hosts after ``host`` in the order of the inventory."""
    hosts = [each for each in inventory.hosts if each.name in facts]
    at = hosts.index(host)
    others = [*hosts[at + 1 :], *hosts[:at]]
    near = {each.name for each in others[:_PEERS]}
    return [each for each in others if each.role == "control-plane" or each.name in near]


def _endpoint(inventory: Inventory, facts: Mapping[str, HostFacts]) -> tuple[str, ...]:
    """The endpoint's name and port, and 1 when our own listeners have to answer there: there is no cluster yet.

    A virtual IP that no control plane has yet is not asked; a name for it has to resolve all the same.
    """
    cluster = inventory.cluster
    name, _, port = cluster.endpoint.rpartition(":")
    if address(name.strip("[]")) and _free_virtual_ip(inventory, facts):
        return ()
    cluster_is_there = any(_joined(facts[host.name]) for host in inventory.control_planes if host.name in facts)
    return name.strip("[]"), port, "0" if cluster_is_there or cluster.virtual_ip else "1"


def _free_virtual_ip(inventory: Inventory, facts: Mapping[str, HostFacts]) -> str:
    """The virtual IP, as long as no host has it."""
    wanted = inventory.cluster.virtual_ip or ""
    return "" if any(wanted in each.addresses for each in facts.values()) else wanted


def _load_balancer(cluster: Cluster) -> tuple[int, ...]:
    """The port that HAProxy will have on control planes."""
    return (int(cluster.endpoint.rpartition(":")[2]),) if cluster.virtual_ip else ()


def _registries(cluster: Cluster) -> list[tuple[str, ...]]:
    """Each registry, followed by the addresses at which it may answer."""
    names = [cluster.sources.images.partition("/")[0]]
    if isinstance(cluster.network, CalicoNetwork):
        names.append((cluster.network.registry or _CALICO_REGISTRY).partition("/")[0])
    elif isinstance(cluster.network, FlannelNetwork):
        names.append(_FLANNEL_REGISTRY)
    found = []
    for name in dict.fromkeys(names):
        settings = cluster.sources.registries.get(name)
        mirrors = [mirror.rstrip("/").removesuffix("/v2") for mirror in settings.mirrors] if settings else []
        scheme = "http" if settings and settings.http else "https"
        found.append((name, *mirrors, f"{scheme}://{name}"))
    return found


def _joined(facts: HostFacts) -> bool:
    return KUBELET_CONF in facts.paths
