"""Drain a worker that leaves the cluster."""

from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Unknown, Verdict
from clusterctl.steps import draining
from clusterctl.steps.workers.leaving import if_not_leaving, too_few, why_it_stays


class Drain(draining.Drain):
    """A worker that is older than the wanted version is cordoned and drained, once enough others are Ready."""

    name = "workers/drain"
    removes = True

    def through(self, situation: Situation) -> str:
        """A node at the wanted version stays."""
        return why_it_stays(situation.node, situation)

    def early(self, situation: Situation) -> str:
        """Too few other workers."""
        return too_few(situation)

    def check(self, situation: Situation) -> Verdict:
        """As with every drain, but not before others can take over; a node that is gone needs none."""
        if situation.api is None:
            return Unknown(situation.api_problem)
        if settled := if_not_leaving(situation):
            return settled
        verdict = super().check(situation)
        early = self.early(situation)
        return Unknown(early) if early and isinstance(verdict, Needed) else verdict
