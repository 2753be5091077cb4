"""Networks and addresses as findings compare them. Pure."""

import ipaddress

from clusterctl.model.verdict import Satisfied

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NOT_ASKED = Satisfied("not asked")


def network_of(text: str) -> Network | None:
    """The network that ``text`` is, None when it is none."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def overlap(one: Network, other: Network) -> bool:
    """Whether two networks share addresses."""
    return one.version == other.version and one.overlaps(other)


def inside(address: str, network: Network) -> bool:
    """Whether ``network`` contains an address, which may name its interface."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False
