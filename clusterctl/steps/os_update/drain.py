"""Drain the node before its packages change."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Unknown, Verdict
from clusterctl.steps import draining
from clusterctl.steps.os_update.upgradable import NOT_READ, up_to_date, upgradable


class Drain(draining.Drain):
    """The node is cordoned with clusterctl's mark, and what can leave it has left, before its packages change."""

    name = "os-update/drain"

    def check(self, situation: Situation) -> Verdict:
        """Whether there is anything to do at all; then as every drain."""
        return Unknown(NOT_READ) if upgradable(situation) is None else super().check(situation)

    def through(self, situation: Situation) -> str:
        """Neither packages nor a restart are left."""
        return up_to_date(situation)
