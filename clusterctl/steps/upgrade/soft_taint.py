"""Let pods prefer nodes that are through."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.rules.drain import SOFT_TAINT
from clusterctl.rules.upgrading import kubelet_done
from clusterctl.steps.step import Step, Tools


class SoftTaint(Step):
    """Pods that leave other nodes prefer nodes that are not drained soon themselves."""

    name = "upgrade/soft-taint"
    title = "Let pods prefer nodes that are through"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """A taint that the scheduler heeds where it can; a node that is through has it no more."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if kubelet_done(situation):
            return Satisfied(f"{node.name} is through")
        if SOFT_TAINT in node.taints:
            return Satisfied("the taint is there")
        return Needed(f"{node.name} is drained later")

    def preview(self, situation: Situation) -> str:
        """The taint as kubectl would take it."""
        return f"taint node {situation.node_name}: {SOFT_TAINT}\n"

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Set the taint."""
        tools.cluster().soft_taint(situation.node_name)
