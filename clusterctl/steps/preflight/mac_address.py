"""Check the MAC address."""

from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.preflight.identity import have


class MacAddress(Finding):
    """The network interface of the node's address has a MAC address of its own."""

    name = "preflight/mac-address"
    title = "Check the MAC address"

    def find(self, situation: Situation) -> Verdict:
        """Only the interface that carries the node's address: virtual ones may be alike everywhere."""
        link = situation.facts.links.get(situation.node_address)
        if link is None or not link.mac:
            return Satisfied("the interface has none")
        twins = sorted(
            name
            for name, facts in situation.all_facts.items()
            if name != situation.host.name
            and (other := facts.links.get(node_address(situation.inventory.host(name), facts, situation.cluster)))
            and other.mac == link.mac
        )
        if twins:
            return Blocked(
                f"{have(twins)} the same MAC address, {link.mac}",
                "let the hypervisor make a new one for the clone's network adapter",
            )
        return Satisfied(f"{link.name} has {link.mac}")
