"""Check that the images can be had."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.rules.membership import is_node
from clusterctl.steps.finding import A_NODE, Finding
from clusterctl.steps.preflight.network import NOT_ASKED


class Registries(Finding):
    """The image registries answer this host."""

    name = "preflight/registries"
    title = "Check that the images can be had"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """Each registry by itself or by one of its mirrors."""
        survey = situation.survey
        if survey is None:
            return A_NODE if is_node(situation) else NOT_ASKED
        silent = [(name, problem) for name, problem in survey.registries if problem]
        if any(problem == "curl is not installed" for _, problem in silent):
            return Satisfied("curl is not installed yet, so the registries were not asked", warning=True)
        if silent:
            return Blocked(
                "; ".join(f"{name} does not answer ({problem})" for name, problem in silent),
                "open the way to it, or name a mirror in cluster.sources.registries; with images that are on the "
                "hosts already: --ignore preflight/registries",
            )
        return Satisfied(", ".join(name for name, _ in survey.registries) or "none asked")
