"""Wait until the control plane's pods are ready."""

from clusterctl.model.places import STATIC_PODS
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step


class Ready(Step):
    """The control plane's own pods are ready."""

    name = "control-plane/ready"
    title = "Wait until the control plane's pods are ready"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """As the API shows the static pods of this node."""
        if situation.api is None or situation.node is None:
            return Unknown(situation.api_problem or f"{situation.node_name} is not a node yet")
        pods = [f"{name}-{situation.node_name}" for name in STATIC_PODS]
        waiting = [pod for pod in pods if not situation.api.static_pods.get(pod)]
        if waiting:
            return Needed(f"{', '.join(waiting)} {'is' if len(waiting) == 1 else 'are'} not ready")
        return Satisfied(f"{', '.join(STATIC_PODS)} are ready")
