"""Check the host name."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.preflight.identity import clones


class Hostname(Finding):
    """The host name belongs to this host alone, and a node can have it."""

    name = "preflight/hostname"
    title = "Check the host name"

    def find(self, situation: Situation) -> Verdict:
        """A DNS name that no other host has, in whatever case."""
        facts = situation.facts
        rename = "name it: sudo hostnamectl set-hostname NAME"
        if facts.hostname in ("", "localhost", "(none)"):
            return Blocked("the host has no name", rename)
        if "_" in facts.hostname:
            return Blocked(f"the host name {facts.hostname} is no DNS name", f"re{rename}")
        if twins := clones(situation, lambda other: other.hostname.lower()):
            return Blocked(
                f"{twins} the same host name, {facts.hostname}",
                "give each host its own: sudo hostnamectl set-hostname NAME",
            )
        return Satisfied(f"host name {facts.hostname}")
