"""Check the operating system."""

from packaging.version import Version

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.packages import version_of
from clusterctl.steps.finding import Finding

_OLDEST_OS = {"ubuntu": "22.04", "debian": "12"}
_ARCHITECTURES = ("x86_64", "aarch64")


class System(Finding):
    """The operating system is one that clusterctl knows."""

    name = "preflight/system"
    title = "Check the operating system"

    def find(self, situation: Situation) -> Verdict:
        """Distribution, version, architecture, systemd."""
        facts = situation.facts
        oldest = _OLDEST_OS.get(facts.os_id)
        supported = f"Ubuntu {_OLDEST_OS['ubuntu']} or newer, or Debian {_OLDEST_OS['debian']} or newer"
        if oldest is None or version_of(facts.os_version) < Version(oldest):
            return Blocked(f"the system is {facts.os_name or 'unknown'}", f"install {supported} on this host")
        if facts.architecture not in _ARCHITECTURES:
            return Blocked(f"the architecture is {facts.architecture}", f"use one of {', '.join(_ARCHITECTURES)}")
        if facts.init != "systemd":
            return Blocked(f"process 1 is {facts.init}", "boot the host with systemd, which runs the kubelet")
        return Satisfied(f"{facts.os_name}, {facts.architecture}")
