"""Findings about several control planes, and about the address that one of them has for all."""

import ipaddress

from clusterctl.model.endpoint import address
from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.endpoint import KEEPALIVED_SERVICE
from clusterctl.steps.finding import Finding


class ControlPlanes(Finding):
    """The control planes can lose one of them, and the endpoint as well."""

    name = "preflight/control-planes"
    title = "Check the number of control planes"

    def find(self, situation: Situation) -> Verdict:
        """An odd number for etcd, and an endpoint that belongs to none of them."""
        inventory = situation.inventory
        count = len(inventory.control_planes)
        if situation.host != inventory.first_control_plane:
            return Satisfied("looked at once, for the first control plane")
        if count == 1:
            return Satisfied("one control plane")
        warnings = []
        if count % 2 == 0:
            warnings.append(
                f"etcd on {count} control planes may lose {(count - 1) // 2} of them, no more than on {count - 1}"
            )
        where = address(situation.cluster.endpoint.rpartition(":")[0].strip("[]"))
        for host in inventory.control_planes:
            facts = situation.all_facts.get(host.name)
            if facts and where is not None and address(node_address(host, facts, situation.cluster)) == where:
                warnings.append(
                    f"the endpoint is {host.name}'s own address: without it nobody reaches the API; see virtual_ip"
                )
        return Satisfied("; ".join(warnings) or f"{count} control planes", warning=bool(warnings))


class VirtualIp(Finding):
    """The virtual IP is free or held by one control plane, and every control plane could hold it."""

    name = "preflight/virtual-ip"
    title = "Check the virtual IP"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """Interfaces, routes, and who answers on the local network."""
        wanted, host, facts = situation.cluster.virtual_ip, situation.host, situation.facts
        if wanted is None:
            return Satisfied("none is wanted")
        holders = [name for name, each in situation.all_facts.items() if wanted in each.addresses]
        if host.name in holders:
            return _held(situation, wanted, holders)
        if host.role != "control-plane":
            return Satisfied("the control planes' matter")
        link = facts.links.get(situation.node_address)
        networks = [route.destination for route in facts.routes if link and route.device == link.name]
        if link and not any(_contains(network, wanted) for network in networks):
            return Blocked(
                f"{wanted} is in no network of {link.name}, which has {', '.join(networks) or 'none'}",
                "set cluster.virtual_ip to an unused address of the subnet that the control planes share",
            )
        survey = situation.survey
        if not holders and survey is not None and survey.virtual_ip_owner:
            return Blocked(
                f"something on the network has {wanted} already: {survey.virtual_ip_owner} answers for it",
                f"choose an unused address; ip neigh show {wanted} on {host.name} shows who has it",
            )
        return Satisfied(f"{holders[0]} has {wanted}" if holders else f"{wanted} is free")


def _held(situation: Situation, wanted: str, holders: list[str]) -> Verdict:
    """The verdict on a host that has the address."""
    host, service = situation.host, situation.facts.services.get(KEEPALIVED_SERVICE)
    if host.role != "control-plane" or service is None or service.active != "active":
        return Blocked(
            f"an interface of {host.name} has {wanted}, and keepalived did not put it there",
            f"take it out of {host.name}'s network configuration, or choose another address",
        )
    if len(holders) > 1:
        return Blocked(
            f"{' and '.join(holders)} have {wanted} at the same time: they do not hear each other",
            "let VRRP, the IP protocol 112, pass between the control planes: sudo nft list ruleset; sudo ufw status",
        )
    return Satisfied(f"{host.name} has {wanted}")


def _contains(network: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(wanted) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
