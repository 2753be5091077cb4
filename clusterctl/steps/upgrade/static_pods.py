"""Wait until the control plane's pods run the new version."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.rules.upgrading import lagging_pods
from clusterctl.steps.step import Step


class StaticPods(Step):
    """The host's control plane pods are those of its manifests, and ready."""

    name = "upgrade/static-pods"
    title = "Wait until the control plane's pods run the new version"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """As the API shows them: their images and whether they are ready."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if problem := lagging_pods(situation, situation.host.name):
            return Needed(problem)
        return Satisfied("the pods are those of the manifests, and ready")
