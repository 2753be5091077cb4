"""The kubeadm, kubelet and kubectl of the wanted version, from the repository of its minor, and held."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.render import Script, script
from clusterctl.steps import os_proxy
from clusterctl.steps.preflight import repository_url
from clusterctl.steps.repository import add
from clusterctl.steps.step import File, ScriptStep

# apt reads an armoured key by its suffix.
KEYRING = "/etc/apt/keyrings/kubernetes-apt-keyring.asc"
SOURCE = "/etc/apt/sources.list.d/kubernetes.list"
KUBERNETES = ("kubeadm", "kubectl", "kubelet")
KUBELET_SERVICE = "kubelet.service"


class Repository(ScriptStep):
    """apt knows the repository of the wanted minor version, signed by the expected key."""

    name = "packages/repository"
    title = "Add the Kubernetes package repository"

    def check(self, situation: Situation) -> Verdict:
        """The source list's text and the keyring."""
        facts = situation.facts
        if facts.file(SOURCE) != self.files(situation)[0].content:
            return Needed(f"{SOURCE} does not name the repository of {situation.cluster.minor}")
        if KEYRING not in facts.paths:
            return Needed(f"{KEYRING} is missing")
        return Satisfied(f"the repository of {situation.cluster.minor} is configured")

    def files(self, situation: Situation) -> tuple[File, ...]:
        """The source list."""
        return (File(SOURCE, f"deb [signed-by={KEYRING}] {repository_url(situation)}/ /\n"),)

    def script(self, situation: Situation) -> Script:
        """Fetch the key, keep the one with the expected fingerprint, write the list, read the repository's index."""
        return add(
            self.name,
            situation,
            key=f"{repository_url(situation)}/Release.key",
            fingerprint=situation.cluster.sources.packages_key_fingerprint,
            keyring=KEYRING,
            source=self.files(situation)[0],
        )


class Kubernetes(ScriptStep):
    """kubeadm, kubectl and kubelet are installed at the wanted version and held there."""

    name = "packages/kubernetes"
    title = "Install and hold kubeadm, kubectl and kubelet"

    def check(self, situation: Situation) -> Verdict:
        """Version, hold, and that dpkg is done with them."""
        facts, wanted = situation.facts, situation.cluster.kubernetes
        for name in KUBERNETES:
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
            environment=os_proxy.environment(situation.cluster),
            packages=tuple(f"{name}={wanted}-*" for name in KUBERNETES),
            hold=KUBERNETES,
        )
