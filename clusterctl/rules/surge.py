"""How workers are replaced one after the other, from what is observed: a spare joins, then an old one leaves. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterctl.errors import Refused
from clusterctl.rules.versions import at_least, parse


@dataclass(frozen=True, slots=True)
class Member:
    """A host that may be a worker.

    ``kubelet`` is the version that its node shows, empty when it is no node. ``leaving`` says that clusterctl has
    cordoned the node. ``used`` says that a host without a node still carries what it had as one. ``problem`` is why it
    cannot be reached.
    """

    host: str
    kubelet: str = ""
    leaving: bool = False
    used: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One host that joins the cluster, or that leaves it and stands by from then on."""

    host: str
    joins: bool


def chain(pool: Sequence[Member], workers: int, target: str) -> tuple[Link, ...]:
    """What is left to do until no worker is older than ``target`` and every host without a node is clean.

    A worker leaves only while more than ``workers`` are there, so that so many are left. Those whose leaving has begun
    go first, then the oldest. Raises Refused when no spare is at hand.
    """
    there = [member.host for member in pool if member.kubelet]
    old = sorted(
        (member for member in pool if member.kubelet and not at_least(member.kubelet, target)),
        key=lambda member: (not member.leaving, parse(member.kubelet)),
    )
    spares = [member.host for member in pool if not member.kubelet and not member.problem]
    used = {member.host for member in pool if member.used}
    links = []
    for member in old:
        while len(there) <= workers:
            if not spares:
                raise _without_spare(pool)
            joining = spares.pop(0)
            used.discard(joining)
            there.append(joining)
            links.append(Link(joining, joins=True))
        there.remove(member.host)
        spares.append(member.host)
        links.append(Link(member.host, joins=False))
    return (*links, *(Link(host, joins=False) for host in spares if host in used))


def _without_spare(pool: Sequence[Member]) -> Refused:
    lost = "; ".join(f"{member.host}: {member.problem}" for member in pool if not member.kubelet and member.problem)
    return Refused(
        "no spare is at hand that could take the place of a worker",
        details=lost,
        resolution="add a host with role: spare to the inventory, or bring one back; "
        "or upgrade the workers where they are: --strategy rolling",
    )
