"""Restart the host if an upgrade asks for it."""

from clusterctl.model.places import RESTART_REQUIRED
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import ScriptStep


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
