"""What no single field of the inventory shows, found in the raw data."""

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from clusterctl.model.inventory import components, endpoint
from clusterctl.model.inventory.cluster import Cluster
from clusterctl.model.inventory.network import pool_problem
from clusterctl.model.inventory.values import address

Place = tuple[str | int, ...]


def contradictions(data: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """What no single field shows, found in the raw data, so that it is told together with the rest."""
    raw = data.get("hosts")
    hosts = [host if isinstance(host, dict) else {} for host in raw] if isinstance(raw, list) else []
    for key, normal in (("name", str.lower), ("address", _same), ("internal_address", _same)):
        seen = Counter(normal(str(host[key])) for host in hosts if host.get(key))
        for index, host in enumerate(hosts):
            if host.get(key) and seen[normal(str(host[key]))] > 1:
                yield ("hosts", index, key), f"{host[key]} is used by more than one host"
    control_planes = [index for index, host in enumerate(hosts) if host.get("role") == "control-plane"]
    if isinstance(raw, list) and not control_planes:
        yield ("hosts",), "at least one host needs the role control-plane"
    cluster = data.get("cluster")
    if isinstance(cluster, dict):
        yield from _families(cluster, hosts)
        yield from endpoint.contradictions(cluster, hosts)
        yield from _overlap(cluster)
        yield from components.contradictions(cluster)
        yield from _pools(cluster)


def _same(text: str) -> str:
    """An address as it is compared: the same one may be written in several ways."""
    with suppress(ValueError):
        return address(text)
    return text


def _overlap(cluster: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    defaults = Cluster.model_fields
    try:
        pods, services = (
            ipaddress.ip_network(cluster.get(key, defaults[key].default)) for key in ("pod_cidr", "service_cidr")
        )
    except ValueError:
        return  # The field's own check tells it.
    if pods.version == services.version and pods.overlaps(services):
        yield ("cluster", "pod_cidr"), f"{pods} overlaps the service_cidr {services}"
    virtual_ip = endpoint.address(cluster.get("virtual_ip"))
    for key, network in (("pod_cidr", pods), ("service_cidr", services)):
        if virtual_ip is not None and virtual_ip in network:
            yield ("cluster", "virtual_ip"), f"{virtual_ip} is in the {key} {network}"


def _families(cluster: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Place, str]]:
    """Pods, services and nodes are all of IPv4 or all of IPv6; kubeadm refuses anything else, late."""
    version = _version_of(cluster.get("service_cidr", Cluster.model_fields["service_cidr"].default))
    if version is None:
        return
    given = {"pod_cidr": Cluster.model_fields["pod_cidr"].default, **cluster}
    for key in ("pod_cidr", "virtual_ip"):
        if _version_of(given.get(key)) not in (None, version):
            yield ("cluster", key), f"must be of IPv{version}, as the service_cidr is"
    for index, host in enumerate(hosts):
        if _version_of(host.get("internal_address")) not in (None, version):
            yield ("hosts", index, "internal_address"), f"must be of IPv{version}, as the service_cidr is"


def _version_of(network: object) -> int | None:
    try:
        return ipaddress.ip_network(str(network)).version
    except ValueError:
        return None


def _pools(cluster: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Calico hands out addresses of any pool; nodes and kube-proxy expect those of the pod_cidr."""
    place: Place = ("network", "installation", "calicoNetwork", "ipPools")
    pools: Any = cluster
    for part in place:
        pools = pools.get(part) if isinstance(pools, dict) else None
    try:
        pods = ipaddress.ip_network(cluster.get("pod_cidr", Cluster.model_fields["pod_cidr"].default))
    except ValueError:
        return
    for index, pool in enumerate(pools if isinstance(pools, list) else []):
        problem = pool_problem(str(pool.get("cidr", "")) if isinstance(pool, dict) else "", str(pods))
        if problem:
            yield ("cluster", *place, index), problem
