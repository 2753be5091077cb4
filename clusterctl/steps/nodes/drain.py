"""Drain a node that stays cordoned."""

from clusterctl.model.situation import Situation
from clusterctl.steps import draining


class Drain(draining.Drain):
    """The node is cordoned with clusterctl's mark, and what can leave it has left. It stays so."""

    name = "nodes/drain"

    def through(self, situation: Situation) -> str:
        """It is to be empty until somebody gives it back."""
        return ""
