"""Upgrade the first control plane (kubeadm upgrade apply)."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.rules.upgrading import COMPONENTS, cluster_version, component_versions, passed
from clusterctl.rules.versions import at_least
from clusterctl.steps.upgrade.by_kubeadm import ByKubeadm


class Apply(ByKubeadm):
    """The first control plane, and with it the cluster's configuration, is of the wanted version."""

    name = "upgrade/apply"
    title = "Upgrade the first control plane (kubeadm upgrade apply)"

    def check(self, situation: Situation) -> Verdict:
        """The images in its manifests, kubeadm's configuration in the cluster, and the mark that it came to its end."""
        wanted = situation.cluster.kubernetes
        if situation.api is None:
            return Unknown(situation.api_problem)
        for name, version in zip(COMPONENTS, component_versions(situation.facts), strict=False):
            if not at_least(version, wanted):
                return Needed(f"{name} is {version or 'of an unknown version'}, wanted is {wanted}")
        if not at_least(cluster_version(situation), wanted):
            return Needed(f"kubeadm's configuration says {cluster_version(situation)}, wanted is {wanted}")
        if not passed(situation):
            return Needed(f"kubeadm upgrade apply {wanted} did not come to its end here")
        return Satisfied(f"the control plane runs {component_versions(situation.facts)[0]}")
