"""Check etcd's version."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.versions import at_least, image_version, minor
from clusterctl.steps.finding import Finding

# What etcd's makers ask for before 3.6: older ones may bring members back that were removed ("zombie members").
_SAFE_3_5 = "3.5.26"


class EtcdVersion(Finding):
    """etcd is new enough for the step to its next minor version."""

    name = "upgrade/etcd-version"
    title = "Check etcd's version"

    def find(self, situation: Situation) -> Verdict:
        """Kubernetes 1.34 brings etcd 3.6; a cluster whose members were replaced needs a late 3.5 before."""
        image = situation.facts.static_pods.get("etcd", "")
        version = image_version(image)
        if not version:
            return Satisfied("no etcd of a known version runs here")
        if not at_least(version, _SAFE_3_5) and minor(situation.cluster.kubernetes) >= (1, 34):
            return Blocked(
                f"etcd is {version}; before 3.6 every member has to be at {_SAFE_3_5} or newer, or members that were "
                "removed once may come back",
                f"set etcd.local.imageTag {_SAFE_3_5}-0 in the ConfigMap kubeadm-config, upgrade within the minor, and "
                "unset it; where no member was ever removed, ignore this finding",
            )
        return Satisfied(f"etcd {version}")
