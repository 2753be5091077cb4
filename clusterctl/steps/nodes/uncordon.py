"""Give nodes back that clusterctl cordoned."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Verdict
from clusterctl.rules.drain import SOFT_TAINT
from clusterctl.steps import draining


class Uncordon(draining.Uncordon):
    """The node takes pods as it did before clusterctl cordoned it."""

    name = "nodes/uncordon"

    def check(self, situation: Situation) -> Verdict:
        """The mark and the taint; a node that somebody else cordoned is theirs to give back."""
        node = situation.node
        if node and node.unschedulable and node.cordoned is None and SOFT_TAINT not in node.taints:
            return Blocked(
                f"{node.name} was cordoned by somebody else, who knows why",
                f"if nobody needs it so: kubectl uncordon {node.name}",
            )
        return super().check(situation)

    def through(self, situation: Situation) -> str:
        """The operator says so."""
        return "asked for"
