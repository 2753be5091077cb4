"""Check the installed packages."""

from packaging.version import Version

from clusterctl.model.places import KUBELET_CONF
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.packages import package_trouble, version_of
from clusterctl.steps.finding import Finding


class Packages(Finding):
    """dpkg is at rest, and no other runtime or newer Kubernetes is in the way."""

    name = "preflight/packages"
    title = "Check the installed packages"

    def find(self, situation: Situation) -> Verdict:
        """Interrupted dpkg, Docker's containerd, versions that clusterctl would have to lower."""
        facts, wanted = situation.facts, Version(situation.cluster.kubernetes)
        if trouble := package_trouble(situation):
            return trouble
        for name in ("kubeadm", "kubelet", "kubectl"):
            package = facts.packages.get(name)
            installed = version_of(package.version.partition("-")[0]) if package else wanted
            if installed > wanted:
                return Blocked(
                    f"{name} {installed} is installed, newer than the {wanted} of the inventory",
                    f"clusterctl never lowers a version: set cluster.kubernetes to {installed} or newer",
                )
            if installed < wanted and KUBELET_CONF in facts.paths:
                return Blocked(
                    f"this node runs {name} {installed}, the inventory asks for {wanted}",
                    f"bootstrap never upgrades a node: set cluster.kubernetes to {installed}",
                )
        return Satisfied("nothing in the way")
