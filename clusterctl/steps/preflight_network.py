"""Findings about the network: addresses, ways between the hosts, the endpoint, registries. ADR 7 says how they look."""

import ipaddress
from collections.abc import Iterable, Iterator

from clusterctl.model.situation import Situation, node_address
from clusterctl.model.survey import EndpointFact, Way
from clusterctl.model.verdict import Blocked, Satisfied, Verdict
from clusterctl.steps.finding import A_NODE, Finding, is_node

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Interfaces of a pod network that is there already, ours or one that preflight/leftovers tells.
_POD_DEVICES = ("cni", "flannel", "cali", "vxlan.calico", "tunl", "kube-ipvs")
_NOT_ASKED = Satisfied("not asked")


class UniqueAddress(Finding):
    """No other host carries this node's address."""

    name = "preflight/unique-address"
    title = "Check that the address is the host's alone"

    def find(self, situation: Situation) -> Verdict:
        """Machines behind a hypervisor's NAT may all have the same one."""
        address = situation.node_address
        twins = [
            name
            for name, facts in situation.all_facts.items()
            if name != situation.host.name
            and (
                address in facts.addresses
                or node_address(situation.inventory.host(name), facts, situation.cluster) == address
            )
        ]
        if twins:
            return Blocked(
                f"{', '.join(twins)} carries {address} as well",
                "set internal_address of each host to an address of its own that the other hosts can reach",
            )
        return Satisfied(address)


class Cidrs(Finding):
    """The networks of pods and services are used by nothing else that the host talks to."""

    name = "preflight/cidrs"
    title = "Check the networks of pods and services"

    def find(self, situation: Situation) -> Verdict:
        """Against routes, name servers and the addresses of all hosts; a node has routes for pods already."""
        if is_node(situation):
            return A_NODE
        clashes = []
        for key in ("pod_cidr", "service_cidr"):
            network = ipaddress.ip_network(getattr(situation.cluster, key))
            clashes += [f"{key} {network} {what}" for what in _clashes(situation, network)]
        if clashes:
            return Blocked(
                "; ".join(clashes),
                "set cluster.pod_cidr and cluster.service_cidr to networks that nothing else uses; see: ip route",
            )
        return Satisfied("in nobody's way")


def _clashes(situation: Situation, network: _Network) -> Iterator[str]:
    for route in situation.facts.routes:
        other = _network(route.destination)
        if other and _overlap(network, other) and not route.device.startswith(_POD_DEVICES):
            yield f"overlaps the route to {other}" + (f" on {route.device}" if route.device else "")
    for server in situation.facts.nameservers:
        if _inside(server, network):
            yield f"contains the name server {server}"
    for name, facts in situation.all_facts.items():
        address = node_address(situation.inventory.host(name), facts, situation.cluster)
        if _inside(address, network):
            yield f"contains {address}, the address of {name}"


class Reach(Finding):
    """The ports that Kubernetes, etcd and the pod network need between hosts are open."""

    name = "preflight/reach"
    title = "Check the ports between the hosts"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """Temporary listeners on the other hosts were tried from this one."""
        survey = situation.survey
        if survey is None:
            return A_NODE if is_node(situation) else _NOT_ASKED
        if survey.problem:
            return Blocked(
                f"the ways to the other hosts could not be tried: {survey.problem}",
                "sudo apt-get install perl-base, which every Debian and Ubuntu has; then run the same command again",
            )
        problems = [*_closed(survey.ways), *_strangers(survey.ways)]
        if problems:
            peers = sorted({way.peer for way in survey.ways if way.problem})
            return Blocked(
                "; ".join(problems),
                f"open these ports from {situation.node_address} in the firewall between the hosts (security group) "
                f"or on {', '.join(peers) or 'them'}: sudo nft list ruleset; sudo ufw status",
            )
        if not survey.ways:
            return Satisfied("no other host to reach")
        return Satisfied(f"{len(survey.ways)} ways open")


def _closed(ways: Iterable[Way]) -> Iterator[str]:
    """``cannot reach TCP 6443 of cp1: no answer``; ports with the same trouble together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for way in ways:
        if way.problem:
            groups.setdefault((way.peer, way.problem.lower()), []).append(f"{way.protocol.upper()} {way.port}")
    for (peer, problem), ports in groups.items():
        yield f"cannot reach {', '.join(ports)} of {peer}: {problem}"


def _strangers(ways: Iterable[Way]) -> Iterator[str]:
    """An address that leads to another host than it should."""
    wrong = {(way.peer, way.answered_by) for way in ways if way.answered_by not in ("", "?", "-", way.peer)}
    for peer, answered in sorted(wrong):
        yield f"{answered} answers at the address of {peer}"


class PathMtu(Finding):
    """Packets as large as this host's interface allows reach the other hosts: VXLAN fills them to the last byte."""

    name = "preflight/mtu"
    title = "Check the size of packets between the hosts"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """The pod network gives pods the interface's MTU less 50; a smaller way between hosts swallows such packets."""
        survey = situation.survey
        if survey is None:
            return A_NODE if is_node(situation) else _NOT_ASKED
        small = [way for way in survey.ways if way.wanted and not way.problem and way.packet < way.wanted]
        if not small:
            tried = [way for way in survey.ways if way.wanted and not way.problem]
            return Satisfied(f"{tried[0].wanted} bytes reach every host" if tried else "not tried")
        link = situation.facts.links.get(situation.node_address)
        least = min(way.packet for way in small)
        return Blocked(
            f"packets of {small[0].wanted} bytes do not reach "
            + ", ".join(f"{way.peer} ({way.packet} do)" for way in small),
            f"let the network carry them, or lower the MTU of every host's interface: "
            f"sudo ip link set dev {link.name if link else 'DEVICE'} mtu {least}, and in the network's configuration",
        )


class Endpoint(Finding):
    """The endpoint's name resolves on this host, and its address leads to a control plane."""

    name = "preflight/endpoint"
    title = "Check that the endpoint leads to a control plane"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """Before there is a cluster our own listeners on the control planes answer, or nobody does."""
        survey = situation.survey
        if survey is None or survey.endpoint is None:
            return A_NODE if is_node(situation) else _NOT_ASKED
        endpoint = situation.cluster.endpoint
        where = endpoint.rpartition(":")[0].strip("[]")
        if not survey.endpoint:
            return Blocked(
                f"the name {where} does not resolve",
                f"enter it in the DNS, or in /etc/hosts of every host; getent hosts {where} shows the answer",
            )
        wanted = situation.cluster.virtual_ip
        if wanted and (others := [fact.address for fact in survey.endpoint if fact.address != wanted]):
            return Blocked(
                f"the name {where} resolves to {', '.join(others)}, and the virtual IP is {wanted}",
                f"let it resolve to {wanted} alone on every host; getent hosts {where} shows the answer",
            )
        planes = {host.name for host in situation.inventory.control_planes}
        carried = {address: name for name, facts in situation.all_facts.items() for address in facts.addresses}
        if wanted and wanted not in carried:
            return Satisfied(f"{where} is the virtual IP {wanted}, which a control plane will have")
        for fact in survey.endpoint:
            owner = carried.get(fact.address, "")
            if owner and owner not in planes:
                return Blocked(
                    f"the endpoint {endpoint} is {fact.address}, an address of the worker {owner}",
                    "point it at a control plane, or at a load balancer in front of them",
                )
            if not owner and (verdict := _outside(endpoint, fact, planes)):
                return verdict
            if owner and fact.problem:
                return Blocked(
                    f"the endpoint {endpoint} ({fact.address}, on {owner}) cannot be reached: {fact.problem.lower()}",
                    f"open the port on {owner} for this host, or correct cluster.endpoint",
                )
        outside = [fact.address for fact in survey.endpoint if fact.address not in carried]
        if outside:
            return Satisfied(
                f"{', '.join(outside)} is on no interface of the hosts (NAT or a load balancer) and leads to a control "
                "plane; it goes into the certificates beside the control plane's own address",
                warning=True,
            )
        return Satisfied(f"{endpoint} leads to {carried[survey.endpoint[0].address]}")


def _outside(endpoint: str, fact: EndpointFact, planes: set[str]) -> Verdict | None:
    """What an address says that no interface carries; None when all is well."""
    what = f"the endpoint {endpoint} is {fact.address}, which no interface of the hosts carries"
    ignore = "; once it is right, or if you know better: --ignore preflight/endpoint"
    if fact.problem.lower() == "connection refused" or fact.answered_by == "-":
        return Satisfied(
            f"{what}; it takes no connections yet, as a load balancer without a healthy server: "
            "kubeadm needs it to lead to the first control plane as soon as that answers",
            warning=True,
        )
    if fact.problem:
        return Blocked(
            f"{what}, and it cannot be reached from here: {fact.problem.lower()}",
            "behind NAT, let the router bring hosts back to it (hairpin), or take a name that leads to the private "
            "address on the hosts" + ignore,
        )
    if fact.answered_by not in planes and fact.answered_by != "":
        who = fact.answered_by if fact.answered_by != "?" else "something else"
        return Blocked(
            f"{what}, and {who} answers there, not a control plane of this inventory",
            f"point it at the control planes{ignore}",
        )
    return None


class Registries(Finding):
    """The image registries answer this host."""

    name = "preflight/registries"
    title = "Check that the images can be had"
    reads_survey = True

    def find(self, situation: Situation) -> Verdict:
        """Each registry by itself or by one of its mirrors."""
        survey = situation.survey
        if survey is None:
            return A_NODE if is_node(situation) else _NOT_ASKED
        silent = [(name, problem) for name, problem in survey.registries if problem]
        if any(problem == "curl is not installed" for _, problem in silent):
            return Satisfied("curl is not installed yet, so the registries were not asked", warning=True)
        if silent:
            return Blocked(
                "; ".join(f"{name} does not answer ({problem})" for name, problem in silent),
                "open the way to it, or name a mirror in cluster.sources.registries; with images that are on the "
                "hosts already: --ignore preflight/registries",
            )
        return Satisfied(", ".join(name for name, _ in survey.registries) or "none asked")


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _overlap(one: _Network, other: _Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _inside(address: str, network: _Network) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False
