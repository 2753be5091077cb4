"""Check the container runtime's version."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.versions import at_least, minor
from clusterctl.steps.finding import Finding


class Runtime(Finding):
    """The container runtime is one that the new kubelet works with."""

    name = "upgrade/runtime"
    title = "Check the container runtime's version"

    def find(self, situation: Situation) -> Verdict:
        """From 1.38 on the kubelet asks the runtime for its cgroup driver, which containerd can tell since 2.0."""
        containerd = situation.facts.containerd_version.partition("~")[0]
        if minor(situation.cluster.kubernetes) >= (1, 38) and containerd and not at_least(containerd, "2.0.0"):
            return Blocked(
                f"containerd is {containerd}; the kubelet of {situation.cluster.minor} needs 2.0 or newer",
                "install a newer one first, node by node and drained: cluster.sources.containerd says from where",
            )
        return Satisfied(f"containerd {containerd}" if containerd else "no containerd")
