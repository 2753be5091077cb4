"""What draining a host's node will meet, and what a finding says of it."""

from collections.abc import Sequence
from copy import copy
from typing import Self

from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown, Verdict
from clusterctl.rules import forecast
from clusterctl.rules.drain import Fatal
from clusterctl.rules.forecast import Block
from clusterctl.rules.placement import Stranded
from clusterctl.rules.upgrading import has_older_kubelet
from clusterctl.steps.draining import Drain, Uncordon
from clusterctl.steps.step import Step

_SHOWN = 3


class BeforeDrain(Step):
    """A look at what draining the host's node will meet, by the drain of the same playbook, or by an upgrade's."""

    reads_api = True
    reads_pods = True
    changes_host = False
    tries_evictions = False
    _drain: Drain | None = None
    _gives_back = False

    def beside(self, others: Sequence[Step]) -> Self:
        """The same step, which asks the drain of its playbook, and knows whether the node is given back there."""
        made = copy(self)
        made._drain = next((step.beside(others) for step in others if isinstance(step, Drain)), None)
        removes = made._drain is not None and made._drain.removes
        made._gives_back = not removes and any(isinstance(step, Uncordon) for step in others)
        return made

    def drains(self, situation: Situation) -> bool:
        """Whether this run will drain the host's node. Pure."""
        return not self._through(situation)

    def _through(self, situation: Situation) -> str:
        """What shows that the node does not have to be drained, or empty."""
        if self._drain:
            return self._drain.through(situation)
        running = situation.node.kubelet_version if situation.node else "unknown"
        return "" if has_older_kubelet(situation) else f"its kubelet is {running}"

    def looks_ahead(self, situation: Situation) -> bool:
        """Only for nodes that are drained."""
        return self.tries_evictions and self.drains(situation)

    def pods_to_move(self, situation: Situation) -> Pods | Verdict:
        """The pods of the cluster; a verdict where nothing is drained or nothing is known. Pure."""
        if situation.node is None and situation.api is not None:
            return Satisfied("not a node: nothing is drained")
        if situation.node is None or situation.pods is None:
            return Unknown(situation.api_problem)
        if through := self._through(situation):
            return Satisfied(f"the node is not drained: {through}")
        return situation.pods


def without_a_node(situation: Situation, pods: Pods) -> tuple[Stranded, ...]:
    """The pods of the host's node that would find no other one."""
    nodes = situation.api.nodes if situation.api else {}
    return forecast.without_a_node(pods, situation.node_name, nodes, situation.cluster.drain)


def if_fatal(fatal: Sequence[Fatal], first: str) -> Blocked | None:
    """Blocked where kubectl would refuse to drain; ``first`` is the first thing to do about it."""
    if not fatal:
        return None
    return blocked([f"{each.pod} {each.reason}" for each in fatal], [first, *(each.remedy for each in fatal)])


def remedies(situation: Situation, blocks: Sequence[Block]) -> list[str]:
    """What to do about budgets; a cordon is what the operator of a workload may wait for."""
    cordon = f"clusterctl cordon {situation.host.name}"
    told = [
        f"where {block.keeper} moves its pods once their node is cordoned: {cordon}" for block in blocks if block.keeper
    ]
    return [*told, *(block.remedy for block in blocks)]


def blocked(reasons: Sequence[str], remedies: Sequence[str]) -> Blocked:
    """Blocked for all these reasons; any of the remedies helps."""
    return Blocked(several(reasons), any_of(remedies))


def any_of(remedies: Sequence[str]) -> str:
    """Remedies, of which any one helps."""
    return "; or ".join(dict.fromkeys(remedies))


def several(reasons: Sequence[str]) -> str:
    """The first of many reasons, and where the others are told."""
    more = len(reasons) - _SHOWN
    told = "; ".join(reasons[:_SHOWN])
    return f"{told}; and {more} more: see clusterctl forecast" if more > 0 else told
