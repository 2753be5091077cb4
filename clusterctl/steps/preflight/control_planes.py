"""Check the number of control planes."""

from clusterctl.model.inventory.endpoint import address
from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Satisfied, Verdict
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
