"""Wait until enough other workers are Ready."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step
from clusterctl.steps.workers.leaving import if_not_leaving, too_few


class Replaced(Step):
    """Without this node as many workers are Ready as the inventory wants."""

    name = "workers/replaced"
    title = "Wait until enough other workers are Ready"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """The nodes of all workers and spares, but this one and any other that leaves."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if settled := if_not_leaving(situation):
            return settled
        if problem := too_few(situation):
            return Needed(problem)
        return Satisfied("enough workers are Ready without it")
