"""Wait until the node is Ready again."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step


class Ready(Step):
    """The kubelet of the host's present boot says that its node is Ready."""

    name = "reboot/ready"
    title = "Wait until the node is Ready again"
    reads_api = True
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """The node's own condition; a node counts as Ready for a while after its host went down."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if node.boot_id != situation.facts.boot_id:
            return Needed(f"the kubelet of {node.name} has not spoken since its host started")
        if not node.ready:
            return Needed(f"{node.name} is not Ready: {node.reason}")
        return Satisfied(f"{node.name} is Ready")
