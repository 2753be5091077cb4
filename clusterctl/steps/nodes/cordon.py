"""Let no pod come to the node."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step, Tools


class Cordon(Step):
    """No pod is scheduled to the node."""

    name = "nodes/cordon"
    title = "Let no pod come to the node"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """A node that somebody else cordoned gets no mark: it is theirs to give back."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if not node.unschedulable:
            return Needed(f"{node.name} takes pods")
        if node.cordoned is None:
            return Satisfied(f"{node.name} was cordoned by somebody else")
        return Satisfied(f"{node.name} was cordoned by {node.cordoned.by}, {node.cordoned.at}")

    def preview(self, situation: Situation) -> str:
        """As kubectl would take it."""
        return f"cordon node {situation.node_name}\n" if situation.node else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Cordon the node, and mark it."""
        tools.cluster().cordon(situation.node_name, by=tools.operator)
