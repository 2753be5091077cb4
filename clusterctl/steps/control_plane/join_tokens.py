"""Delete the join tokens of this run."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.steps.step import Step, Tools


class JoinTokens(Step):
    """No token with which a machine could join is left."""

    name = "control-plane/join-tokens"
    title = "Delete the join tokens of this run"
    follows = True
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only tokens that clusterctl made count."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if tokens := situation.api.join_tokens:
            return Needed(f"{len(tokens)} of clusterctl's join tokens still exist")
        return Satisfied("none is left")

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Delete them."""
        tools.cluster().delete_join_tokens()
