"""Read the lists of packages."""

from clusterctl.model.places import UPGRADABLE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.steps.step import ScriptStep

# How old, in seconds, the lists of packages may be.
_FRESH = 3600.0


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
        return script(self.name, environment=proxy.environment(situation.cluster), upgradable=UPGRADABLE)
