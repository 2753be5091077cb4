"""Wait until nodes lead to each other's pods."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_network

from clusterctl.model.facts import NodeFacts, Route
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied, Verdict
from clusterctl.model.words import count
from clusterctl.steps.nodes.unregistered import no_node
from clusterctl.steps.step import Step


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
            return no_node(situation)
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
