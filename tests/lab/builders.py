"""Labs with defaults, for tests that need no machine."""

from pathlib import Path
from typing import Any

from clusterctl.lab.network import Network
from clusterctl.lab.shape import machines
from clusterctl.lab.state import Directory, Served, State

NETWORK = Network("10.77.0.0/24", "cctl0")
SERVED = Served(packages=8080, registry=5000, key_fingerprint="0123456789ABCDEF0123456789ABCDEF01234567")


def make_state(control_planes: int = 1, workers: int = 2, **changes: Any) -> State:
    """Return a running lab built from modules."""
    values: dict[str, Any] = {
        "name": "lab",
        "kubernetes": "1.36.3",
        "network": NETWORK,
        "rootfs": Path("/cache/rootfs/tree"),
        "boot": "a-boot",
        "cgroup_version": 1,
        "machines": machines(NETWORK, control_planes, workers),
        "served": SERVED,
        "complete": True,
    }
    return State(**{**values, **changes})


def make_directory(name: str = "lab") -> Directory:
    """Return where the files of a lab are, on a computer that does not exist."""
    return Directory(name, Path("/state/labs"))
