"""The endpoint on the control planes themselves: HAProxy leads to every API server, keepalived holds its address."""

import ipaddress
from abc import abstractmethod
from typing import ClassVar

from clusterctl.model.inventory import Host
from clusterctl.model.situation import Situation, node_address
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script, text
from clusterctl.steps import os_proxy
from clusterctl.steps.step import File, ScriptStep

HAPROXY_SOCKET = "/run/haproxy/admin.sock"
HAPROXY_CONFIG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONFIG = "/etc/keepalived/keepalived.conf"
HAPROXY_SERVICE, KEEPALIVED_SERVICE = "haproxy.service", "keepalived.service"
CONFIGS = (HAPROXY_CONFIG, KEEPALIVED_CONFIG)
PACKAGES = ("haproxy", "keepalived")
# How both files begin: what does not begin so was written by somebody else.
_OURS = "# Written by clusterctl"


class _Part(ScriptStep):
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
        if there is not None and not there.startswith(_OURS):
            return Blocked(
                f"{self.path} is there and was not written by clusterctl, which would replace it",
                f"if nobody needs it: ssh {situation.host.address} sudo mv {self.path} /var/backups/; with a load "
                "balancer of your own, take cluster.virtual_ip out of the inventory",
            )
        if situation.node_address not in facts.links:
            return Unknown(f"no interface carries {situation.node_address}")
        if lost := [host.name for host in situation.inventory.control_planes if not _reachable_at(situation, host)]:
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
            environment=os_proxy.environment(situation.cluster),
            file=self.files(situation)[0],
            installed=self.package in situation.facts.packages,
        )

    def preview(self, situation: Situation) -> str:
        """The script's text, when it is wanted."""
        return super().preview(situation) if situation.cluster.virtual_ip else ""


class HaProxy(_Part):
    """HAProxy takes connections on the endpoint's port and leads each to an API server that is ready."""

    name = "endpoint/haproxy"
    title = "Lead the endpoint to every API server (HAProxy)"
    package, path, service = "haproxy", HAPROXY_CONFIG, HAPROXY_SERVICE

    def content(self, situation: Situation, virtual_ip: str) -> str:
        """All control planes of the inventory, those that have not joined yet as well."""
        return text(
            "endpoint/haproxy.cfg.j2",
            socket=HAPROXY_SOCKET,
            bind="[::]" if ":" in virtual_ip else "*",
            port=int(situation.cluster.endpoint.rpartition(":")[2]),
            servers=[
                {"name": host.name, "address": _bracketed(_reachable_at(situation, host))}
                for host in situation.inventory.control_planes
            ],
        )


class Keepalived(_Part):
    """One control plane whose HAProxy runs has the virtual IP, and another one takes it when that is lost."""

    name = "endpoint/keepalived"
    title = "Give the endpoint's address to one control plane (keepalived)"
    package, path, service = "keepalived", KEEPALIVED_CONFIG, KEEPALIVED_SERVICE

    def content(self, situation: Situation, virtual_ip: str) -> str:
        """All control planes begin as backups, and who has the address keeps it."""
        planes = situation.inventory.control_planes
        return text(
            "endpoint/keepalived.conf.j2",
            name=situation.host.name,
            device=situation.facts.links[situation.node_address].name,
            address=situation.node_address,
            peers=[_reachable_at(situation, host) for host in planes if host != situation.host],
            # The steps between them keep two backups from moving at the same moment.
            priority=max(1, 250 - 20 * planes.index(situation.host)),
            virtual_ip=f"{virtual_ip}/{ipaddress.ip_address(virtual_ip).max_prefixlen}",
        )


def _reachable_at(situation: Situation, host: Host) -> str:
    """The address of a control plane's node; of one that was not looked at, what the inventory says; or nothing."""
    if host.name in situation.all_facts:
        return node_address(host, situation.all_facts[host.name], situation.cluster)
    address = host.internal_address or host.address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
