"""Check for data on the node's own disk."""

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.rules import forecast
from clusterctl.steps.before_drain import BeforeDrain, blocked
from clusterctl.steps.finding import Finding


class LocalData(BeforeDrain, Finding):
    """No pod keeps data on the node's own disk, where nobody reaches it once the node is gone."""

    name = "workers/local-data"
    title = "Check for data on the node's own disk"
    tries_evictions = True

    def find(self, situation: Situation) -> Verdict:
        """hostPath volumes that are written to, and volumes that no other node reaches."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        nodes = situation.api.nodes if situation.api else {}
        left = forecast.left_behind(pods, situation.node_name, nodes)
        if not left:
            return Satisfied("none")
        return blocked(
            [f"{each}, and the node is removed" for each in left],
            ["move the data to another node or to network storage", "give it up: --ignore workers/local-data"],
        )
