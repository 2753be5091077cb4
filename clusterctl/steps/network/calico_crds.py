"""Define the kinds of Calico's operator."""

from clusterctl.model.inventory import CalicoNetwork, Source
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.rules.network import CALICO_KINDS, CRDS_RECORD, other_plugin
from clusterctl.steps.network.plugin import named, no_api, not_applied, not_chosen, sources_digest
from clusterctl.steps.step import Step, Tools


class CalicoCrds(Step):
    """The kinds of Calico's operator are defined."""

    name = CRDS_RECORD
    title = "Define the kinds of Calico's operator"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """The record of the last apply, and what the API serves."""
        network = situation.cluster.network
        if not isinstance(network, CalicoNetwork):
            return not_chosen(situation)
        if situation.api is None:
            return no_api(situation)
        if other := other_plugin(situation.api, network.plugin):
            return other
        if problem := not_applied(situation.api, self.name, sources_digest(network.operator_crds)):
            return Needed(problem)
        missing = CALICO_KINDS - (situation.api.calico.kinds if situation.api.calico else frozenset())
        if missing:
            return Needed(f"the API does not serve {', '.join(sorted(missing))}")
        return Satisfied(f"those of {network.operator_crds}")

    def sources(self, situation: Situation) -> tuple[Source, ...]:
        """The release's definitions."""
        network = situation.cluster.network
        return (network.operator_crds,) if isinstance(network, CalicoNetwork) else ()

    def preview(self, situation: Situation) -> str:
        """Which manifest; its text is megabytes."""
        return named(self.sources(situation))

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply: a definition is too large for the annotation of a client-side one."""
        for source in self.sources(situation):
            tools.cluster().apply(tools.fetch(source), record=self.name, digest=sources_digest(source))
