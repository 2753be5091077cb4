"""A worker whose place another host takes: its node leaves the cluster, and the host stands by, clean.

Only nodes that are older than the wanted version leave; these steps leave all others alone.
"""

from clusterctl.model import forecast
from clusterctl.model.facts import HostFacts, NodeFacts
from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.model.versions import at_least
from clusterctl.render import Script, script
from clusterctl.steps import draining
from clusterctl.steps.drain import BeforeDrain, blocked
from clusterctl.steps.finding import KUBELET_CONF, Finding
from clusterctl.steps.places import RESETTING
from clusterctl.steps.preflight import CA_CERT, ETCD_DATA, authority
from clusterctl.steps.step import ScriptStep, Step, Tools

# There while a host is being made clean: kubeadm deletes early what would tell that it was a node.
_DELETES = (
    "deletes this host's containers, /var/lib/kubelet, what kubeadm made in /etc/kubernetes, and the pod network's "
    "files, interfaces and rules"
)
_GONE = Satisfied("it is not a node any more")


class LocalData(BeforeDrain, Finding):
    """No pod keeps data on the node's own disk, where nobody reaches it once the node is gone."""

    name = "workers/local-data"
    title = "Check for data on the node's own disk"
    tries_evictions = True

    def find(self, situation: Situation) -> Verdict:
        """hostPath volumes that are written to, and volumes that no other node reaches."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        nodes = situation.api.nodes if situation.api else {}
        left = forecast.left_behind(pods, situation.node_name, nodes)
        if not left:
            return Satisfied("none")
        return blocked(
            [f"{each}, and the node is removed" for each in left],
            ["move the data to another node or to network storage", "give it up: --ignore workers/local-data"],
        )


class Replaced(Step):
    """Without this node as many workers are Ready as the inventory wants."""

    name = "workers/replaced"
    title = "Wait until enough other workers are Ready"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """The nodes of all workers and spares, but this one and any other that leaves."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if settled := _settled(situation):
            return settled
        if problem := _too_few(situation):
            return Needed(problem)
        return Satisfied("enough workers are Ready without it")


class Drain(draining.Drain):
    """A worker that is older than the wanted version is cordoned and drained, once enough others are Ready."""

    name = "workers/drain"
    removes = True

    def through(self, situation: Situation) -> str:
        """A node at the wanted version stays."""
        return _stays(situation.node, situation)

    def early(self, situation: Situation) -> str:
        """Too few other workers."""
        return _too_few(situation)

    def check(self, situation: Situation) -> Verdict:
        """As with every drain, but not before others can take over; a node that is gone needs none."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if settled := _settled(situation):
            return settled
        verdict = super().check(situation)
        early = self.early(situation)
        return Unknown(early) if early and isinstance(verdict, Needed) else verdict


class Remove(Step):
    """The drained node is not part of the cluster any more."""

    name = "workers/remove"
    title = "Remove the drained node from the cluster"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only a worker that clusterctl drained, and only while the node is that of this host."""
        node = situation.node
        if situation.api is None:
            return Unknown(situation.api_problem)
        if settled := _settled(situation):
            return settled
        if node is None or node.control_plane:
            return Blocked(f"{situation.node_name} is a control plane", "correct its role in the inventory")
        if node.cordoned is None or not node.cordoned.drained or not node.unschedulable:
            return Unknown(f"{node.name} is drained first")
        if node.boot_id != situation.facts.boot_id:
            return Unknown(f"the kubelet of {node.name} has not spoken since this host started")
        return Needed(f"{node.name} is drained; its node is deleted")

    def preview(self, situation: Situation) -> str:
        """As kubectl would take it."""
        return f"delete node {situation.node_name}\n" if situation.node else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Delete the node."""
        tools.cluster().remove_node(situation.node_name)


class Reset(ScriptStep):
    """A host whose node was removed carries nothing of the cluster, so that it may join again."""

    name = "workers/reset"
    title = "Make the host clean again (kubeadm reset)"
    reads_api = True
    renews = True
    deadline = 60.0

    def check(self, situation: Situation) -> Verdict:
        """Never a control plane, never a host of another cluster, never while there is a node."""
        facts, host = situation.facts, situation.host
        if situation.api is None:
            return Unknown(situation.api_problem)
        if (node := situation.node) is not None:
            stays = _stays(node, situation)
            return Satisfied(stays) if stays else Unknown(f"when {node.name} is drained and removed, it {_DELETES}")
        if not used(facts):
            return Satisfied("nothing of a node is left")
        if host.role == "control-plane" or ETCD_DATA in facts.paths or facts.static_pods:
            return Blocked("a control plane is never reset", "correct its role in the inventory")
        if facts.file(CA_CERT) not in (None, authority(situation)):
            return Blocked(
                f"{CA_CERT} is the certificate authority of another cluster",
                f"if it may go: ssh {host.address} sudo kubeadm reset -f, then run the same command again",
            )
        return Needed(_DELETES)

    def script(self, situation: Situation) -> Script:
        """kubeadm reset, then what it leaves: the pod network's traces."""
        return script(self.name, mark=RESETTING)


def used(facts: HostFacts) -> bool:
    """Whether a host carries what it has as a node, or a part of it."""
    return KUBELET_CONF in facts.paths or RESETTING in facts.paths


def _settled(situation: Situation) -> Satisfied | None:
    """What is to say of a host whose node is gone, or stays."""
    if situation.node is None:
        return _GONE
    stays = _stays(situation.node, situation)
    return Satisfied(stays) if stays else None


def _stays(node: NodeFacts | None, situation: Situation) -> str:
    newer = node is not None and at_least(node.kubelet_version, situation.cluster.kubernetes)
    return f"it stays: its kubelet is {node.kubelet_version}" if node and newer else ""


def _too_few(situation: Situation) -> str:
    """What is missing until the node may leave, or nothing."""
    wanted = len(situation.inventory.workers)
    others = (situation.node_of(host) for host in situation.inventory.pool if host != situation.host)
    ready = [node.name for node in others if node and node.ready and node.cordoned is None]
    if len(ready) >= wanted:
        return ""
    return f"another host joins first: {len(ready)} of {wanted} workers would be Ready without it"
