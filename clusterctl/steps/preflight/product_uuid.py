"""Check the firmware's product_uuid."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import Finding
from clusterctl.steps.preflight.identity import clones


class ProductUuid(Finding):
    """The firmware's identity is this host's alone, where there is one."""

    name = "preflight/product-uuid"
    title = "Check the firmware's product_uuid"

    def find(self, situation: Situation) -> Verdict:
        """kubeadm's own requirement."""
        if not situation.facts.product_uuid:
            return Satisfied("the firmware gives none")
        if twins := clones(situation, lambda other: other.product_uuid):
            return Blocked(
                f"{twins} the same product_uuid, {situation.facts.product_uuid}",
                "let the hypervisor give each machine its own; sudo cat /sys/class/dmi/id/product_uuid shows it",
            )
        return Satisfied(situation.facts.product_uuid)
