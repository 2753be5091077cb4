"""The way of an upgrade, by what the cluster and its package source say: for ``upgrade`` and ``plan upgrade``."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from clusterctl.actions.playbooks import playbook
from clusterctl.engine.playbook import Play, Playbook
from clusterctl.errors import InputError, KubernetesError, Refused
from clusterctl.model.situation import Situation, node_name
from clusterctl.rules.hops import Hop, Running, hops, unknown_minors
from clusterctl.rules.packages import installed
from clusterctl.rules.upgrading import cluster_version, component_versions, control_plane_versions, level
from clusterctl.rules.versions import at_least
from clusterctl.session.session import Session
from clusterctl.steps.before_drain import BeforeDrain

# What kubeadm does on a worker in a hop that leaves its kubelet as it is.
_PASSING = ("upgrade/repository", "upgrade/kubeadm", "kubeadm/patches", "upgrade/node")


def find_hops(session: Session, to: str, *, via: Sequence[str] = (), every: bool = False) -> tuple[Hop, ...]:
    """Look at the cluster, and find the hops to ``to``; the package source is asked where a version is left open.

    Raises InputError, Refused, KubernetesError or ConnectError. The session aims at what it aimed at before.
    """
    session.look_where_possible(spares=False)
    situation = session.view.situation(session.a_control_plane(), api=True)
    if not situation.founders:
        raise Refused("there is no cluster to upgrade", resolution="make one: clusterctl bootstrap")
    if situation.api is None:
        raise KubernetesError(
            f"the cluster cannot be asked which versions run: {situation.api_problem}",
            resolution="look at the API server: clusterctl status; then run the same command again",
        )
    running = what_runs(situation)
    known, problem = session.versions(unknown_minors(running, to, via))
    try:
        return hops(running, to, via=via, known=known, every=every)
    except InputError as error:
        error.details = "\n".join(filter(None, [error.details, problem]))
        raise


def what_runs(situation: Situation) -> Running:
    """The versions of a cluster whose API answers. Raises Refused when those of a control plane are not to be had."""
    nodes = situation.api.nodes if situation.api else {}
    planes, workers = {}, {}
    for host in situation.inventory.hosts:
        facts = situation.all_facts.get(host.name)
        if host.role == "control-plane":
            versions = control_plane_versions(situation, host.name)
            if not versions or not all(versions):
                raise Refused(
                    f"nobody knows which version {host.name} runs",
                    resolution=f"when {host.name} is a part of the cluster and answers, run the same command again",
                )
            planes[host.name] = versions
        else:
            node = nodes.get(node_name(facts) if facts else host.name)
            if node is not None:
                workers[host.name] = level(facts) if facts else node.kubelet_version
    kubelets = {name: node.kubelet_version for name, node in nodes.items()}
    return Running(planes, cluster_version(situation), kubelets, workers)


def announcement(way: Sequence[Hop], hop: Hop) -> str:
    """Which hop this is, of an upgrade in several; the first one tells the whole way as well."""
    if len(way) == 1:
        return ""
    what = "" if hop.kubelets else ", on the workers kubeadm alone"
    whole = f"{len(way)} hops lead to {way[-1].version}: {', '.join(each.version for each in way)}.\n"
    return f"{whole if hop is way[0] else ''}\nHop {way.index(hop) + 1} of {len(way)}: {hop.version}{what}"


def for_hop(book: Playbook, hop: Hop) -> Playbook:
    """The playbook for one hop: without the workers' kubelets, kubeadm's part alone is left of what they meet."""
    if hop.kubelets:
        return book
    return replace(book, plays=tuple(play for play in map(_without_kubelets, book.plays) if play.run))


def _without_kubelets(play: Play) -> Play:
    """The play in a hop that drains no worker."""
    if play.on == "worker":
        return replace(play, run=tuple(step for step in play.run if step.name in _PASSING))
    if all(isinstance(step, BeforeDrain) for step in play.run):
        return replace(play, on="control-plane")
    return play


def check_limit(session: Session, limit: Sequence[str], way: Sequence[Hop]) -> None:
    """Raise Refused when hosts shall go on before the control planes that have to go first."""
    walking = {host.name for host in playbook("upgrade").limited(limit, session.inventory).hosts(session.inventory)}
    planes = session.inventory.control_planes
    situation = session.view.situation(session.a_control_plane(), api=True)
    behind = [
        host.name
        for host in planes
        if host.name not in walking
        and not all(at_least(each, way[-1].version) for each in control_plane_versions(situation, host.name))
    ]
    others = walking - {host.name for host in planes}
    if behind and (others or len(way) > 1 or planes[0].name in behind):
        raise Refused(
            f"control planes come first, and --limit leaves out {', '.join(behind)}",
            resolution="upgrade them first: --limit control-plane",
        )


def where(session: Session) -> Iterator[str]:
    """Which host is at which version, a line each, by a new look at those that answer."""
    facts, errors = session.look_where_possible()
    situation = session.view.situation(session.a_control_plane(), api=True, api_max_age=0)
    nodes = situation.api.nodes if situation.api else {}
    for host in session.inventory.hosts:
        if host.name not in facts:
            yield f"{host.name}: {errors[host.name].what}"
            continue
        if host.role == "spare" and situation.node_of(host) is None:
            yield f"{host.name}: stands by"
            continue
        words = [f"control plane {version}" for version in dict.fromkeys(component_versions(facts[host.name]))]
        words.append(f"kubeadm {installed(facts[host.name], 'kubeadm')}")
        node = nodes.get(node_name(facts[host.name]))
        if node is not None:
            words.append(f"kubelet {node.kubelet_version}")
            words.append("Ready" if node.ready else f"not Ready ({node.reason})")
        if node is not None and node.cordoned:
            words.append(f"stays cordoned (by {node.cordoned.by}, {node.cordoned.at})")
        elif node is not None and node.unschedulable:
            words.append("cordoned by somebody else")
        elif node is None:
            words.append("no node")
        yield f"{host.name}: {', '.join(words)}"
