"""Check for data in emptyDir."""

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.rules import forecast
from clusterctl.steps.before_drain import BeforeDrain, if_fatal
from clusterctl.steps.finding import Finding


class Emptydir(BeforeDrain, Finding):
    """No pod of the node keeps data in an emptyDir."""

    name = "drain/emptydir"
    title = "Check for data in emptyDir"

    def find(self, situation: Situation) -> Verdict:
        """The pods' volumes; ``delete_emptydir_data`` lets such data be deleted."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        fatal = forecast.emptydir(pods, situation.node_name, situation.cluster.drain)
        return if_fatal(fatal, "look at what they hold") or Satisfied("none")
