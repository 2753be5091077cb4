"""Restart the host."""

from collections.abc import Mapping
from types import MappingProxyType

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps.step import ScriptStep


class Restart(ScriptStep):
    """The host has started again since the operator asked; ``seen`` has the ids of the boots that ran then."""

    name = "reboot/restart"
    title = "Restart the host"
    deadline = 600.0

    def __init__(self, seen: Mapping[str, str] = MappingProxyType({})) -> None:
        self._seen = seen

    def done(self, situation: Situation) -> str:
        """That the host has restarted, or empty while it has not. Pure."""
        before = self._seen.get(situation.host.name)
        return f"{situation.host.name} has restarted" if before not in (None, situation.facts.boot_id) else ""

    def check(self, situation: Situation) -> Verdict:
        """The id of the host's boot."""
        name = situation.host.name
        if name not in self._seen:
            return Blocked("which start of the host is meant is not known", f"clusterctl reboot {name}")
        if done := self.done(situation):
            return Satisfied(done)
        return Needed(f"{name} runs as it did when this was asked for")

    def script(self, situation: Situation) -> Script:
        """The host restarts a moment after the script has ended."""
        return script(self.name)
