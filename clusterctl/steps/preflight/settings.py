"""Compare a running cluster's settings with the inventory."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.kubeadm_config import differences


class Settings(Finding):
    """A cluster that runs has the settings of the inventory."""

    name = "preflight/settings"
    title = "Compare a running cluster's settings with the inventory"
    reads_api = True

    def find(self, situation: Situation) -> Verdict:
        """kubeadm keeps what it was told at init; bootstrap does not change it afterwards."""
        if situation.host != situation.inventory.first_control_plane:
            return Satisfied("compared once, for the first control plane")
        if situation.api is None:
            return Satisfied(f"not compared: {situation.api_problem}")
        different = differences(situation, situation.api.settings)
        if different:
            return Blocked(
                "; ".join(different),
                "changes after bootstrap are not applied yet: put the inventory's old settings back, or change the "
                "cluster by hand (kubernetes.io: Reconfiguring a kubeadm cluster)",
            )
        return Satisfied("they agree")
