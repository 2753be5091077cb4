"""Check for old taints and labels."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.steps.finding import Finding

_MASTER = "node-role.kubernetes.io/master"


class OldMarks(Finding):
    """The node carries no taint and no label of the word master, which Kubernetes gave up with 1.25."""

    name = "upgrade/old-marks"
    title = "Check for old taints and labels"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """The taint keeps kubeadm's health check and the new add-ons away; the label only misleads."""
        node, name = situation.node, situation.node_name
        if situation.api is None:
            return Unknown(situation.api_problem)
        if node and any(taint.partition(":")[0].partition("=")[0] == _MASTER for taint in node.taints):
            return Blocked(
                f"{name} has the taint {_MASTER}, which nothing of Kubernetes tolerates any more",
                f"take it away: kubectl taint nodes {name} {_MASTER}-",
            )
        if node and _MASTER in node.labels:
            return Satisfied(
                f"{name} has the old label {_MASTER}; where nothing selects it: kubectl label node {name} {_MASTER}-",
                warning=True,
            )
        return Satisfied("none")
