"""Wait for kube-proxy and CoreDNS."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step


class AddOns(Step):
    """kube-proxy runs on every node, and CoreDNS answers."""

    name = "control-plane/add-ons"
    title = "Wait for kube-proxy and CoreDNS"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """All pods that they want are ready."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        for name in ("kube-system/DaemonSet/kube-proxy", "kube-system/Deployment/coredns"):
            workload = situation.api.workloads.get(name)
            if workload is None:
                return Needed(f"{name} is missing")
            if workload.ready < workload.desired or not workload.desired:
                return Needed(f"{name}: {workload.ready} of {workload.desired} pods are ready")
        return Satisfied("kube-proxy and CoreDNS are ready")
