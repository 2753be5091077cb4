"""Upgrade the packages."""

from clusterctl.model.places import UPGRADABLE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.steps.os_update.upgradable import NOT_READ, upgradable
from clusterctl.steps.step import ScriptStep

_SHOWN = 5


class Packages(ScriptStep):
    """Every package that is not held is as new as the sources have it."""

    name = "os-update/packages"
    title = "Upgrade the packages"

    def check(self, situation: Situation) -> Verdict:
        """What apt would upgrade."""
        found = upgradable(situation)
        if found is None:
            return Unknown(NOT_READ)
        if found:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            return Needed(f"{', '.join(found[:_SHOWN])}{more} can be upgraded")
        return Satisfied("no package can be upgraded")

    def script(self, situation: Situation) -> Script:
        """apt-get upgrade, which removes nothing."""
        return script(self.name, environment=proxy.environment(situation.cluster), upgradable=UPGRADABLE)
