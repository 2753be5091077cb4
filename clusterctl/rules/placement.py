"""Where the pods of a drained node could go: what the scheduler demands, tried first-fit. Pure.

It reckons with requests, as the scheduler does, and with what forbids a node; preferences and preemption are left out.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clusterctl.model.facts import NodeFacts
from clusterctl.model.pods import PodFacts
from clusterctl.model.selector import selects, selects_node

CORDONED = "node.kubernetes.io/unschedulable:NoSchedule"
"""The taint that a controller puts on a cordoned node; the scheduler takes the cordon itself for it."""

_KEEPS_AWAY = (":NoSchedule", ":NoExecute")
_OF_ITS_STATE = "node.kubernetes.io/"
_NAMED = 3
_UNITS: Mapping[str, tuple[str, float]] = {"cpu": (" CPU", 1000), "memory": (" MiB of memory", 2**20)}

_Why = Callable[[NodeFacts], str]


@dataclass(frozen=True, slots=True)
class Stranded:
    """A pod that no other node takes, and what each of them lacks.

    ``returns`` says that its node is the only one that is meant for it, and takes it again once it is given back.
    ``budget`` is the one by which it cannot leave before that.
    """

    pod: PodFacts
    why: str
    returns: bool = False
    budget: str = ""


def stranded(
    node: str,
    moving: Iterable[PodFacts],
    pods: Iterable[PodFacts],
    nodes: Mapping[str, NodeFacts],
    volumes: Mapping[str, Mapping[str, Any]],
) -> tuple[Stranded, ...]:
    """Which of the pods ``moving`` off ``node`` find no other one, if they all go at once.

    ``pods`` are all pods of the cluster. ``volumes`` maps claims (``namespace/name``) to the node selector of their
    volume. The pods of the highest priority choose first, then the largest.
    """
    moving = sorted(moving, key=_urgency)
    home = _at_rest(nodes[node]) if node in nodes else None
    if node in nodes:
        nodes = {**nodes, node: replace(nodes[node], unschedulable=True)}
    gone = {pod.uid for pod in moving}
    cluster = _Cluster([pod for pod in pods if pod.node and _counts(pod) and pod.uid not in gone], nodes, volumes)
    others = [each for each in nodes.values() if each.name != node]
    found = []
    for pod in moving:
        reasons: dict[str, list[str]] = defaultdict(list)
        demands = cluster.demands(pod)
        for other in others:
            reason = next((said for demand in demands if (said := demand(other))), "")
            if not reason:
                cluster.place(pod, other.name)
                break
            reasons[reason].append(other.name)
        else:
            alone = all(_is_set_apart(pod, other) for other in others)
            returns = alone and home is not None and not any(demand(home) for demand in demands)
            found.append(Stranded(pod, _told(reasons), returns))
    return tuple(found)


def _at_rest(node: NodeFacts) -> NodeFacts:
    """The node once nothing is done to it any more: Ready, without the taints that come and go with its state."""
    lasting = tuple(taint for taint in node.taints if not taint.startswith(_OF_ITS_STATE))
    return replace(node, ready=True, taints=lasting)


def _is_set_apart(pod: PodFacts, node: NodeFacts) -> bool:
    """Whether somebody has given the node to other pods than this one, as kubeadm does with control planes."""
    return any(
        not taint.startswith(_OF_ITS_STATE) and taint.endswith(_KEEPS_AWAY) and not tolerates(pod, taint)
        for taint in node.taints
    )


def _urgency(pod: PodFacts) -> tuple[int, int, int]:
    return -pod.priority, -pod.requests.get("memory", 0), -pod.requests.get("cpu", 0)


def _counts(pod: PodFacts) -> bool:
    return not pod.finished and not pod.terminating


def _told(reasons: Mapping[str, Sequence[str]]) -> str:
    """``w2 w3 are cordoned; cp1 has the taint …``; many nodes are counted."""
    if not reasons:
        return "there is no other node"
    return "; ".join(
        f"{' '.join(names) if len(names) <= _NAMED else f'{len(names)} nodes'}: {reason}"
        for reason, names in reasons.items()
    )


class _Cluster:
    """Who is where, while pods are placed."""

    def __init__(
        self, pods: list[PodFacts], nodes: Mapping[str, NodeFacts], volumes: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._nodes = nodes
        self._volumes = volumes
        self._used: dict[str, Counter[str]] = defaultdict(Counter)
        self._ports: dict[str, set[str]] = defaultdict(set)
        self._by_namespace: dict[str, list[tuple[PodFacts, str]]] = defaultdict(list)
        # By the namespace that a term is about; "" for those that name others.
        self._repelling: dict[str, list[tuple[PodFacts, str, Mapping[str, Any]]]] = defaultdict(list)
        for pod in pods:
            self.place(pod, pod.node)

    def place(self, pod: PodFacts, node: str) -> None:
        """Put ``pod`` on ``node``."""
        used = self._used[node]
        used["pods"] += 1
        for resource, amount in pod.requests.items():
            used[resource] += amount
        self._ports[node].update(pod.host_ports)
        self._by_namespace[pod.namespace].append((pod, node))
        for term in _terms(pod, "podAntiAffinity"):
            self._repelling["" if _is_wide(term) else pod.namespace].append((pod, node, term))

    def demands(self, pod: PodFacts) -> list[_Why]:
        """What ``pod`` demands of a node, the cheapest first: each says why a node does not do, or nothing."""
        return [
            lambda node: _closed(pod, node),
            lambda node: _unselected(pod, node),
            *self._of_volumes(pod),
            lambda node: self._full(pod, node),
            *self._of_neighbours(pod),
            *self._of_spread(pod),
        ]

    def _full(self, pod: PodFacts, node: NodeFacts) -> str:
        taken = sorted(self._ports[node.name].intersection(pod.host_ports)) if pod.host_ports else []
        if taken:
            return f"port {', '.join(taken)} of the node is taken"
        if not node.allocatable:  # Its kubelet has not said.
            return ""
        used = self._used[node.name]
        for resource, amount in (*pod.requests.items(), ("pods", 1)):
            free = node.allocatable.get(resource, 0) - used[resource]
            if amount > free:
                unit, size = _UNITS.get(resource, (f" {resource}", 1))
                return f"{_number(max(0, free) / size)}{unit} free, {_number(amount / size)} requested"
        return ""

    def _of_volumes(self, pod: PodFacts) -> Iterator[_Why]:
        for claim in pod.claims:
            selector = self._volumes.get(f"{pod.namespace}/{claim}")
            if selector is not None:
                yield lambda node, selector=selector, claim=claim: (  # type: ignore[misc]
                    ""
                    if selects_node(selector, node.name, node.labels)
                    else f"the volume of the claim {claim} cannot be reached"
                )

    def _of_neighbours(self, pod: PodFacts) -> Iterator[_Why]:
        for term in _terms(pod, "podAffinity"):
            places = self._places(pod, term)
            # The first pod of a group that wants to be together may be anywhere.
            if places or not _means(term, pod, pod):
                yield _domain(term, places, inside=True, why="no pod that this one has to be with is there")
        for term in _terms(pod, "podAntiAffinity"):
            yield _domain(term, self._places(pod, term), inside=False, why="a pod that this one avoids is there")
        repelled: dict[str, set[str]] = defaultdict(set)
        for other, node, term in (*self._repelling[pod.namespace], *self._repelling[""]):
            if _means(term, other, pod):
                repelled[term["topologyKey"]].add(self._label(node, term["topologyKey"]))
        for key, places in repelled.items():
            yield _domain({"topologyKey": key}, places - {""}, inside=False, why="a pod there avoids this one")

    def _of_spread(self, pod: PodFacts) -> Iterator[_Why]:
        for constraint in pod.scheduling.get("topologySpreadConstraints") or ():
            if constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule":
                yield self._spread(pod, constraint)

    def _spread(self, pod: PodFacts, constraint: Mapping[str, Any]) -> _Why:
        key = constraint["topologyKey"]
        same = {each: pod.labels.get(each) for each in constraint.get("matchLabelKeys") or ()}

        def counts(other: PodFacts) -> bool:
            return selects(constraint.get("labelSelector"), other.labels) and all(
                other.labels.get(each) == value for each, value in same.items()
            )

        # A cordoned node is a domain like any other, unless the constraint honours taints: with one pod on each node
        # nothing may go beside another one.
        domains = (node.labels[key] for node in self._nodes.values() if self._is_domain(pod, node, constraint))
        places = Counter(dict.fromkeys(domains, 0))
        for other, node in self._by_namespace[pod.namespace]:
            place = self._label(node, key)
            if place in places and counts(other):
                places[place] += 1
        fewest = min(places.values(), default=0)
        most = fewest + constraint["maxSkew"] - counts(pod)

        def why(node: NodeFacts) -> str:
            if key not in node.labels:
                return f"without the label {key}, over which the pods have to be spread"
            if places[node.labels[key]] > most:
                return f"its pods have to be spread over {key}, and enough of them are there"
            return ""

        return why

    def _is_domain(self, pod: PodFacts, node: NodeFacts, constraint: Mapping[str, Any]) -> bool:
        return (
            constraint["topologyKey"] in node.labels
            and (constraint.get("nodeAffinityPolicy") == "Ignore" or not _unselected(pod, node))
            and (constraint.get("nodeTaintsPolicy") != "Honor" or not _closed(pod, node))
        )

    def _places(self, pod: PodFacts, term: Mapping[str, Any]) -> set[str]:
        """Where the pods are that a term of ``pod`` means: the values of its topology key."""
        namespaces = list(self._by_namespace) if _is_wide(term) else [pod.namespace]
        found = {
            self._label(node, term["topologyKey"])
            for namespace in namespaces
            for other, node in self._by_namespace[namespace]
            if _means(term, pod, other)
        }
        return found - {""}

    def _label(self, node: str, key: str) -> str:
        return self._nodes[node].labels.get(key, "") if node in self._nodes else ""


def _number(amount: float) -> str:
    return f"{amount:.1f}".removesuffix(".0")


def _closed(pod: PodFacts, node: NodeFacts) -> str:
    if node.unschedulable and not tolerates(pod, CORDONED):
        return "cordoned"
    if not node.ready:
        return "not Ready"
    for taint in node.taints:
        if taint.endswith(_KEEPS_AWAY) and not tolerates(pod, taint):
            return f"the taint {taint} is not tolerated"
    return ""


def tolerates(pod: PodFacts, taint: str) -> bool:
    """Whether a taint, in the inventory's form, does not keep the pod away."""
    key_value, _, effect = taint.rpartition(":")
    key, _, value = key_value.partition("=")
    return any(
        toleration.get("effect") in (None, "", effect)
        and (
            (toleration.get("operator") == "Exists" and toleration.get("key") in (None, "", key))
            or (
                toleration.get("operator", "Equal") == "Equal"
                and toleration.get("key") == key
                and (toleration.get("value") or "") == value
            )
        )
        for toleration in pod.scheduling.get("tolerations") or ()
    )


def _unselected(pod: PodFacts, node: NodeFacts) -> str:
    wanted = pod.scheduling.get("nodeSelector") or {}
    for key, value in wanted.items():
        if node.labels.get(key) != value:
            return f"without the label {key}={value}"
    affinity = (pod.scheduling.get("affinity") or {}).get("nodeAffinity") or {}
    if not selects_node(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"), node.name, node.labels):
        return "not one of the nodes that its node affinity demands"
    return ""


def _terms(pod: PodFacts, kind: str) -> Sequence[Mapping[str, Any]]:
    """What a pod demands of the pods beside it; ``kind`` is podAffinity or podAntiAffinity."""
    affinity = (pod.scheduling.get("affinity") or {}).get(kind) or {}
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()


def _is_wide(term: Mapping[str, Any]) -> bool:
    """Whether a term is about other namespaces than its pod's."""
    return bool(term.get("namespaces")) or "namespaceSelector" in term


def _is_about(term: Mapping[str, Any], of: PodFacts, namespace: str) -> bool:
    """Whether a term of the pod ``of`` is about a namespace, of whose labels only the name is known."""
    if not _is_wide(term):
        return namespace == of.namespace
    named = {"kubernetes.io/metadata.name": namespace}
    return namespace in (term.get("namespaces") or ()) or selects(term.get("namespaceSelector"), named)


def _means(term: Mapping[str, Any], of: PodFacts, other: PodFacts) -> bool:
    """Whether a term of the pod ``of`` means ``other``."""
    keys = term.get("matchLabelKeys") or ()
    return (
        _is_about(term, of, other.namespace)
        and selects(term.get("labelSelector"), other.labels)
        and all(other.labels.get(key) == of.labels.get(key) for key in keys)
    )


def _domain(term: Mapping[str, Any], places: set[str], *, inside: bool, why: str) -> _Why:
    key = term["topologyKey"]
    return lambda node: "" if (node.labels.get(key, "") in places) == inside else why
