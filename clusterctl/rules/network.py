"""Which network plugin a cluster has. Pure."""

from clusterctl.model.facts import ClusterFacts
from clusterctl.model.verdict import Blocked

FLANNEL = "kube-flannel/DaemonSet/kube-flannel-ds"
OPERATOR = "tigera-operator/Deployment/tigera-operator"
CALICO_NODE = "calico-system/DaemonSet/calico-node"
# The collections without which the operator cannot be told anything.
CALICO_KINDS = frozenset({"installations", "apiservers", "tigerastatuses"})

CRDS_RECORD, OPERATOR_RECORD, MANIFESTS_RECORD = "network/calico-crds", "network/calico-operator", "network/manifests"
# How many of many are named.
SHOWN = 3


def other_plugin(api: ClusterFacts, chosen: str) -> Blocked | None:
    """Two plugins on one cluster cut pods off from each other, so a living cluster keeps the one it has."""
    own = MANIFESTS_RECORD in api.applied  # They may hold what looks like one of the others.
    told = any(name in api.applied for name in (CRDS_RECORD, OPERATOR_RECORD)) or (
        api.calico is not None and api.calico.installation is not None
    )
    living = {"flannel": not own and FLANNEL in api.workloads, "calico": not own and told, "manifests": own}
    others = [name for name, there in living.items() if there and name != chosen]
    if others:
        return Blocked(
            f"this cluster's network is {others[0]}'s, the inventory chooses {chosen}"
            if others[0] != "manifests"
            else f"this cluster's network comes from own manifests, the inventory chooses {chosen}",
            "clusterctl does not change the plugin of a living cluster, because pods of the old and the new network "
            f"do not reach each other: set cluster.network.plugin to {others[0]}, or make a new cluster",
        )
    if not any(living.values()) and any(node.ready for node in api.nodes.values()):
        seen = sorted(
            key for key in api.workloads if "/DaemonSet/" in key and key != "kube-system/DaemonSet/kube-proxy"
        )
        return Blocked(
            "nodes are Ready, so a network plugin that clusterctl did not install runs here already"
            + (f"; DaemonSets: {', '.join(seen[:SHOWN])}" if seen else ""),
            "clusterctl does not put a second one beside it: look at it with `kubectl get daemonsets -A` and at "
            "/etc/cni/net.d on the nodes; use a playbook without the steps network/*",
        )
    return None
