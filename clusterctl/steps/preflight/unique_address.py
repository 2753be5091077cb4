"""Check that the address is the host's alone."""

from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding


class UniqueAddress(Finding):
    """No other host carries this node's address."""

    name = "preflight/unique-address"
    title = "Check that the address is the host's alone"

    def find(self, situation: Situation) -> Verdict:
        """Machines behind a hypervisor's NAT may all have the same one."""
        address = situation.node_address
        twins = [
            name
            for name, facts in situation.all_facts.items()
            if name != situation.host.name
            and (
                address in facts.addresses
                or node_address(situation.inventory.host(name), facts, situation.cluster) == address
            )
        ]
        if twins:
            return Blocked(
                f"{', '.join(twins)} carries {address} as well",
                "set internal_address of each host to an address of its own that the other hosts can reach",
            )
        return Satisfied(address)
