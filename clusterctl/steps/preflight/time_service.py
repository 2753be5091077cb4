"""Check for a time service."""

from clusterctl.model.places import TIME_SERVICES
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.steps.finding import Finding


class TimeService(Finding):
    """Something keeps the clock right."""

    name = "preflight/time-service"
    title = "Check for a time service"

    def find(self, situation: Situation) -> Verdict:
        """A warning only: a hypervisor may keep the time, which no service shows."""
        services = situation.facts.services
        running = [name for name in TIME_SERVICES if name in services and services[name].active == "active"]
        if running:
            return Satisfied(running[0])
        return Satisfied(
            "no time service runs; unless the hypervisor keeps the time: sudo apt-get install systemd-timesyncd",
            warning=True,
        )
