"""What draining a host's node will meet, before anything moves and again before each node."""

from collections.abc import Sequence
from copy import copy
from typing import Self

from clusterctl.model import forecast
from clusterctl.model.drain import Fatal
from clusterctl.model.forecast import Block
from clusterctl.model.placement import Stranded
from clusterctl.model.pods import Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown, Verdict
from clusterctl.model.versions import at_least
from clusterctl.model.words import count
from clusterctl.steps.draining import Drain, Uncordon
from clusterctl.steps.finding import Finding
from clusterctl.steps.step import Step

_SHOWN = 3


def has_older_kubelet(situation: Situation) -> bool:
    """Whether the node's kubelet is older than the wanted version, so that an upgrade drains it."""
    running = situation.node.kubelet_version if situation.node else ""
    return bool(running) and not at_least(running, situation.cluster.kubernetes)


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
            return Satisfied(f"{_several(reasons)}; {why}", warning=True)
        if reasons:
            return blocked(reasons, _remedies(situation, blocks))
        waits = [str(wait) for wait in forecast.waits(pods, node, options)]
        return Satisfied("; ".join(waits) or f"{count(len(forecast.moving(pods, node)), 'pod')} may leave")


class Unmanaged(BeforeDrain, Finding):
    """Every pod of the node has a controller that makes another one elsewhere."""

    name = "drain/unmanaged"
    title = "Check for pods that nobody makes again"

    def find(self, situation: Situation) -> Verdict:
        """The pods' controllers; ``force`` lets pods without one be deleted."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        fatal = forecast.unmanaged(pods, situation.node_name, situation.cluster.drain)
        return _fatal(fatal, "save what they hold and delete them") or Satisfied("every pod has a controller")


class EmptyDir(BeforeDrain, Finding):
    """No pod of the node keeps data in an emptyDir."""

    name = "drain/emptydir"
    title = "Check for data in emptyDir"

    def find(self, situation: Situation) -> Verdict:
        """The pods' volumes; ``delete_emptydir_data`` lets such data be deleted."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        fatal = forecast.emptydir(pods, situation.node_name, situation.cluster.drain)
        return _fatal(fatal, "look at what they hold") or Satisfied("none")


class Placement(BeforeDrain, Finding):
    """Every pod of the node finds another one, or comes back to this one because no other is meant for it."""

    name = "drain/placement"
    title = "Check that every pod has somewhere to go"
    tries_evictions = True

    def find(self, situation: Situation) -> Verdict:
        """What the scheduler demands (selectors, affinities, taints, volumes, ports, requests), tried first-fit."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        if self._drain and (early := self._drain.early(situation)):
            return Unknown(early)
        stranded = _without_a_node(situation, pods)
        lost = [each for each in stranded if not (each.returns and self._gives_back)]
        if lost:
            return blocked(
                [f"{each.pod} has nowhere to go ({each.why})" for each in lost], [_way_out(each) for each in lost]
            )
        if stranded:
            them = "it" if len(stranded) == 1 else "them"
            return Satisfied(f"{count(len(stranded), 'pod')} will wait for this node, which alone is meant for {them}")
        return Satisfied("every pod finds another node")


class Losses(BeforeDrain, Finding):
    """The operator knows what draining the node loses or interrupts although no rule forbids it."""

    name = "drain/losses"
    title = "Tell what the drain interrupts"
    tries_evictions = True

    def find(self, situation: Situation) -> Verdict:
        """Data on the node, Jobs, replicas, rollouts, sessions. Only ever a warning."""
        pods = self.pods_to_move(situation)
        if not isinstance(pods, Pods):
            return pods
        left = _without_a_node(situation, pods)
        losses = forecast.losses(pods, situation.node_name, left, situation.cluster.drain)
        return Satisfied(_several(losses), warning=True) if losses else Satisfied("nothing")


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
                [*(each.remedy for each in fatal), *_remedies(situation, lasting)],
            )
        if blocks:
            ways = _ways(_remedies(situation, blocks))
            return Needed(_several([block.reason for block in blocks]), f"{ways}; then run the same command again")
        return Satisfied(f"{count(len(forecast.moving(pods, node)), 'pod')} may leave")


def _cordoned(situation: Situation) -> list[str]:
    """The nodes that carry clusterctl's mark."""
    return [node.name for node in situation.api.nodes.values() if node.cordoned] if situation.api else []


def _without_a_node(situation: Situation, pods: Pods) -> tuple[Stranded, ...]:
    nodes = situation.api.nodes if situation.api else {}
    return forecast.without_a_node(pods, situation.node_name, nodes, situation.cluster.drain)


def _way_out(lost: Stranded) -> str:
    if lost.budget:
        return f"let the budget {lost.budget} allow more, or have pods deleted in spite of it: --disable-eviction"
    return "make room, or let the pods wait for this node to come back: --ignore drain/placement"


def _fatal(fatal: Sequence[Fatal], first: str) -> Blocked | None:
    if not fatal:
        return None
    return blocked([f"{each.pod} {each.reason}" for each in fatal], [first, *(each.remedy for each in fatal)])


def _remedies(situation: Situation, blocks: Sequence[Block]) -> list[str]:
    """What to do about budgets; a cordon is what the operator of a workload may wait for."""
    cordon = f"clusterctl cordon {situation.host.name}"
    told = [
        f"where {block.keeper} moves its pods once their node is cordoned: {cordon}" for block in blocks if block.keeper
    ]
    return [*told, *(block.remedy for block in blocks)]


def blocked(reasons: Sequence[str], remedies: Sequence[str]) -> Blocked:
    """Blocked for all these reasons; any of the remedies helps."""
    return Blocked(_several(reasons), _ways(remedies))


def _ways(remedies: Sequence[str]) -> str:
    return "; or ".join(dict.fromkeys(remedies))


def _several(reasons: Sequence[str]) -> str:
    more = len(reasons) - _SHOWN
    told = "; ".join(reasons[:_SHOWN])
    return f"{told}; and {more} more: see clusterctl forecast" if more > 0 else told
