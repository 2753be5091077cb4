"""Which ports Kubernetes holds on which host. Pure."""

from collections.abc import Mapping

from clusterctl.model.inventory import Cluster, Role

# Our own listener, which tries the ways between hosts and lives for seconds.
LOOKER = "clusterctl-look"
_WORKER_PORTS = {10250: "kubelet", 10256: "kube-proxy"}
# Who may hold which port; Linux cuts a process's name after 15 characters.
_PORTS: Mapping[Role, Mapping[int, str]] = {
    "control-plane": {
        6443: "kube-apiserver",
        2379: "etcd",
        2380: "etcd",
        10250: "kubelet",
        10256: "kube-proxy",
        10257: "kube-controller",
        10259: "kube-scheduler",
    },
    "worker": _WORKER_PORTS,
    "spare": _WORKER_PORTS,
}


def ports(cluster: Cluster) -> tuple[int, ...]:
    """The ports that Kubernetes, and what leads to it, will hold on some host."""
    return tuple(sorted({*held("control-plane", cluster), *held("worker", cluster)}))


def held(role: Role, cluster: Cluster) -> dict[int, str]:
    """The ports of a host with this role, and who may hold each."""
    if role == "control-plane" and cluster.virtual_ip:
        return {**_PORTS[role], int(cluster.endpoint.rpartition(":")[2]): "haproxy"}
    return dict(_PORTS[role])
