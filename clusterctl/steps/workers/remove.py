"""Remove the drained node from the cluster."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Unknown, Verdict
from clusterctl.steps.step import Step, Tools
from clusterctl.steps.workers.leaving import if_not_leaving


class Remove(Step):
    """The drained node is not part of the cluster any more."""

    name = "workers/remove"
    title = "Remove the drained node from the cluster"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only a worker that clusterctl drained, and only while the node is that of this host."""
        node = situation.node
        if situation.api is None:
            return Unknown(situation.api_problem)
        if settled := if_not_leaving(situation):
            return settled
        if node is None or node.control_plane:
            return Blocked(f"{situation.node_name} is a control plane", "correct its role in the inventory")
        if node.cordoned is None or not node.cordoned.drained or not node.unschedulable:
            return Unknown(f"{node.name} is drained first")
        if node.boot_id != situation.facts.boot_id:
            return Unknown(f"the kubelet of {node.name} has not spoken since this host started")
        return Needed(f"{node.name} is drained; its node is deleted")

    def preview(self, situation: Situation) -> str:
        """As kubectl would take it."""
        return f"delete node {situation.node_name}\n" if situation.node else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Delete the node."""
        tools.cluster().remove_node(situation.node_name)
