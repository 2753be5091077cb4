"""Give the node back when its packages are up to date."""

from clusterctl.model.situation import Situation
from clusterctl.steps import draining
from clusterctl.steps.os_update.upgradable import up_to_date


class Uncordon(draining.Uncordon):
    """None of clusterctl's marks is on the node: it takes pods as it did before its packages changed."""

    name = "os-update/uncordon"

    def through(self, situation: Situation) -> str:
        """Neither packages nor a restart are left."""
        return up_to_date(situation)
