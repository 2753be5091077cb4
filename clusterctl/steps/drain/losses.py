"""Tell what the drain interrupts."""

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.rules import forecast
from clusterctl.steps.before_drain import BeforeDrain, several, without_a_node
from clusterctl.steps.finding import Finding


class Losses(BeforeDrain, Finding):
    """The operator knows what draining the node loses or interrupts although no rule forbids it."""

    name = "drain/losses"
    title = "Tell what the drain interrupts"
    tries_evictions = True

    def find(self, situation: Situation) -> Verdict:
        """Data on the node, Jobs, replicas, rollouts, sessions. Only ever a warning."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        left = without_a_node(situation, pods)
        losses = forecast.losses(pods, situation.node_name, left, situation.cluster.drain)
        return Satisfied(several(losses), warning=True) if losses else Satisfied("nothing")
