"""Check the control plane's pods."""

from clusterctl.model.places import STATIC_PODS
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.rules.upgrading import begun
from clusterctl.steps.finding import Finding


class ControlPlane(Finding):
    """The control plane's own pods are ready."""

    name = "upgrade/control-plane"
    title = "Check the control plane's pods"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """As the API shows the static pods of this node."""
        if situation.host.role != "control-plane":
            return Satisfied("a worker has none")
        if situation.api is None:
            return Unknown(situation.api_problem)
        pods = [f"{name}-{situation.node_name}" for name in STATIC_PODS]
        waiting = [pod for pod in pods if not situation.api.static_pods.get(pod)]
        if waiting and begun(situation):
            return Satisfied(f"not ready: {', '.join(waiting)}; the upgrade has begun here and goes on", warning=True)
        if waiting:
            return Blocked(
                f"not ready: {', '.join(waiting)}",
                f"kubectl -n kube-system describe pod {waiting[0]}; kubectl -n kube-system logs {waiting[0]}",
            )
        return Satisfied(f"{', '.join(STATIC_PODS)} are ready")
