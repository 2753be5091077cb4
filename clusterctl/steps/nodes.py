"""Nodes as the inventory describes them: labels, taints, Ready at the wanted version or a newer one."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_network

from clusterctl.model.facts import NodeFacts, Route
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Unknown, Verdict
from clusterctl.model.versions import at_least
from clusterctl.model.words import count
from clusterctl.steps.step import Step, Tools


class Labels(Step):
    """The node has the labels of the inventory; labels of others stay."""

    name = "nodes/labels"
    title = "Set the node's labels"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only labels that clusterctl set are ever removed."""
        node, wanted = situation.node, situation.host.labels
        if node is None:
            return _no_node(situation) if wanted else Satisfied("none is wanted")
        changes = _label_changes(situation)
        if changes:
            return Needed(", ".join(f"{key}={value}" if value is not None else f"{key}-" for key, value in changes))
        return Satisfied(f"{len(wanted)} labels of the inventory are set" if wanted else "none is wanted")

    def preview(self, situation: Situation) -> str:
        """The labels as kubectl would take them."""
        changes = [f"{key}={value}" if value is not None else f"{key}-" for key, value in _label_changes(situation)]
        return f"label node {situation.node_name}: {' '.join(changes)}\n" if changes else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Set and remove what differs."""
        tools.cluster().set_labels(situation.node_name, dict(_label_changes(situation)))


class Taints(Step):
    """The node has the taints of the inventory; taints of others stay."""

    name = "nodes/taints"
    title = "Set the node's taints"
    reads_api = True
    changes_host = False

    def check(self, situation: Situation) -> Verdict:
        """Only taints that clusterctl set are ever removed."""
        node, wanted = situation.node, situation.host.taints
        if node is None:
            return _no_node(situation) if wanted else Satisfied("none is wanted")
        add, remove = _taint_changes(situation)
        if add or remove:
            return Needed(", ".join([*add, *(f"{taint}-" for taint in remove)]))
        return Satisfied(f"{len(wanted)} taints of the inventory are set" if wanted else "none is wanted")

    def preview(self, situation: Situation) -> str:
        """The taints as kubectl would take them."""
        add, remove = _taint_changes(situation)
        changes = [*add, *(f"{taint}-" for taint in remove)]
        return f"taint node {situation.node_name}: {' '.join(changes)}\n" if changes else ""

    def apply(self, situation: Situation, tools: Tools) -> None:
        """Set and remove what differs."""
        add, remove = _taint_changes(situation)
        tools.cluster().set_taints(situation.node_name, add=add, remove=remove)


class Ready(Step):
    """The node is Ready at the wanted version, or at a newer one."""

    name = "nodes/ready"
    title = "Wait until the node is Ready"
    reads_api = True
    changes_host = False
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """The node's own condition and its kubelet's version."""
        node, wanted = situation.node, situation.cluster.kubernetes
        if node is None:
            return _no_node(situation)
        if not node.ready:
            return Needed(f"{node.name} is not Ready: {node.reason}")
        if not at_least(node.kubelet_version, wanted):
            return Needed(f"the kubelet of {node.name} is {node.kubelet_version}, wanted is {wanted}")
        return Satisfied(f"{node.name} is Ready, {node.kubelet_version}")


class Routes(Step):
    """Every node leads to the pods of this one, and this one to theirs."""

    name = "nodes/routes"
    title = "Wait until nodes lead to each other's pods"
    reads_api = True
    deadline = 300.0

    def check(self, situation: Situation) -> Verdict:
        """The routes of all hosts that were reached. A node is Ready before others have heard of its pods."""
        node = situation.node
        if node is None:
            return _no_node(situation)
        others = [(host, other) for host, other in _others(situation) if other.pod_network]
        if not others:
            return Satisfied("the network plugin does not tell, or there is no other node")
        if not node.pod_network:
            return Needed(f"the network plugin has not announced the pods of {node.name}")
        for host, other in others:
            if not _leads(situation.all_facts[host].routes, node, situation):
                return Needed(f"{other.name} does not lead to the pods of {node.name} yet")
            if not _leads(situation.facts.routes, other, situation):
                return Needed(f"{node.name} does not lead to the pods of {other.name} yet")
        return Satisfied(f"{count(len(others), 'node')} and {node.name} lead to each other's pods")

    def touches(self, situation: Situation) -> tuple[str, ...]:
        """Nothing is changed there, but routes come by themselves: they are read anew."""
        return tuple(host for host, _ in _others(situation))


def _others(situation: Situation) -> Iterator[tuple[str, NodeFacts]]:
    """The other hosts that were reached, by name, whose nodes are Ready."""
    for host in situation.inventory.hosts:
        node = situation.node_of(host)
        if host != situation.host and host.name in situation.all_facts and node and node.ready:
            yield host.name, node


def _leads(routes: Sequence[Route], node: NodeFacts, situation: Situation) -> bool:
    """Whether one of ``routes`` is a route to the pods of ``node``, not to a larger network around all pods."""
    pods, wanted = ip_network(situation.cluster.pod_cidr), ip_network(node.pod_network, strict=False)
    for route in routes:
        with suppress(ValueError, TypeError):  # Other kinds of routes, and other families.
            found = ip_network(route.destination, strict=False)
            if found.subnet_of(pods) and wanted.subnet_of(found):  # type: ignore[arg-type]
                return True
    return False


def _no_node(situation: Situation) -> Unknown:
    return Unknown(situation.api_problem if situation.api_silent else f"{situation.node_name} is not a node yet")


def _label_changes(situation: Situation) -> tuple[tuple[str, str | None], ...]:
    node, wanted = situation.node, situation.host.labels
    if node is None:
        return ()
    removed = sorted(key for key in node.owned_labels if key in node.labels and key not in wanted)
    return (
        *((key, value) for key, value in wanted.items() if node.labels.get(key) != value),
        *((key, None) for key in removed),
    )


def _taint_changes(situation: Situation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    node, wanted = situation.node, situation.host.taints
    if node is None:
        return (), ()
    add = tuple(taint for taint in wanted if taint not in node.taints)
    remove = tuple(sorted(taint for taint in node.owned_taints if taint in node.taints and taint not in wanted))
    return add, remove
