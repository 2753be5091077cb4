"""Check the feature gates."""

from collections.abc import Mapping
from typing import Any

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.look import removed_by

# kubeadm's own feature gates, by the minor that no longer knows them: it refuses a configuration that names one.
_KUBEADM_GATES = {
    (1, 36): ("ControlPlaneKubeletLocalMode",),
    (1, 37): ("PublicKeysECDSA", "NodeLocalCRISocket"),
}


class FeatureGates(Finding):
    """The feature gates of the cluster are ones that the new version knows."""

    name = "upgrade/feature-gates"
    title = "Check the feature gates"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """kubeadm's by a table; the components' by their stage in the API server that runs: what is GA goes soon."""
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("looked at once, for the first control plane")
        if situation.api is None:
            return Unknown(situation.api_problem)
        config = situation.api.settings.get("ClusterConfiguration", {})
        kubeadm = config.get("featureGates") or {}
        gone = [name for name in removed_by(_KUBEADM_GATES, situation) if name in kubeadm]
        if gone:
            return Blocked(
                f"kubeadm of {situation.cluster.minor} does not know the feature gate {', '.join(gone)}",
                "take it out of featureGates: kubectl -n kube-system edit configmap kubeadm-config",
            )
        outlook = situation.facts.outlook
        stages = (outlook.gates if outlook else None) or {}
        done = sorted(name for name in _component_gates(situation.api.settings) if stages.get(name) == "GA")
        if done:
            return Satisfied(
                f"set although they are part of Kubernetes now, and unknown to a coming version: {', '.join(done)}",
                warning=True,
            )
        return Satisfied("nothing is known against them")


def _component_gates(settings: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The feature gates that kubelets and control plane are given."""
    names = set(settings.get("KubeletConfiguration", {}).get("featureGates") or {})
    config = settings.get("ClusterConfiguration", {})
    for component in ("apiServer", "controllerManager", "scheduler"):
        for argument in (config.get(component) or {}).get("extraArgs") or ():
            if isinstance(argument, Mapping) and argument.get("name") == "feature-gates":
                names |= {pair.partition("=")[0] for pair in str(argument.get("value")).split(",")}
    return names
