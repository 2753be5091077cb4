"""Install the network plugin of the inventory's manifests."""

from clusterctl.model.inventory import ManifestsNetwork, Source
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.rules.network import MANIFESTS_RECORD, other_plugin
from clusterctl.steps.network.plugin import named, no_api, not_applied, not_chosen, sources_digest
from clusterctl.steps.step import Step, Tools


class Manifests(Step):
    """The manifests of the operator's own choice are applied."""

    name = MANIFESTS_RECORD
    title = "Install the network plugin of the inventory's manifests"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """The record of the last apply, and the workloads that it names."""
        network = situation.cluster.network
        if not isinstance(network, ManifestsNetwork):
            return not_chosen(situation)
        if situation.api is None:
            return no_api(situation)
        if other := other_plugin(situation.api, network.plugin):
            return other
        if problem := not_applied(situation.api, self.name, sources_digest(*network.manifests)):
            return Needed(problem)
        gone = [key for key in situation.api.applied[self.name].workloads if key not in situation.api.workloads]
        if gone:
            return Needed(f"{', '.join(gone)} is gone")
        return Satisfied(", ".join(str(source) for source in network.manifests))

    def sources(self, situation: Situation) -> tuple[Source, ...]:
        """The inventory's list."""
        network = situation.cluster.network
        return network.manifests if isinstance(network, ManifestsNetwork) else ()

    def preview(self, situation: Situation) -> str:
        """Which manifests, in which order."""
        return named(self.sources(situation))

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Server-side apply, as one stream."""
        sources = self.sources(situation)
        text = "\n---\n".join(tools.fetch(source) for source in sources)
        tools.cluster().apply(text, record=self.name, digest=sources_digest(*sources))
