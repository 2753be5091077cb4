"""Give the node back when its kubelet is new."""

from clusterctl.model.situation import Situation
from clusterctl.rules.upgrading import kubelet_through
from clusterctl.steps import draining


class Uncordon(draining.Uncordon):
    """None of clusterctl's marks is on the node: it takes pods as it did before its kubelet changed."""

    name = "upgrade/uncordon"

    def through(self, situation: Situation) -> str:
        """Whether the node's kubelet is at the version."""
        return kubelet_through(situation)
