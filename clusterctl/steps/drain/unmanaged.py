"""Check for pods that nobody makes again."""

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.rules import forecast
from clusterctl.steps.before_drain import BeforeDrain, if_fatal
from clusterctl.steps.finding import Finding


class Unmanaged(BeforeDrain, Finding):
    """Every pod of the node has a controller that makes another one elsewhere."""

    name = "drain/unmanaged"
    title = "Check for pods that nobody makes again"

    def find(self, situation: Situation) -> Verdict:
        """The pods' controllers; ``force`` lets pods without one be deleted."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        fatal = forecast.unmanaged(pods, situation.node_name, situation.cluster.drain)
        return if_fatal(fatal, "save what they hold and delete them") or Satisfied("every pod has a controller")
