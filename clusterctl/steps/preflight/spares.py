"""Check that spares stand by."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding


class Spares(Finding):
    """No spare is a node of the cluster."""

    name = "preflight/spares"
    title = "Check that spares stand by"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """By the nodes alone: spares themselves are not asked."""
        spares = [host for host in situation.inventory.hosts if host.role == "spare"]
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("looked at once, for the first control plane")
        if situation.api is None:
            return Satisfied(f"not looked at: {situation.api_problem}")
        joined = [host.name for host in spares if situation.node_of(host)]
        if joined:
            return Blocked(
                f"spares of the inventory are nodes of the cluster: {', '.join(joined)}",
                "when an upgrade by surge was interrupted, go on with it: clusterctl upgrade --strategy surge; "
                "otherwise give them the role worker, and workers that are no nodes the role spare",
            )
        return Satisfied(f"{len(spares)} spares stand by" if spares else "there are none")
