"""Who leads to which API server. Pure."""

import ipaddress
from collections.abc import Iterator

from clusterctl.model.inventory import Host
from clusterctl.model.situation import Situation, node_address


def reachable_at(situation: Situation, host: Host) -> str:
    """The address of a control plane's node; of one that was not looked at, what the inventory says; or nothing."""
    if host.name in situation.all_facts:
        return node_address(host, situation.all_facts[host.name], situation.cluster)
    address = host.internal_address or host.address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


def rotates(situation: Situation) -> bool:
    """Whether a HAProxy of ours can lead around this host's API server."""
    planes = situation.inventory.control_planes
    return bool(situation.cluster.virtual_ip) and situation.host in planes and len(planes) > 1


def haproxy_uses(situation: Situation) -> Iterator[tuple[str, bool | None]]:
    """For each control plane whether its HAProxy sends requests to this host; None when it cannot be asked."""
    for host in situation.inventory.control_planes:
        if host.name in situation.all_facts:
            unused = situation.all_facts[host.name].haproxy_unused
            yield host.name, None if unused is None else situation.host.name not in unused
