"""See that the cluster is whole before the next node."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.rules.upgrading import lagging_pods
from clusterctl.steps.step import Step


class Settled(Step):
    """The node and every control plane work, so the next node may go."""

    name = "upgrade/settled"
    title = "See that the cluster is whole before the next node"
    reads_api = True
    changes_host = False
    deadline = 300.0
    steady = 3

    def check(self, situation: Situation) -> Verdict:
        """This node Ready, and of each control plane: Ready, its pods those of its manifests and ready."""
        api, node = situation.api, situation.node
        if api is None or node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if not node.ready:
            return Needed(f"{node.name} is not Ready: {node.reason}")
        for other in api.nodes.values():
            if other.control_plane and not other.ready:
                return Needed(f"{other.name} is not Ready: {other.reason}")
        for host in situation.inventory.control_planes:
            if host.name in situation.all_facts and (problem := lagging_pods(situation, host.name)):
                return Needed(problem)
        return Satisfied("the node and every control plane are ready")
