"""Load kernel modules."""

from clusterctl.model.facts import HostFacts
from clusterctl.model.places import MODULES_FILE
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules.kernel import MODULES
from clusterctl.steps.step import File, ScriptStep

_LIST = File(MODULES_FILE, "".join(f"{module}\n" for module in MODULES))


class Modules(ScriptStep):
    """The kernel modules that containers and bridged traffic need are there, also after a reboot."""

    name = "os/modules"
    title = "Load kernel modules"

    def check(self, situation: Situation) -> Verdict:
        """Loaded or built in, and listed for the next boot."""
        if missing := _missing_modules(situation.facts):
            return Needed(f"not loaded: {', '.join(missing)}")
        if situation.facts.file(_LIST.path) != _LIST.content:
            return Needed(f"{_LIST.path} does not list them for the next boot")
        return Satisfied(f"loaded: {', '.join(MODULES)}")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The list that systemd loads at boot."""
        return (_LIST,)

    def script(self, situation: Situation) -> Script:
        """Write the list, load what is missing."""
        return script(self.name, file=_LIST, missing=_missing_modules(situation.facts))


def _missing_modules(facts: HostFacts) -> tuple[str, ...]:
    return tuple(module for module in MODULES if module not in facts.modules)
