"""The inventory of a lab: ordinary keys that any user may set, none of them known to be a lab's."""

from typing import Any

import yaml

from clusterctl.lab.state import Directory, State

REGISTRIES = ("registry.k8s.io", "ghcr.io", "docker.io", "quay.io")


def inventory(state: State, directory: Directory) -> dict[str, Any]:
    """Return the inventory as plain values."""
    cluster: dict[str, Any] = {
        "name": state.name,
        "kubernetes": state.kubernetes,
        **_endpoint(state),
        "pod_cidr": "10.10.0.0/16",
        "service_cidr": "10.96.0.0/12",
        "network": {"plugin": "flannel"},
    }
    if state.served is not None:
        gateway = state.network.gateway
        mirror = f"http://{gateway}:{state.served.registry}"
        cluster["sources"] = {
            "packages": f"http://{gateway}:{state.served.packages}",
            "packages_key_fingerprint": state.served.key_fingerprint,
            "registries": {name: {"mirrors": [mirror]} for name in REGISTRIES},
        }
    v1 = state.cgroup_version == 1
    cluster["kubelet"] = {
        **({"failCgroupV1": False, "cgroupDriver": "cgroupfs"} if v1 else {}),
        "oomScoreAdj": 0,
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
    }
    cluster["kube_proxy"] = {
        "mode": "iptables",
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    runc: dict[str, Any] = {"base_runtime_spec": "/etc/containerd/cri-base.json"}
    if v1:
        runc["options"] = {"SystemdCgroup": False}
    cluster["containerd"] = {"runtime": {"restrict_oom_score_adj": True, "containerd": {"runtimes": {"runc": runc}}}}
    cluster["ignore_preflight_errors"] = ["SystemVerification", "Mem"]
    return {
        "cluster": cluster,
        "ssh": {
            "user": "admin",
            "key": str(directory.key),
            "known_hosts": str(directory.known_hosts),
            "config": "/dev/null",  # Whatever the user's own file says, these machines are reached directly.
        },
        "hosts": [
            {"name": machine.name, "address": machine.address, "role": machine.role} for machine in state.machines
        ],
    }


def _endpoint(state: State) -> dict[str, str]:
    """The first control plane, or an address that the control planes have between them."""
    if state.virtual_ip:
        return {"endpoint": f"{state.virtual_ip}:8443", "virtual_ip": state.virtual_ip}
    return {"endpoint": f"{state.machines[0].address}:6443"}


def text(state: State, directory: Directory) -> str:
    """Return the inventory as a file."""
    head = f"# Written by `clusterctl lab up` for the lab {state.name!r}; the next one overwrites it.\n"
    return head + yaml.safe_dump(inventory(state, directory), sort_keys=False, width=110)
