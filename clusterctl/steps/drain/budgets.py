"""Check the disruption budgets."""

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Satisfied, Verdict
from clusterctl.model.words import count
from clusterctl.rules import forecast
from clusterctl.steps.before_drain import BeforeDrain, blocked, remedies, several
from clusterctl.steps.finding import Finding


class Budgets(BeforeDrain, Finding):
    """Every pod of the node may be evicted as far as disruption budgets go."""

    name = "drain/budgets"
    title = "Check the disruption budgets"
    tries_evictions = True

    def find(self, situation: Situation) -> Verdict:
        """The API server's answers to evictions that are not meant; pods that leave in turns are no hindrance.

        While a node carries clusterctl's mark, pods that an earlier run evicted may be on their way up elsewhere: what
        may cure itself is a warning then, and `drain/evictable` waits for it.
        """
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        options, node = situation.cluster.drain, situation.node_name
        if options.disable_eviction:
            return Satisfied("pods are deleted, not evicted: no budget is asked (disable_eviction)", warning=True)
        blocks = forecast.blocks(pods, node, options)
        reasons = [block.reason for block in blocks]
        if reasons and (left := _cordoned(situation)) and all(block.passing for block in blocks):
            why = f"it is waited for, as pods that left {', '.join(left)} may be on their way up"
            return Satisfied(f"{several(reasons)}; {why}", warning=True)
        if reasons:
            return blocked(reasons, remedies(situation, blocks))
        waits = [str(wait) for wait in forecast.waits(pods, node, options)]
        return Satisfied("; ".join(waits) or f"{count(len(forecast.moving(pods, node)), 'pod')} may leave")


def _cordoned(situation: Situation) -> list[str]:
    """The nodes that carry clusterctl's mark."""
    return [node.name for node in situation.api.nodes.values() if node.cordoned] if situation.api else []
