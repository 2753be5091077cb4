"""Install Calico's operator."""

import re

from clusterctl.errors import InputError
from clusterctl.model.inventory import CalicoNetwork, Source
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.rules.network import OPERATOR, OPERATOR_RECORD
from clusterctl.steps.network.plugin import named, no_api, not_applied, not_chosen, sources_digest
from clusterctl.steps.step import Step, Tools

_OPERATOR_IMAGE = re.compile(r"^(\s*image:\s*)quay\.io/(tigera/operator:\S+)", re.MULTILINE)


class CalicoOperator(Step):
    """Calico's operator is in the cluster."""

    name = OPERATOR_RECORD
    title = "Install Calico's operator"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """The record of the last apply, and the Deployment; whether its pod runs is ``network/ready``'s matter."""
        network = situation.cluster.network
        if not isinstance(network, CalicoNetwork):
            return not_chosen(situation)
        if situation.api is None:
            return no_api(situation)
        if problem := not_applied(situation.api, self.name, _operator_digest(network)):
            return Needed(problem)
        if OPERATOR not in situation.api.workloads:
            return Needed(f"{OPERATOR} is gone")
        return Satisfied(f"Calico {network.version}")

    def sources(self, situation: Situation) -> tuple[Source, ...]:
        """The release's manifest."""
        network = situation.cluster.network
        return (network.operator,) if isinstance(network, CalicoNetwork) else ()

    def preview(self, situation: Situation) -> str:
        """Which manifest, and what is changed in it."""
        network = situation.cluster.network
        text = named(self.sources(situation))
        if isinstance(network, CalicoNetwork) and network.registry:
            text += f"# image: quay.io/tigera/operator becomes {network.registry}tigera/operator\n"
        return text

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply, with the operator's image from the inventory's registry."""
        network = situation.cluster.network
        if isinstance(network, CalicoNetwork):
            text = with_registry(tools.fetch(network.operator), network)
            tools.cluster().apply(text, record=self.name, digest=_operator_digest(network))


def with_registry(manifest: str, network: CalicoNetwork) -> str:
    """The operator's manifest, with its own image from the registry that Calico's images come from."""
    if not network.registry:
        return manifest
    text, count = _OPERATOR_IMAGE.subn(lambda found: f"{found[1]}{network.registry}{found[2]}", manifest)
    if not count:
        raise InputError(
            f"{network.operator} holds no image quay.io/tigera/operator that cluster.network.registry could replace",
            resolution="give the operator's manifest as the release has it, or without cluster.network.registry",
        )
    return text


def _operator_digest(network: CalicoNetwork) -> str:
    digest = sources_digest(network.operator)
    return manifest_digest(f"{digest} {network.registry}") if network.registry else digest
