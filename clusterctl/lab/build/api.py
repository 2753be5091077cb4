"""The two calls the lab makes: what is missing, and build it."""

from collections.abc import Sequence
from pathlib import Path

from clusterctl.lab.build import building, registry, repository
from clusterctl.lab.build.artifacts import Artifacts
from clusterctl.lab.build.events import Report
from clusterctl.lab.build.plan import Common, plan
from clusterctl.lab.build.versions import checked, checked_extras


def missing(kubernetes: Sequence[str], extras: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the items that still have to be built for these Kubernetes versions; empty when none."""
    return building.missing(checked(kubernetes), checked_extras(extras))


def build(kubernetes: Sequence[str], report: Report, extras: Sequence[str] = ()) -> Artifacts:
    """Build what these Kubernetes versions and ``extras`` need and the cache has not, and say where everything is.

    Raises InputError for a version that cannot be built, Refused when this machine lacks a tool or disk
    space or another build is running, and CommandFailed when a tool fails.
    """
    kept = building.cache()
    versions, wanted = checked(kubernetes), checked_extras(extras)
    building.build_missing(kept, lambda: plan(kept, versions, wanted), report)
    common = Common.items()
    key = kept.path(common.key.key)
    return Artifacts(
        rootfs=kept.path(common.rootfs.key) / "tree",
        repository=repository.directory(kept),
        key_fingerprint=(key / "fingerprint").read_text().strip(),
        repository_key=key / "Release.key",
        registry=registry.storage(kept),
        registry_program=kept.path(common.registry.key) / "registry",
    )


def build_rootfs(report: Report) -> Path:
    """Build the root file system of the machines alone, when the cache has none, and say where it is.

    For labs that take packages and images from elsewhere. It needs no Go.
    """
    kept, item = building.cache(), Common.items().rootfs
    building.build_missing(kept, lambda: [item], report)
    return kept.path(item.key) / "tree"
