"""Debian's own packages that a node installs, kept so that a bootstrap asks nobody else."""

import json
import shutil
from pathlib import Path

from clusterctl.lab.build import apt
from clusterctl.lab.build.items import Item, Workshop, machine

NODE_PACKAGES = ("runc", "keepalived", "haproxy")
"""What nodes install besides the packages built here: the runtime's runc, and what holds a virtual address."""


def node_packages(root: Item, distribution: apt.Distribution = apt.BOOKWORM) -> Item:
    """These packages, and what they depend on that is not in the root file system, in ``debs/``."""

    def make(shop: Workshop, target: Path) -> None:
        work = target / "apt"
        for name in ("parts", "sources", "state/lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        (work / "sources/debian.sources").write_text(apt.sources(distribution, apt.outer_sources()))
        (work / "apt.conf").write_text(_configuration(work, shop.path(root) / "tree") + apt.outer_settings())
        env = {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C.UTF-8"}
        shop.run("apt-get", "update", "--error-on=any", env=env)
        shop.run("apt-get", "install", "--yes", "--download-only", *NODE_PACKAGES, env=env)
        (target / "debs").mkdir()
        for package in (work / "cache/archives").glob("*.deb"):
            package.rename(target / "debs" / package.name)
        shutil.rmtree(work)

    return Item(
        "debian-packages", (json.dumps(NODE_PACKAGES), distribution.codename), make,
        needs=(root,), tools=("apt-get", distribution.keyring), seconds=10, gigabytes=0.2,
    )  # fmt: skip


def _configuration(work: Path, tree: Path) -> str:
    """An apt of its own: it knows what is installed in the tree, and nothing of this machine."""
    settings = {
        "APT::Architecture": machine(),
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
        "Dir::Cache": work / "cache",
        "Dir::Etc::parts": work / "parts",
        "Dir::Etc::preferencesparts": work / "parts",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": work / "sources",
        "Dir::State": work / "state",
        "Dir::State::status": tree / "var/lib/dpkg/status",
    }
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())
