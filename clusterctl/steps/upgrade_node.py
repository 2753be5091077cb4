"""The kubelet of a new version on one node: drained before, given back afterwards, with our marks around it."""

from clusterctl.model.drain import SOFT_TAINT
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.render import Script, script
from clusterctl.steps import draining, os_proxy
from clusterctl.steps.endpoint_rotation import rotates
from clusterctl.steps.packages import KUBELET_SERVICE
from clusterctl.steps.places import KUBEADM_BACKUPS, fitting
from clusterctl.steps.step import ScriptStep, Step, Tools
from clusterctl.steps.upgrading import (
    component_versions,
    interrupted,
    kubelet_done,
    lagging_pods,
    older_control_planes,
    passed,
    unfit,
)

_PACKAGES = ("kubelet", "kubectl")
# kubeadm and whoever set this host up tell the kubelet here what to do.
_FLAGS = ("/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet")
_CONFIG = "/var/lib/kubelet/config.yaml"


class SoftTaint(Step):
    """Pods that leave other nodes prefer nodes that are not drained soon themselves."""

    name = "upgrade/soft-taint"
    title = "Let pods prefer nodes that are through"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """A taint that the scheduler heeds where it can; a node that is through has it no more."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if kubelet_done(situation):
            return Satisfied(f"{node.name} is through")
        if SOFT_TAINT in node.taints:
            return Satisfied("the taint is there")
        return Needed(f"{node.name} is drained later")

    def preview(self, situation: Situation) -> str:
        """The taint as kubectl would take it."""
        return f"taint node {situation.node_name}: {SOFT_TAINT}\n"

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Set the taint."""
        tools.cluster().soft_taint(situation.node_name)


class Packages(ScriptStep):
    """The new kubelet is at hand, and knows every flag and feature gate that this host gives it."""

    name = "upgrade/packages"
    title = "Fetch the new kubelet and see that it knows this host's settings"

    def check(self, situation: Situation) -> Verdict:
        """A file that the script leaves until the next boot."""
        wanted = situation.cluster.kubernetes
        if not unfit(situation, _PACKAGES):
            return Satisfied("they are installed")
        if fitting(wanted) in situation.facts.paths:
            return Satisfied(f"the kubelet of {wanted} knows this host's settings")
        return interrupted(situation) or Needed(f"the kubelet of {wanted} was not tried with this host's settings")

    def script(self, situation: Situation) -> Script:
        """Download both packages, unpack the kubelet beside the one that runs, and have it read the settings."""
        wanted = situation.cluster.kubernetes
        return script(
            self.name,
            environment=os_proxy.environment(situation.cluster),
            packages=[f"{name}={wanted}-*" for name in _PACKAGES],
            version=wanted,
            flags=_FLAGS,
            config=_CONFIG,
            fitting=fitting(wanted),
        )


class Drain(draining.Drain):
    """The node is cordoned with clusterctl's mark, and what can leave it has left, before its kubelet changes."""

    name = "upgrade/drain"

    def through(self, situation: Situation) -> str:
        """Whether the node's kubelet is at the version."""
        return _through(situation)


class Kubelet(ScriptStep):
    """The kubelet of the wanted version runs; it and kubectl are held there."""

    name = "upgrade/kubelet"
    title = "Install the new kubelet and restart it"
    reads_api = True
    deadline = 180.0

    def check(self, situation: Situation) -> Verdict:
        """Packages, and what the node says of itself. A kubelet may not be newer than the API servers."""
        node = situation.node
        if node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        problem = unfit(situation, _PACKAGES)
        if not problem and kubelet_done(situation):
            return Satisfied(f"{node.kubelet_version}, held")
        if situation.host.role != "control-plane" and (older := older_control_planes(situation)):
            return Unknown(f"control planes come first: {', '.join(older)}")
        if component_versions(situation.facts) and not passed(situation):
            return Unknown("its control plane comes first")
        return interrupted(situation) or Needed(problem or f"the kubelet that runs is {node.kubelet_version}")

    def script(self, situation: Situation) -> Script:
        """Install exactly these packages at this version, hold them, restart the kubelet and see what it restarts."""
        wanted = situation.cluster.kubernetes
        return script(
            self.name,
            environment=os_proxy.environment(situation.cluster),
            packages=[f"{name}={wanted}-*" for name in _PACKAGES if unfit(situation, (name,))],
            hold=_PACKAGES,
            service=KUBELET_SERVICE,
            restarts_api_server=rotates(situation),
        )


class Uncordon(draining.Uncordon):
    """None of clusterctl's marks is on the node: it takes pods as it did before its kubelet changed."""

    name = "upgrade/uncordon"

    def through(self, situation: Situation) -> str:
        """Whether the node's kubelet is at the version."""
        return _through(situation)


class Settled(Step):
    """The node and every control plane work, so the next node may go."""

    name = "upgrade/settled"
    title = "See that the cluster is whole before the next node"
    reads_api = True
    changes_host = False
    deadline = 300.0
    steady = 3

    def check(self, situation: Situation) -> Verdict:
        """This node Ready, and of each control plane: Ready, its pods those of its manifests and ready."""
        api, node = situation.api, situation.node
        if api is None or node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node")
        if not node.ready:
            return Needed(f"{node.name} is not Ready: {node.reason}")
        for other in api.nodes.values():
            if other.control_plane and not other.ready:
                return Needed(f"{other.name} is not Ready: {other.reason}")
        for host in situation.inventory.control_planes:
            if host.name in situation.all_facts and (problem := lagging_pods(situation, host.name)):
                return Needed(problem)
        return Satisfied("the node and every control plane are ready")


class Leftovers(ScriptStep):
    """What kubeadm kept of the time before the upgrade is gone: a copy of etcd and the manifests."""

    name = "upgrade/leftovers"
    title = "Remove kubeadm's copies of etcd and the manifests"
    follows = True

    def check(self, situation: Situation) -> Verdict:
        """The folder that kubeadm copies to."""
        if KUBEADM_BACKUPS in situation.facts.paths:
            return Needed(f"{KUBEADM_BACKUPS} holds copies of etcd and the manifests")
        return Satisfied("there are none")

    def script(self, situation: Situation) -> Script:
        """Remove what kubeadm made there."""
        return script(self.name, folder=KUBEADM_BACKUPS)


def _through(situation: Situation) -> str:
    return f"its kubelet is {situation.node.kubelet_version}" if situation.node and kubelet_done(situation) else ""
