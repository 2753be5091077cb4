"""What draining a node would meet, told before anything moves. Pure.

Budgets are judged by the API server's own answers to evictions that are not meant; what it cannot be asked (where a
pod could go, what is lost on the way) is reckoned here.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from clusterctl.model.facts import NodeFacts
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Budget, Owner, PodFacts, Pods
from clusterctl.model.selector import selects_node
from clusterctl.model.words import count
from clusterctl.rules.drain import Fatal, leaving
from clusterctl.rules.placement import CORDONED, Stranded, stranded, tolerates

_NAMED = 3
_TOO_MANY = 429
# How long, in seconds, a pod may take until it is ready, where nobody measured it.
_STARTS = 10.0
_SCALABLE = ("Deployment", "StatefulSet", "ReplicaSet")


@dataclass(frozen=True, slots=True)
class Block:
    """Pods that may not be evicted, why, and what to do about it.

    ``passing`` says that it may cure itself: the budget allows no eviction at the moment and may allow one later.
    ``keeper`` is the operator's own resource that keeps the budget or the pods, if there is one: some operators move
    a pod once its node is cordoned, and not before.
    """

    pods: tuple[PodFacts, ...]
    reason: str
    remedy: str
    passing: bool = False
    keeper: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Pods of one node that leave in turns, because their budget allows fewer at once than there are."""

    budget: Budget
    pods: tuple[PodFacts, ...]

    @property
    def turns(self) -> int:
        """In how many turns they leave."""
        return math.ceil(len(self.pods) / max(1, self.budget.disruptions_allowed))

    def __str__(self) -> str:
        allowed = self.budget.disruptions_allowed
        return f"{len(self.pods)} pods leave in turns, {allowed} at a time, as the budget {self.budget} says"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What draining one node would meet.

    ``moving`` are the running pods that leave. ``unmanaged`` and ``emptydir`` are those that kubectl's rules keep from
    being evicted, ``blocks`` those that a budget holds. ``stranded`` may leave and find no other node, nor
    this one when it is given back. ``losses`` say what is lost or interrupted although no rule forbids it. ``seconds``
    is how long the drain may take.
    """

    node: str
    moving: tuple[PodFacts, ...]
    unmanaged: tuple[Fatal, ...]
    emptydir: tuple[Fatal, ...]
    blocks: tuple[Block, ...]
    waits: tuple[Wait, ...]
    stranded: tuple[Stranded, ...]
    losses: tuple[str, ...]
    seconds: float


def forecast(pods: Pods, node: str, nodes: Mapping[str, NodeFacts], options: DrainOptions) -> Forecast:
    """Everything there is to say about draining ``node``, which is given back afterwards."""
    left = without_a_node(pods, node, nodes, options)
    return Forecast(
        node,
        moving(pods, node),
        unmanaged(pods, node, options),
        emptydir(pods, node, options),
        blocks(pods, node, options),
        waits(pods, node, options),
        tuple(each for each in left if not each.returns),
        losses(pods, node, left, options),
        seconds(pods, node, options),
    )


def moving(pods: Pods, node: str) -> tuple[PodFacts, ...]:
    """The running pods that a drain of ``node`` evicts, once an operator has settled what stands in its way."""
    leaves = leaving(pods, node, DrainOptions(force=True, delete_emptydir_data=True)).evicted
    return tuple(pod for pod in leaves if not pod.finished and not pod.terminating)


def unmanaged(pods: Pods, node: str, options: DrainOptions) -> tuple[Fatal, ...]:
    """The pods that nobody would make again."""
    return leaving(pods, node, options.model_copy(update={"delete_emptydir_data": True})).fatal


def emptydir(pods: Pods, node: str, options: DrainOptions) -> tuple[Fatal, ...]:
    """The pods whose emptyDir data a drain would delete."""
    return leaving(pods, node, options.model_copy(update={"force": True})).fatal


def blocks(pods: Pods, node: str, options: DrainOptions) -> tuple[Block, ...]:
    """The pods of ``node`` that the API server would not let go, together with those that the same thing holds."""
    if options.disable_eviction:
        return ()
    held: dict[tuple[str, ...], list[PodFacts]] = defaultdict(list)
    for pod in moving(pods, node):
        if refusal := pods.refusals.get(str(pod)):
            names = tuple(str(budget) for budget in pods.budgets_of(pod)) if refusal.by_budget else ()
            held[names or (refusal.message,)].append(pod)
    return tuple(_block(pods, tuple(group)) for group in held.values())


def waits(pods: Pods, node: str, options: DrainOptions) -> tuple[Wait, ...]:
    """Where a budget covers more pods of ``node`` than it lets go at once: asked alone, each of them may leave."""
    if options.disable_eviction:
        return ()
    covered: dict[str, list[PodFacts]] = defaultdict(list)
    budgets = {str(budget): budget for budget in pods.budgets}
    for pod in moving(pods, node):
        if pod.ready and str(pod) not in pods.refusals:
            for budget in pods.budgets_of(pod):
                covered[str(budget)].append(pod)
    return tuple(
        Wait(budgets[name], tuple(group))
        for name, group in covered.items()
        if len(group) > budgets[name].disruptions_allowed
    )


def without_a_node(
    pods: Pods, node: str, nodes: Mapping[str, NodeFacts], options: DrainOptions
) -> tuple[Stranded, ...]:
    """The pods that may leave ``node`` and that no other one takes.

    Where more of them wait for ``node`` itself than a budget lets go at once, the rest can never leave. A budget that
    lets nobody go is the matter of ``blocks``.
    """
    again = [pod for pod in moving(pods, node) if pod.controller and pod.controller.present]
    free = {name: _given_back(each) for name, each in nodes.items()}
    found = stranded(node, again, pods.pods, free, pods.around.volumes)
    if options.disable_eviction:
        return found
    return tuple(_with_budget(pods, each, found) if each.returns and each.pod.ready else each for each in found)


def _with_budget(pods: Pods, lost: Stranded, found: Sequence[Stranded]) -> Stranded:
    """A pod that waits for its node, unless its budget waits for the pods that left before it."""
    for budget in pods.budgets_of(lost.pod):
        together = sum(each.returns and each.pod.ready and budget.covers(each.pod) for each in found)
        allowed = budget.disruptions_allowed
        if 0 < allowed < together:
            why = f"the budget {budget} lets {allowed} of {together} go, and they would wait for this node themselves"
            return replace(lost, why=f"{lost.why}; {why}", returns=False, budget=str(budget))
    return lost


def left_behind(pods: Pods, node: str, nodes: Mapping[str, NodeFacts]) -> tuple[str, ...]:
    """Which pods that leave ``node`` have data on its own disk: in paths of the node, or in volumes of it alone."""
    found = []
    for pod in moving(pods, node):
        if pod.host_paths:
            found.append(f"{pod} has data in {_some(pod.host_paths)} of {node}")
        for claim in pod.claims:
            selector = pods.around.volumes.get(f"{pod.namespace}/{claim}")
            others = (each for each in nodes.values() if each.name != node)
            if selector is not None and not any(selects_node(selector, each.name, each.labels) for each in others):
                found.append(f"{pod} has data in the volume of its claim {claim}, which {node} alone reaches")
    return tuple(found)


def _given_back(node: NodeFacts) -> NodeFacts:
    """The node without clusterctl's cordon: what an earlier run left cordoned is given back before another's turn."""
    if node.cordoned is None or node.cordoned.unschedulable:
        return node
    return replace(node, unschedulable=False, taints=tuple(taint for taint in node.taints if taint != CORDONED))


def seconds(pods: Pods, node: str, options: DrainOptions) -> float:
    """How long the drain may take: pods use up their grace period, and in turns each successor has to start first."""

    def grace(group: Sequence[PodFacts]) -> float:
        given = options.grace_period
        return float(max((pod.grace if given < 0 else given for pod in group), default=0))

    turns = (wait.turns * grace(wait.pods) + (wait.turns - 1) * _STARTS for wait in waits(pods, node, options))
    return max([grace(moving(pods, node)), *turns])


def losses(pods: Pods, node: str, left: Sequence[Stranded], options: DrainOptions) -> tuple[str, ...]:
    """What draining ``node`` loses or interrupts although no rule forbids it; ``left`` find no other node."""
    leaving_pods = moving(pods, node)
    waiting = [each.pod for each in left if each.returns]
    return tuple(
        dict.fromkeys(
            (
                *([f"until {node} is given back, no node takes {_some(waiting)}"] if waiting else []),
                *(said for pod in leaving_pods for said in _losses_of(pods, pod, options)),
                *_interrupted(pods, leaving_pods),
                *_pinned(pods, leaving_pods),
            )
        )
    )


def _losses_of(pods: Pods, pod: PodFacts, options: DrainOptions) -> Iterator[str]:
    owner = pod.controller
    if options.force and not (owner and owner.present):
        yield f"{pod} is deleted for good: nobody makes it again"
    if options.delete_emptydir_data and pod.empty_dirs:
        yield f"{pod} loses what its emptyDir {_some(pod.empty_dirs)} holds"
    if pod.host_paths:
        yield f"{pod} leaves its data in {_some(pod.host_paths)} of the node behind"
    if owner and owner.present and tolerates(pod, CORDONED):
        yield f"{pod} tolerates a cordon: its successor may come back to this node at once"
    if owner and owner.kind == "Job":
        yield f"{pod} of the Job {owner.name} starts again from zero"


def _interrupted(pods: Pods, leaving_pods: Sequence[PodFacts]) -> Iterator[str]:
    """Workloads that have no ready pod for a while, and those that are being changed."""
    here: dict[tuple[str, str, str], list[PodFacts]] = defaultdict(list)
    for pod in leaving_pods:
        if pod.controller and pod.controller.present and pod.controller.kind != "Job":
            here[_workload(pod)].append(pod)
    if not here:
        return
    everywhere: dict[tuple[str, str, str], int] = defaultdict(int)
    namespaces = {namespace for namespace, _, _ in here}
    for pod in pods.pods:
        if pod.namespace in namespaces and pod.controller and not pod.finished and not pod.terminating:
            everywhere[_workload(pod)] += 1
    for key, group in here.items():
        namespace, kind, name = key
        known = pods.around.replicas.get("/".join(key))
        wanted = max(everywhere[key], known.wanted if known else 0)
        if wanted == 1:
            yield f"{kind} {namespace}/{name} has one replica: it is interrupted until another one is ready"
        elif len(group) == everywhere[key] and not all(_kept_up(pods, pod) for pod in group):
            which = f"all {len(group)} pods" if len(group) > 1 else "its only pod"
            yield f"{kind} {namespace}/{name} has {which} on this node: it is interrupted"
        if known and known.unfinished:
            yield f"{kind} {namespace}/{name} is being rolled out: {known.unfinished}"


def _kept_up(pods: Pods, pod: PodFacts) -> bool:
    """Whether a budget sees to it that some pods beside this one are always ready."""
    return any(budget.desired_healthy > 0 for budget in pods.budgets_of(pod))


def _pinned(pods: Pods, leaving_pods: Sequence[PodFacts]) -> Iterator[str]:
    for service in pods.around.pinned:
        behind = [pod for pod in leaving_pods if service.leads_to(pod)]
        if behind:
            yield f"clients of the Service {service} are pinned to {_some(behind)} by ClientIP: their sessions end"


def _workload(pod: PodFacts) -> tuple[str, str, str]:
    """Namespace, kind and name of what an operator would scale: the Deployment behind a ReplicaSet."""
    owner = pod.controller or Owner("Pod", pod.name, pod.uid)
    suffix = f"-{pod.labels.get('pod-template-hash', '')}"
    if owner.kind == "ReplicaSet" and suffix != "-" and owner.name.endswith(suffix):
        return pod.namespace, "Deployment", owner.name.removesuffix(suffix)
    return pod.namespace, owner.kind, owner.name


def _block(pods: Pods, held: tuple[PodFacts, ...]) -> Block:
    """Why these pods, which one thing holds, may not leave."""
    refusal = pods.refusals[str(held[0])]
    budgets = pods.budgets_of(held[0])
    namespace = held[0].namespace
    if refusal.by_budget and len(budgets) > 1:
        names = " and ".join(budget.name for budget in budgets)
        return Block(
            held,
            f"{_some(held)}: the budgets {names} both cover it, and the API server evicts no such pod",
            f"leave one of them: kubectl -n {namespace} delete pdb {budgets[-1].name}",
        )
    if not refusal.by_budget or not budgets:
        return Block(
            held,
            f"{_some(held)}: the API server refuses the eviction: {refusal.message or refusal.status}",
            f"settle what it names, then look again; the pod: kubectl -n {namespace} describe pod {held[0].name}",
            passing=refusal.status == _TOO_MANY,
        )
    budget = budgets[0]
    if not budget.up_to_date:
        return Block(
            held,
            f"{_some(held)}: the pods of the budget {budget} have not been counted since it was changed",
            "look again in some seconds; if it stays so, look at the controller manager: "
            "kubectl -n kube-system get pods -l component=kube-controller-manager",
            passing=True,
        )
    if budget.expected_pods and budget.desired_healthy >= budget.expected_pods:
        return _never(held, budget)
    return _not_now(pods, held, budget, refusal.message)


def _never(held: tuple[PodFacts, ...], budget: Budget) -> Block:
    """The budget wants every pod healthy, so that none may ever leave; what keeps the budget may change it."""
    reason = (
        f"{_some(held)}: the budget {budget} can never allow an eviction: it wants {budget.desired_healthy} of "
        f"{budget.expected_pods} pods healthy"
    )
    if budget.keeper:
        return Block(
            held,
            f"{reason}; {budget.keeper} keeps it so",
            f"see that it is whole, and look again: kubectl -n {budget.namespace} describe pdb {budget.name}",
            passing=True,
            keeper=str(budget.keeper),
        )
    relaxed = json.dumps({"spec": {"minAvailable": None, "maxUnavailable": 1}}, separators=(",", ":"))
    remedy = f"relax the budget: kubectl -n {budget.namespace} patch pdb {budget.name} --type=merge -p '{relaxed}'"
    _, kind, name = _workload(held[0])
    if budget.counted and kind in _SCALABLE:
        more = f"kubectl -n {budget.namespace} scale {kind.lower()}/{name} --replicas={budget.desired_healthy + 1}"
        remedy = f"raise the replicas: {more}; or {remedy}"
    owner = held[0].controller
    # Kubernetes' own controllers have no dot in the name of their group.
    custom = owner is not None and "." in owner.api_version.partition("/")[0]
    return Block(held, reason, remedy, keeper=str(owner) if custom else "")


def _not_now(pods: Pods, held: tuple[PodFacts, ...], budget: Budget, message: str) -> Block:
    """The budget has no disruption left at the moment."""
    ill = [pod for pod in pods.pods if budget.covers(pod) and not pod.ready and not pod.finished]
    healthy, missing = budget.current_healthy, budget.expected_pods - budget.current_healthy - len(ill)
    told = [f"{pod} on {pod.node or 'no node'} is not ready ({pod.problem or pod.phase})" for pod in ill]
    told += [f"{count(missing, 'pod')} missing"] if missing > 0 else []
    why = _some(told) or message
    return Block(
        held,
        f"{_some(held)}: the budget {budget} allows no eviction at the moment: {healthy} of {budget.expected_pods} "
        f"pods are healthy, {budget.desired_healthy} have to be; {why}",
        f"let them become ready, then look again: kubectl -n {budget.namespace} describe "
        + (f"pod {ill[0].name}" if ill else f"pdb {budget.name}"),
        passing=True,
    )


def _some(things: Sequence[object]) -> str:
    """``a, b, c and 2 more``."""
    told = ", ".join(str(thing) for thing in things[:_NAMED])
    return f"{told} and {len(things) - _NAMED} more" if len(things) > _NAMED else told
