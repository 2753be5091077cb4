"""Findings: steps that only look, and that an operator may decide to ignore by name."""

from abc import abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Self, final

from clusterctl.model.facts import Disk
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.step import Step

KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
A_NODE = Satisfied("the host is a node already")


class Finding(Step):
    """Something that a person has to settle before anything changes, unless the operator ignores it."""

    changes_host = False
    _ignored = False

    def ignored(self) -> Self:
        """The same step, which no longer blocks and says so."""
        made = copy(self)
        made._ignored = True
        return made

    @final
    def check(self, situation: Situation) -> Verdict:
        """What ``find`` says; a finding that is ignored becomes a warning."""
        verdict = self.find(situation)
        if self._ignored and isinstance(verdict, Blocked):
            return Satisfied(f"ignored by the operator: {verdict.reason}", warning=True)
        return verdict

    @abstractmethod
    def find(self, situation: Situation) -> Verdict:
        """Say what is in the way. Pure."""


def is_node(situation: Situation) -> bool:
    """Whether the host has joined a cluster: what a host needs beforehand is of no interest any more."""
    return KUBELET_CONF in situation.facts.paths


def package_trouble(situation: Situation) -> Blocked | Satisfied | None:
    """What is to say of an installation of packages that has not come to its end; it may be under way."""
    facts = situation.facts
    if facts.dpkg_problem and facts.package_lock:
        return Satisfied(f"packages are being installed: {facts.package_lock}; it is waited for", warning=True)
    if facts.dpkg_problem:
        return Blocked(
            f"an installation of packages was interrupted: {', '.join(facts.dpkg_problem.splitlines()[:3])}",
            f"finish it: ssh {situation.host.address} sudo dpkg --configure -a; then run the same command again",
        )
    return None


def shortages(wanted: Mapping[str, int], disks: Mapping[str, Disk]) -> list[str]:
    """Where less is free than ``wanted``, in MiB, for the directories of one file system together."""
    short = []
    for mounted in dict.fromkeys(disks[path].mounted for path in wanted if path in disks):
        paths = [path for path in wanted if path in disks and disks[path].mounted == mounted]
        need, disk = sum(wanted[path] for path in paths), disks[paths[0]]
        if disk.free_mib < need:
            short.append(f"{disk.free_mib} MiB free for {' and '.join(paths)} (on {mounted}), {need} wanted")
    return short
