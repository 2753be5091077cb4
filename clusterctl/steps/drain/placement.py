"""Check that every pod has somewhere to go."""

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Unknown, Verdict
from clusterctl.model.words import count
from clusterctl.rules.placement import Stranded
from clusterctl.steps.before_drain import BeforeDrain, blocked, without_a_node
from clusterctl.steps.finding import Finding


class Placement(BeforeDrain, Finding):
    """Every pod of the node finds another one, or comes back to this one because no other is meant for it."""

    name = "drain/placement"
    title = "Check that every pod has somewhere to go"
    tries_evictions = True

    def find(self, situation: Situation) -> Verdict:
        """What the scheduler demands (selectors, affinities, taints, volumes, ports, requests), tried first-fit."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        if self._drain and (early := self._drain.early(situation)):
            return Unknown(early)
        stranded = without_a_node(situation, pods)
        lost = [each for each in stranded if not (each.returns and self._gives_back)]
        if lost:
            return blocked(
                [f"{each.pod} has nowhere to go ({each.why})" for each in lost], [_way_out(each) for each in lost]
            )
        if stranded:
            them = "it" if len(stranded) == 1 else "them"
            return Satisfied(f"{count(len(stranded), 'pod')} will wait for this node, which alone is meant for {them}")
        return Satisfied("every pod finds another node")


def _way_out(lost: Stranded) -> str:
    if lost.budget:
        return f"let the budget {lost.budget} allow more, or have pods deleted in spite of it: --disable-eviction"
    return "make room, or let the pods wait for this node to come back: --ignore drain/placement"
