"""The way from the versions that run to the one that is wanted: one minor after the other, never back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from clusterctl.errors import InputError, Refused
from clusterctl.rules.versions import Version, minor, minor_text, parse

# How many minors a kubelet may be older than its API server.
_SKEW = 3


@dataclass(frozen=True, slots=True)
class Running:
    """Which versions run.

    ``control_planes`` has, of each control plane, the versions of its API server, controller manager and scheduler.
    ``cluster`` is the version in kubeadm's own configuration. ``kubelets`` are those of all nodes. ``workers`` has, of
    each worker, the version that kubeadm brought it to: the newer one of its kubelet's and of kubeadm's last visit.
    """

    control_planes: Mapping[str, tuple[str, ...]]
    cluster: str
    kubelets: Mapping[str, str] = field(default_factory=dict)
    workers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hop:
    """One run of the playbook. ``kubelets`` says that it brings the workers' kubelets along, and drains them for it.

    In a hop without them kubeadm alone passes over the workers: it has to step through every minor, a kubelet has not.
    """

    version: str
    kubelets: bool = True


def hops(
    running: Running, to: str, *, via: Sequence[str] = (), known: Collection[str] = (), every: bool = False
) -> tuple[Hop, ...]:
    """The hops to ``to``, the last of which is always there: where nothing is left to do, it does nothing.

    ``to`` is a version, or a minor, which stands for its newest among ``known``. ``via`` names the version of a minor
    in between; the newest one that is known is taken otherwise. ``every`` brings the workers' kubelets along each time.

    Raises InputError when a version is not known, Refused when the way would lead back or over too large a gap.
    """
    target = _newest(to, known) if to.count(".") == 1 else to
    planes = {name: tuple(map(parse, versions)) for name, versions in running.control_planes.items()}
    everywhere = [version for versions in planes.values() for version in versions]
    lowest, newest = min(everywhere), max([*everywhere, parse(running.cluster or target)])
    _refuse_to_go_back(running, planes, newest, target)
    chosen = _chosen(via, target, lowest)
    wanted: dict[tuple[int, int], str] = {}
    if lowest < newest < parse(target):
        # What was begun is finished first, at its own version: until then the control planes are of two versions.
        wanted[newest[:2]] = _text(newest)
    for level in [lowest, *map(parse, running.workers.values())]:
        for number in range(level[1] + 1, minor(target)[1]):
            between = (level[0], number)
            if between not in wanted:
                wanted[between] = chosen.get(between) or _newest(f"{between[0]}.{number}", known)
    versions = [*(wanted[between] for between in sorted(wanted)), target]
    return _with_kubelets(versions, running, every=every)


def unknown_minors(running: Running, to: str, via: Sequence[str]) -> tuple[str, ...]:
    """The minors whose newest version decides the way: those that somebody has to ask the source about."""
    target = minor(to)
    levels = [parse(version) for versions in running.control_planes.values() for version in versions]
    levels += [parse(version) for version in running.workers.values()]
    between = range(min(level[1] for level in levels) + 1, target[1])
    asked = [f"{target[0]}.{number}" for number in between]
    given = {minor_text(version) for version in via}
    return (*(each for each in asked if each not in given), *((to,) if to.count(".") == 1 else ()))


def _newest(wanted: str, known: Collection[str]) -> str:
    fitting = [version for version in known if minor(version) == minor(wanted)]
    if not fitting:
        raise InputError(
            f"the package source has no version of Kubernetes {wanted}, through which the upgrade leads",
            resolution=f"look at cluster.sources.packages; or name a version yourself: --via {wanted}.N on the way, "
            f"--to {wanted}.N as the target",
        )
    return max(fitting, key=parse)


def _refuse_to_go_back(
    running: Running, planes: Mapping[str, tuple[Version, ...]], newest: Version, target: str
) -> None:
    goal = parse(target)
    ahead = sorted(name for name, version in running.kubelets.items() if parse(version) > goal)
    if newest > goal:
        raise Refused(
            f"the control plane runs {_text(newest)} already, and {target} is older: Kubernetes cannot go back",
            resolution=f"upgrade to {_text(newest)} or newer",
        )
    if ahead:
        version = max((running.kubelets[name] for name in ahead), key=parse)
        raise Refused(
            f"the kubelet of {', '.join(ahead)} is newer than {target}, and may not be newer than its API server",
            resolution=f"finish the upgrade: --to {version} or newer",
        )
    for name, versions in planes.items():
        if newest[:2] > (min(versions)[0], min(versions)[1] + 1):
            raise Refused(
                f"{name} runs {_text(min(versions))} beside {_text(newest)}: API servers may be one minor apart",
                resolution=f"take {name} out of the cluster and let it join again at {_text(newest)}",
            )
    if goal[0] != newest[0]:
        raise Refused(f"there is no way from {_text(newest)} to {target}", resolution="stay within one major version")


def _chosen(via: Sequence[str], target: str, lowest: Version) -> dict[tuple[int, int], str]:
    """The versions of ``via`` by their minors. One that lies behind us already was passed by an earlier run."""
    for version in via:
        if version.count(".") != 2 or not minor(version) < minor(target):
            raise InputError(
                f"--via {version} is not on the way to {target}",
                resolution=f"name a version of a minor between {minor_text(_text(lowest))} and {minor_text(target)}",
            )
    return {minor(version): version for version in via}


def _with_kubelets(versions: Sequence[str], running: Running, *, every: bool) -> tuple[Hop, ...]:
    """Where kubelets have to come along: at the last hop, and before one gets too old for the next API server."""
    oldest = min((minor(running.kubelets[name])[1] for name in running.workers), default=minor(versions[-1])[1])
    found = []
    for version, following in zip(versions, [*versions[1:], None], strict=True):
        kubelets = every or following is None or minor(following)[1] - oldest > _SKEW
        if kubelets:
            oldest = max(oldest, minor(version)[1])
        found.append(Hop(version, kubelets))
    return tuple(found)


def _text(version: Version) -> str:
    return ".".join(map(str, version))
