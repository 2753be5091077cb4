"""Check that Kubernetes' ports are free."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.ports import LOOKER, held
from clusterctl.steps.finding import Finding


class Ports(Finding):
    """Nobody else listens where Kubernetes will."""

    name = "preflight/ports"
    title = "Check that Kubernetes' ports are free"

    def find(self, situation: Situation) -> Verdict:
        """A port may be free or held by its own component."""
        taken = [
            f"{port} is held by {holder or 'an unknown process'}"
            for port, owner in held(situation.host.role, situation.cluster).items()
            if (holder := situation.facts.listeners.get(port)) is not None and holder not in (owner, LOOKER)
        ]
        if taken:
            return Blocked("port " + ", port ".join(taken), "stop that process; sudo ss -ltnp shows it")
        return Satisfied("free, or held by Kubernetes")
