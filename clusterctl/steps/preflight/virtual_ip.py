"""Check the virtual IP."""

import ipaddress

from clusterctl.model.places import KEEPALIVED_SERVICE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding


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
