"""Upgrade the node (kubeadm upgrade node)."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.rules.upgrading import cluster_version, older_control_planes, passed, reached
from clusterctl.rules.versions import at_least
from clusterctl.steps.upgrade.by_kubeadm import ByKubeadm


class Node(ByKubeadm):
    """kubeadm has brought this host, which is not the first control plane, to the cluster's version."""

    name = "upgrade/node"
    title = "Upgrade the node (kubeadm upgrade node)"

    def check(self, situation: Situation) -> Verdict:
        """The images in a control plane's manifests, and the mark; kubeadm takes the version from the cluster."""
        wanted = situation.cluster.kubernetes
        if situation.api is None:
            return Unknown(situation.api_problem)
        if passed(situation):
            return Satisfied(f"kubeadm upgraded this host to {reached(situation)}")
        if not at_least(cluster_version(situation), wanted):
            return Unknown(f"the cluster is at {cluster_version(situation)}; the first control plane takes it further")
        if situation.host.role != "control-plane" and (older := older_control_planes(situation)):
            return Unknown(f"control planes come first: {', '.join(older)}")
        return Needed(f"kubeadm has not upgraded this host to {wanted}")
