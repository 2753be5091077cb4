"""The versions of everything that is built.

What one Kubernetes version needs besides (etcd, CoreDNS, pause) is asked of its own kubeadm.
"""

from collections.abc import Sequence

from clusterctl.errors import InputError

VERSIONS: tuple[str, ...] = ("1.36.3", "1.35.4", "1.34.4")
"""The Kubernetes versions that can be built, newest first."""

CONTAINERD = "2.3.7"
CNI_PLUGINS = "1.9.1"
FLANNEL = "0.28.4"
FLANNEL_CNI_TAG = "v1.9.1-flannel1"
"""The tag that flannel's manifest asks for; the plugin inside comes from CNI plugins 0.9.1, see docs."""
FLANNEL_CNI_SOURCE = "0.9.1"
NGINX_TAG = "1.22"
REGISTRY = "3.1.2"
METRICS_SERVER = "0.9.0"

EXTRAS: tuple[str, ...] = ("metrics-server",)
"""What is built on request only: images of things that a cluster may have and need not."""


def checked(kubernetes: Sequence[str]) -> tuple[str, ...]:
    """The versions asked for, each once, when all of them can be built."""
    unknown = [version for version in kubernetes if version not in VERSIONS]
    if unknown or not kubernetes:
        asked = ", ".join(unknown) or "no version"
        raise InputError(
            f"the lab cannot build Kubernetes {asked}",
            resolution=f"choose from: {', '.join(VERSIONS)}",
        )
    return tuple(dict.fromkeys(kubernetes))


def checked_extras(extras: Sequence[str]) -> tuple[str, ...]:
    """What is asked for besides, each once, when all of it can be built."""
    unknown = [name for name in extras if name not in EXTRAS]
    if unknown:
        raise InputError(f"the lab cannot build {', '.join(unknown)}", resolution=f"choose from: {', '.join(EXTRAS)}")
    return tuple(dict.fromkeys(extras))


def minor(version: str) -> str:
    """The minor version, as package repositories are named: ``1.36``."""
    return ".".join(version.split(".")[:2])
