"""Wait until the pods may leave."""

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.model.words import count
from clusterctl.rules import forecast
from clusterctl.steps.before_drain import BeforeDrain, any_of, blocked, remedies, several


class Evictable(BeforeDrain):
    """At this moment every pod of the node may be evicted."""

    name = "drain/evictable"
    title = "Wait until the pods may leave"
    tries_evictions = True
    deadline = 600.0

    def check(self, situation: Situation) -> Verdict:
        """The API server's answers to evictions that are not meant, asked anew: budgets change during a run."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        options, node = situation.cluster.drain, situation.node_name
        fatal = (*forecast.unmanaged(pods, node, options), *forecast.emptydir(pods, node, options))
        blocks = forecast.blocks(pods, node, options)
        lasting = [block for block in blocks if not block.passing]
        if fatal or lasting:
            return blocked(
                [*(f"{each.pod} {each.reason}" for each in fatal), *(block.reason for block in lasting)],
                [*(each.remedy for each in fatal), *remedies(situation, lasting)],
            )
        if blocks:
            ways = any_of(remedies(situation, blocks))
            return Needed(several([block.reason for block in blocks]), f"{ways}; then run the same command again")
        return Satisfied(f"{count(len(forecast.moving(pods, node)), 'pod')} may leave")
