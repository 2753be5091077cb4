"""Drain the node before its kubelet changes."""

from clusterctl.model.situation import Situation
from clusterctl.rules.upgrading import kubelet_through
from clusterctl.steps import draining


class Drain(draining.Drain):
    """The node is cordoned with clusterctl's mark, and what can leave it has left, before its kubelet changes."""

    name = "upgrade/drain"

    def through(self, situation: Situation) -> str:
        """Whether the node's kubelet is at the version."""
        return kubelet_through(situation)
