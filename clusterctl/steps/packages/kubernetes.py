"""Install and hold kubeadm, kubectl and kubelet."""

from clusterctl.model.places import KUBELET_SERVICE, KUBERNETES_PACKAGES
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.rules import proxy
from clusterctl.steps.step import ScriptStep


class Kubernetes(ScriptStep):
    """kubeadm, kubectl and kubelet are installed at the wanted version and held there."""

    name = "packages/kubernetes"
    title = "Install and hold kubeadm, kubectl and kubelet"

    def check(self, situation: Situation) -> Verdict:
        """Version, hold, and that dpkg is done with them."""
        facts, wanted = situation.facts, situation.cluster.kubernetes
        for name in KUBERNETES_PACKAGES:
            package = facts.packages.get(name)
            if package is None:
                return Needed(f"{name} is not installed")
            if not package.version.startswith(f"{wanted}-"):
                return Needed(f"{name} is {package.version}, wanted is {wanted}")
            if not package.intact:
                return Needed(f"{name} is not fully installed")
            if not package.held:
                return Needed(f"{name} is not held, so a package upgrade would move it")
        kubelet = facts.services.get(KUBELET_SERVICE)
        if kubelet is None or kubelet.enabled != "enabled":
            return Needed("the kubelet does not start at boot")
        return Satisfied(f"{wanted}, held")

    def script(self, situation: Situation) -> Script:
        """Install exactly these packages at this version; nothing else moves."""
        wanted = situation.cluster.kubernetes
        return script(
            self.name,
            environment=proxy.environment(situation.cluster),
            packages=tuple(f"{name}={wanted}-*" for name in KUBERNETES_PACKAGES),
            hold=KUBERNETES_PACKAGES,
        )
