"""One of the two programs of the endpoint, with its package, its file and its service."""

from abc import abstractmethod
from typing import ClassVar

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.rules.endpoint import reachable_at
from clusterctl.rules.ownership import HEADER
from clusterctl.steps.step import File, ScriptStep


class Program(ScriptStep):
    """One of the two programs, with its package, its file and its service."""

    package: ClassVar[str]
    path: ClassVar[str]
    service: ClassVar[str]

    def check(self, situation: Situation) -> Verdict:
        """Package, file and service; a file of somebody else is not replaced."""
        facts = situation.facts
        if not situation.cluster.virtual_ip:
            return Satisfied("not wanted")
        there = facts.file(self.path)
        if there is not None and not there.startswith(HEADER):
            return Blocked(
                f"{self.path} is there and was not written by clusterctl, which would replace it",
                f"if nobody needs it: ssh {situation.host.address} sudo mv {self.path} /var/backups/; with a load "
                "balancer of your own, take cluster.virtual_ip out of the inventory",
            )
        if situation.node_address not in facts.links:
            return Unknown(f"no interface carries {situation.node_address}")
        if lost := [host.name for host in situation.inventory.control_planes if not reachable_at(situation, host)]:
            return Unknown(f"the address of {', '.join(lost)} is known when it has been looked at")
        if there != self.files(situation)[0].content:
            return Needed(f"{self.path} is missing or differs from what is wanted")
        package, service = facts.packages.get(self.package), facts.services.get(self.service)
        if package is None or not package.intact:
            return Needed(f"{self.package} is not installed")
        if service is None or service.active != "active":
            return Needed(f"{self.service} is {service.active if service else 'missing'}")
        if service.enabled != "enabled":
            return Needed(f"{self.service} does not start at boot")
        return Satisfied(f"{self.service} runs as wanted")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The program's configuration."""
        if not situation.cluster.virtual_ip or situation.node_address not in situation.facts.links:
            return ()
        return (File(self.path, self.content(situation, situation.cluster.virtual_ip)),)

    @abstractmethod
    def content(self, situation: Situation, virtual_ip: str) -> str:
        """The text of its file."""

    def script(self, situation: Situation) -> Script:
        """Write the file, install the package beside it, and have the service read the file."""
        return script(
            self.name,
            environment=proxy.environment(situation.cluster),
            file=self.files(situation)[0],
            installed=self.package in situation.facts.packages,
        )

    def preview(self, situation: Situation) -> str:
        """The script's text, when it is wanted."""
        return super().preview(situation) if situation.cluster.virtual_ip else ""
