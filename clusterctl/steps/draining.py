"""A node that is drained, changed and given back: what every playbook that does so has in common."""

from abc import abstractmethod
from typing import ClassVar

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.model.words import count
from clusterctl.rules.drain import SOFT_TAINT, leaving
from clusterctl.steps.step import Step, Tools


class Emptied(Step):
    """A step around a drain; ``through`` says why the node does not have to be empty any more."""

    reads_api = True
    changes_host = False

    @abstractmethod
    def through(self, situation: Situation) -> str:
        """What shows that the change for which the node is drained is done, or empty while it is to come. Pure."""


class Drain(Emptied):
    """The node is cordoned with clusterctl's mark, and what can leave it has left.

    ``removes`` says that the node is not given back, but leaves the cluster.
    """

    title = "Drain the node"
    reads_pods = True
    removes: ClassVar[bool] = False

    def early(self, situation: Situation) -> str:
        """Why the node is not drained yet, of a drain that waits for others, or empty. Pure."""
        return ""

    def check(self, situation: Situation) -> Verdict:
        """The mark, and no pod that a drain would evict, but those that came afterwards: they ignore the cordon.

        A node that is through is not drained again.
        """
        node = situation.node
        if node is None or situation.pods is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if through := self.through(situation):
            return Satisfied(through)
        going = leaving(situation.pods, node.name, situation.cluster.drain)
        left = len(going.evicted) + len(going.fatal)
        has = "has" if left == 1 else "have"
        if node.cordoned is None or not node.unschedulable:
            return Needed(f"{node.name} is not cordoned, and {left} of its pods {has} to leave")
        if left and not node.cordoned.drained:
            return Needed(f"{count(left, 'pod')} of {node.name} {has} to leave")
        return Satisfied("it is cordoned and drained")

    def preview(self, situation: Situation) -> str:
        """As kubectl would take it."""
        return f"drain node {situation.node_name}\n" if situation.node else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Cordon the node, mark it, and let its pods go."""
        api = tools.cluster()
        api.cordon(situation.node_name, by=tools.operator)
        api.drain(situation.node_name, situation.cluster.drain, tools.say, tools.stopping)


class Uncordon(Emptied):
    """None of clusterctl's marks is on the node: it takes pods as it did before."""

    title = "Give the node back"
    follows = True

    def check(self, situation: Situation) -> Verdict:
        """The mark and the taint. A node that somebody else cordoned has none, and stays as it is."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if node.cordoned is None and SOFT_TAINT not in node.taints:
            return Satisfied("no mark of clusterctl is left")
        if not self.through(situation):
            return Unknown(f"{node.name} is given back when it is through")
        return Needed(f"{node.name} is {'cordoned' if node.cordoned else 'tainted'} by clusterctl")

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Take the marks away."""
        tools.cluster().uncordon(situation.node_name)
