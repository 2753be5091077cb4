"""When a worker whose place another host takes may leave, and when it stays. Pure."""

from clusterctl.model.facts import NodeFacts
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied
from clusterctl.rules.versions import at_least

# There while a host is being made clean: kubeadm deletes early what would tell that it was a node.
DELETES = (
    "deletes this host's containers, /var/lib/kubelet, what kubeadm made in /etc/kubernetes, and the pod network's "
    "files, interfaces and rules"
)
_GONE = Satisfied("it is not a node any more")


def if_not_leaving(situation: Situation) -> Satisfied | None:
    """What is to say of a host whose node is gone, or stays."""
    if situation.node is None:
        return _GONE
    stays = why_it_stays(situation.node, situation)
    return Satisfied(stays) if stays else None


def why_it_stays(node: NodeFacts | None, situation: Situation) -> str:
    """What shows that a node is not to leave, or empty when it is."""
    newer = node is not None and at_least(node.kubelet_version, situation.cluster.kubernetes)
    return f"it stays: its kubelet is {node.kubelet_version}" if node and newer else ""


def too_few(situation: Situation) -> str:
    """What is missing until the node may leave, or nothing."""
    wanted = len(situation.inventory.workers)
    others = (situation.node_of(host) for host in situation.inventory.pool if host != situation.host)
    ready = [node.name for node in others if node and node.ready and node.cordoned is None]
    if len(ready) >= wanted:
        return ""
    return f"another host joins first: {len(ready)} of {wanted} workers would be Ready without it"
