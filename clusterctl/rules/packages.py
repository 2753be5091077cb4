"""What a host's packages are, and where Kubernetes' own come from. Pure."""

from packaging.version import InvalidVersion, Version

from clusterctl.model.facts import HostFacts
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied
from clusterctl.rules.versions import at_least


def package_trouble(situation: Situation) -> Blocked | Satisfied | None:
    """What is to say of an installation of packages that has not come to its end; it may be under way."""
    facts = situation.facts
    if facts.dpkg_problem and facts.package_lock:
        return Satisfied(f"packages are being installed: {facts.package_lock}; it is waited for", warning=True)
    if facts.dpkg_problem:
        return Blocked(
            f"an installation of packages was interrupted: {', '.join(facts.dpkg_problem.splitlines()[:3])}",
            f"finish it: ssh {situation.host.address} sudo dpkg --configure -a; then run the same command again",
        )
    return None


def repository_url(situation: Situation) -> str:
    """The package repository of the wanted minor version, laid out as on pkgs.k8s.io."""
    return repository(situation.cluster.sources.packages, situation.cluster.minor)


def repository(packages: str, minor: str) -> str:
    """The package repository of a minor version, laid out as on pkgs.k8s.io."""
    return f"{packages}/core:/stable:/v{minor}/deb"


def version_of(text: str) -> Version:
    """A version to compare; what cannot be read counts as the oldest."""
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def installed(facts: HostFacts, package: str) -> str:
    """The version of an installed package, such as ``1.36.3``, or nothing."""
    found = facts.packages.get(package)
    return found.version.partition("-")[0] if found else ""


def interrupted(situation: Situation) -> Blocked | None:
    """dpkg that was cut short, which has to be ended by hand."""
    trouble = package_trouble(situation)
    return trouble if isinstance(trouble, Blocked) else None


def unfit(situation: Situation, names: tuple[str, ...]) -> str:
    """What is missing until these packages are of the wanted version or newer, whole and held; or nothing."""
    wanted = situation.cluster.kubernetes
    for name in names:
        package = situation.facts.packages.get(name)
        if package is None:
            return f"{name} is not installed"
        if not at_least(package.version, wanted):
            return f"{name} is {package.version.partition('-')[0]}, wanted is {wanted}"
        if not package.intact:
            return f"{name} is not fully installed"
        if not package.held:
            return f"{name} is not held, so a package upgrade would move it"
    return ""
