"""What findings before an upgrade have in common. Pure."""

from collections.abc import Iterator, Mapping

from clusterctl.model.situation import Situation, node_name
from clusterctl.model.verdict import Satisfied
from clusterctl.rules.versions import minor

# How many minors a kubelet may be older than its API server, by Kubernetes' version skew policy.
SKEW = 3

AT_TARGET = Satisfied("the host is at the wanted version")


def is_first(situation: Situation) -> bool:
    """Whether this host answers for the whole cluster."""
    return situation.host == situation.inventory.first_control_plane


def own_nodes(situation: Situation) -> frozenset[str]:
    """The nodes of the inventory; a host that was not reached is known by its name alone."""
    facts = situation.all_facts
    return frozenset(
        node_name(facts[host.name]) if host.name in facts else host.name for host in situation.inventory.hosts
    )


def removed_by(table: Mapping[tuple[int, int], tuple[str, ...]], situation: Situation) -> Iterator[str]:
    """What the wanted version no longer knows."""
    wanted = minor(situation.cluster.kubernetes)
    return (name for since, names in table.items() if since <= wanted for name in names)
