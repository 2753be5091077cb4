"""Restart hosts, each one drained before and given back afterwards."""

from collections.abc import Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Self

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps import draining, endpoint_rotation
from clusterctl.steps.step import ScriptStep, Step


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


class Ready(Step):
    """The kubelet of the host's present boot says that its node is Ready."""

    name = "reboot/ready"
    title = "Wait until the node is Ready again"
    reads_api = True
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """The node's own condition; a node counts as Ready for a while after its host went down."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if node.boot_id != situation.facts.boot_id:
            return Needed(f"the kubelet of {node.name} has not spoken since its host started")
        if not node.ready:
            return Needed(f"{node.name} is not Ready: {node.reason}")
        return Satisfied(f"{node.name} is Ready")


class _AroundRestart:
    """A step that waits for the ``reboot/restart`` of its playbook."""

    _restart: Restart | None = None

    def beside(self, others: Sequence[Step]) -> Self:
        """The same step, which asks that one whether the host has restarted."""
        made = copy(self)
        made._restart = next((step for step in others if isinstance(step, Restart)), None)
        return made

    def through(self, situation: Situation) -> str:
        """Whether the host has restarted."""
        return self._restart.done(situation) if self._restart else ""


class Drain(_AroundRestart, draining.Drain):
    """The node is cordoned with clusterctl's mark, and what can leave it has left, before its host restarts."""

    name = "reboot/drain"


class Leave(_AroundRestart, endpoint_rotation.Leave):
    """Nobody is connected to this host's API server by the endpoint when the host restarts."""

    name = "reboot/leave"


class Uncordon(_AroundRestart, draining.Uncordon):
    """None of clusterctl's marks is on the node: it takes pods as it did before its host restarted."""

    name = "reboot/uncordon"
