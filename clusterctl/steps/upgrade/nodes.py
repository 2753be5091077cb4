"""Check that the nodes are Ready."""

from clusterctl.model.facts import ClusterFacts
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.rules.upgrading import begun
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.look import is_first, own_nodes

_CONTROL_PLANE_TAINT = "node-role.kubernetes.io/control-plane"
_NO_PODS = (":NoSchedule", ":NoExecute")


class Nodes(Finding):
    """The node is Ready, and pods may come to some node."""

    name = "upgrade/nodes"
    title = "Check that the nodes are Ready"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """kubeadm itself wants the control planes Ready and a place for its health check; somebody's cordon is told."""
        api, node, name = situation.api, situation.node, situation.node_name
        if api is None:
            return Unknown(situation.api_problem)
        if node is None:
            return Blocked(f"the cluster has no node {name}", "let it join first: clusterctl bootstrap")
        if not node.ready:
            trouble = f"{name} is not Ready: {node.reason}"
            if node.cordoned or begun(situation):
                return Satisfied(f"{trouble}; its upgrade has begun and goes on", warning=True)
            return Blocked(
                trouble, f"kubectl describe node {name}; ssh {situation.host.address} sudo journalctl -u kubelet -n 50"
            )
        if is_first(situation) and not _anywhere_for_pods(api):
            return Blocked(
                "no node takes new pods, so that kubeadm's health check cannot run",
                f"let one take pods again: kubectl uncordon {name}",
            )
        strangers = (
            sorted(each for each in api.nodes if each not in own_nodes(situation)) if is_first(situation) else []
        )
        if strangers:
            return Satisfied(f"not in the inventory, and not upgraded: {', '.join(strangers)}", warning=True)
        if node.unschedulable and node.cordoned is None:
            return Satisfied(f"{name} was cordoned by somebody else, and stays so", warning=True)
        return Satisfied(f"{name} is Ready")


def _anywhere_for_pods(api: ClusterFacts) -> bool:
    """Whether some node takes kubeadm's Job, which tolerates the control planes' own taint. Our cordons pass."""
    return any(
        node.ready
        and (not node.unschedulable or (node.cordoned is not None and not node.cordoned.unschedulable))
        and not any(
            taint.endswith(_NO_PODS) and taint.partition(":")[0].partition("=")[0] != _CONTROL_PLANE_TAINT
            for taint in node.taints
        )
        for node in api.nodes.values()
    )
