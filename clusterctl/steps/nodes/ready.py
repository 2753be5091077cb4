"""Wait until the node is Ready."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.rules.versions import at_least
from clusterctl.steps.nodes.unregistered import no_node
from clusterctl.steps.step import Step


class Ready(Step):
    """The node is Ready at the wanted version, or at a newer one."""

    name = "nodes/ready"
    title = "Wait until the node is Ready"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """The node's own condition and its kubelet's version."""
        node, wanted = situation.node, situation.cluster.kubernetes
        if node is None:
            return no_node(situation)
        if not node.ready:
            return Needed(f"{node.name} is not Ready: {node.reason}")
        if not at_least(node.kubelet_version, wanted):
            return Needed(f"the kubelet of {node.name} is {node.kubelet_version}, wanted is {wanted}")
        return Satisfied(f"{node.name} is Ready, {node.kubelet_version}")
