"""Check the node's address."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding


class Address(Finding):
    """The address that the inventory gives for traffic between nodes is on this host."""

    name = "preflight/address"
    title = "Check the node's address"

    def find(self, situation: Situation) -> Verdict:
        """An ``internal_address`` has to be on an interface."""
        facts, address = situation.facts, situation.node_address
        if address not in facts.addresses:
            return Blocked(
                f"no interface carries {address}; there are {', '.join(facts.addresses) or 'none'}",
                f"set internal_address of {situation.host.name} to one of them",
            )
        return Satisfied(address)
