"""What the inventory says of the endpoint: an address of its own that one of the control planes has."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What listens on a control plane already. kube-apiserver takes 6443 on every address, so nobody else can have it.
_HELD = {
    6443: "kube-apiserver",
    2379: "etcd",
    2380: "etcd",
    2381: "etcd",
    10250: "the kubelet",
    10256: "kube-proxy",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}
_NODE_PORTS = range(30000, 32768)


def contradictions(
    cluster: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What speaks against ``cluster.virtual_ip``, found in the raw data."""
    virtual_ip = address(cluster.get("virtual_ip"))
    if virtual_ip is None:
        return  # There is none, or the field's own check tells it.
    name, _, port = str(cluster.get("endpoint")).rpartition(":")
    there = address(name.strip("[]"))
    if there is not None and there != virtual_ip:
        yield ("cluster", "virtual_ip"), f"the endpoint has to be {virtual_ip}, or a name that resolves to it"
    number = int(port) if port.isdigit() else 0
    if number in _HELD or number in _NODE_PORTS:
        who = _HELD.get(number, "NodePort services")
        yield (
            ("cluster", "endpoint"),
            f"with virtual_ip HAProxy listens on the endpoint's port on the control planes, and {number} is taken by "
            f"{who} there; choose another, such as 8443",
        )
    for index, host in enumerate(hosts):
        for key in ("address", "internal_address"):
            if address(host.get(key)) == virtual_ip:
                yield ("hosts", index, key), f"{virtual_ip} is the cluster's virtual_ip, and no host's own address"


def address(text: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``text`` is, None when it is none."""
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None
