"""Where the machines of a lab get Kubernetes from: the official sources, or what was built from Go modules."""

import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clusterctl.errors import ConnectError, InputError
from clusterctl.lab.build import Artifacts, BuildEvent, Building, Built, Noted
from clusterctl.lab.progress import Report, Told, Working

Sources = Literal["official", "modules"]
PACKAGES = "https://pkgs.k8s.io"
REGISTRY = "https://registry.k8s.io"
_PATIENCE = 4.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the official sources said: whether both answer, and the versions of the asked minor."""

    problem: str = ""
    versions: tuple[str, ...] = ()


def ask_official(kubernetes: str) -> Answer:
    """Ask the official package repository and registry whether they have this version."""
    minor = kubernetes.rpartition(".")[0]
    try:
        text = _get(f"{PACKAGES}/core:/stable:/v{minor}/deb/Packages")
        _get(f"{REGISTRY}/v2/")
    except (urllib.error.URLError, OSError) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code in (403, 404):
            return Answer()  # The repository answers and has no such minor.
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return Answer(problem=str(reason))
    return Answer(versions=parse_versions(text))


def parse_versions(packages: str) -> tuple[str, ...]:
    """Return the versions of kubeadm in a ``Packages`` file, newest first."""
    found = re.findall(r"^Package: kubeadm\n(?:.+\n)*?Version: (\d+\.\d+\.\d+)-", packages, re.MULTILINE)
    return tuple(sorted(set(found), key=lambda version: tuple(map(int, version.split("."))), reverse=True))


def decide(asked: Literal["auto", "official", "modules"], kubernetes: str, report: Report) -> Sources:
    """Return the sources to use. Raises InputError for a version that they do not have."""
    from clusterctl.lab.build import VERSIONS

    if asked != "modules":
        report(Working("asking the official package repository and registry", expected=_PATIENCE))
        answer = ask_official(kubernetes)
        if not answer.problem:
            _check_version(kubernetes, answer.versions, "the official repository has")
            report(Told(f"sources: official ({PACKAGES} and {REGISTRY} answer)"))
            return "official"
        if asked == "official":
            raise ConnectError(
                f"the official sources do not answer: {answer.problem}",
                resolution="clusterctl lab up --sources modules builds everything from Go modules",
            )
        report(Told(f"sources: modules (the official ones do not answer: {answer.problem})"))
    _check_version(kubernetes, VERSIONS, "can be built from modules")
    return "modules"


def _check_version(kubernetes: str, exist: tuple[str, ...], where: str) -> None:
    if kubernetes not in exist:
        raise InputError(
            f"Kubernetes {kubernetes} is not among the versions that {where}",
            resolution=f"choose one of these: {', '.join(exist) or 'none of this minor'}",
        )


def build_modules(kubernetes: Sequence[str], report: Report, extras: Sequence[str] = ()) -> tuple[str, ...]:
    """Build what the cache lacks for these versions; return what that was."""
    from clusterctl.lab.build import missing

    absent = missing(kubernetes, extras)
    if absent:
        report(Told(f"{len(absent)} things have to be built; they are kept for every lab after this one"))
        from_modules(kubernetes, report, extras)
    return absent


def from_modules(kubernetes: Sequence[str], report: Report, extras: Sequence[str] = ()) -> Artifacts:
    """Return what a lab of these versions is made of, complete."""
    from clusterctl.lab.build import build

    return build(kubernetes, lambda event: report(translated(event)), extras)


def rootfs(report: Report) -> Path:
    """Return the root file system of all machines; build it, and nothing else, when the cache has none."""
    from clusterctl.lab.build import build_rootfs

    return build_rootfs(lambda event: report(translated(event)))


def translated(event: BuildEvent) -> Working | Told:
    """Return what a build tells as the lab tells it."""
    match event:
        case Building():
            remaining = f"{event.total - event.done} of {event.total} items remain"
            return Working(f"building {event.item}", remaining, event.expected_left)
        case Built():
            return Told(f"built {event.item} in {event.seconds:.0f} s ({event.done} of {event.total})")
        case Noted():
            return Told(f"{event.item}: {event.text}")


def _get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:  # noqa: S310 - the addresses are ours.
        text: bytes = answer.read()
    return text.decode()
