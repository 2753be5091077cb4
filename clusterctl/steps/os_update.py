"""Upgrade the packages of the operating system, each host drained before and given back afterwards."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps import draining, endpoint_rotation, os_proxy
from clusterctl.steps.places import RESTART_REQUIRED, UPGRADABLE
from clusterctl.steps.step import ScriptStep

# How old, in seconds, the lists of packages may be.
_FRESH = 3600.0
_SHOWN = 5


class Lists(ScriptStep):
    """What can be upgraded is known, by lists of packages that are not older than an hour."""

    name = "os-update/lists"
    title = "Read the lists of packages"

    def check(self, situation: Situation) -> Verdict:
        """The file that the script leaves, and the time in its first line."""
        noted = situation.facts.file(UPGRADABLE)
        if noted is None:
            return Needed("what can be upgraded is not known")
        age = situation.facts.now - float(noted.partition("\n")[0])
        if age > _FRESH:
            return Needed(f"they were read {age / 3600:.0f} h ago")
        return Satisfied("they were read within the last hour")

    def script(self, situation: Situation) -> Script:
        """apt-get update, and a trial of the upgrade."""
        return script(self.name, environment=os_proxy.environment(situation.cluster), upgradable=UPGRADABLE)


class Packages(ScriptStep):
    """Every package that is not held is as new as the sources have it."""

    name = "os-update/packages"
    title = "Upgrade the packages"

    def check(self, situation: Situation) -> Verdict:
        """What apt would upgrade."""
        found = _upgradable(situation)
        if found is None:
            return Unknown(_NOT_READ)
        if found:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            return Needed(f"{', '.join(found[:_SHOWN])}{more} can be upgraded")
        return Satisfied("no package can be upgraded")

    def script(self, situation: Situation) -> Script:
        """apt-get upgrade, which removes nothing."""
        return script(self.name, environment=os_proxy.environment(situation.cluster), upgradable=UPGRADABLE)


class Restart(ScriptStep):
    """The host runs with what was installed: nothing asks for a restart."""

    name = "os-update/restart"
    title = "Restart the host if an upgrade asks for it"
    deadline = 600.0
    follows = True

    def check(self, situation: Situation) -> Verdict:
        """The file by which packages ask for a restart, which is gone after it."""
        if RESTART_REQUIRED in situation.facts.paths:
            return Needed(f"{RESTART_REQUIRED} is there")
        return Satisfied("no package asks for a restart")

    def script(self, situation: Situation) -> Script:
        """The host restarts a moment after the script has ended."""
        return script(self.name)


class Drain(draining.Drain):
    """The node is cordoned with clusterctl's mark, and what can leave it has left, before its packages change."""

    name = "os-update/drain"

    def check(self, situation: Situation) -> Verdict:
        """Whether there is anything to do at all; then as every drain."""
        return Unknown(_NOT_READ) if _upgradable(situation) is None else super().check(situation)

    def through(self, situation: Situation) -> str:
        """Neither packages nor a restart are left."""
        return _up_to_date(situation)


class Leave(endpoint_rotation.Leave):
    """Nobody is connected to this host's API server by the endpoint when the host restarts."""

    name = "os-update/leave"
    follows = True

    def through(self, situation: Situation) -> str:
        """Only a restart ends the API server."""
        return "" if RESTART_REQUIRED in situation.facts.paths else "no package asks for a restart"


class Uncordon(draining.Uncordon):
    """None of clusterctl's marks is on the node: it takes pods as it did before its packages changed."""

    name = "os-update/uncordon"

    def through(self, situation: Situation) -> str:
        """Neither packages nor a restart are left."""
        return _up_to_date(situation)


_NOT_READ = "the lists of packages have to be read first"


def _up_to_date(situation: Situation) -> str:
    left = _upgradable(situation)
    return "" if left is None or left or RESTART_REQUIRED in situation.facts.paths else "its packages are up to date"


def _upgradable(situation: Situation) -> tuple[str, ...] | None:
    """The packages that can be upgraded; None when nobody looked yet."""
    noted = situation.facts.file(UPGRADABLE)
    return None if noted is None else tuple(noted.splitlines()[1:])
