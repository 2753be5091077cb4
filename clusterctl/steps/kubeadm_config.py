"""What kubeadm is told: its configuration for init and join, and how a running cluster differs from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from clusterctl.model.inventory import Cluster
from clusterctl.model.inventory.components import Argument
from clusterctl.model.places import AUDIT_POLICY, ENCRYPTION, PATCHES
from clusterctl.model.situation import Situation
from clusterctl.render import document
from clusterctl.rules.settings import at, compare, merge, show
from clusterctl.steps.joining import DISCOVERY

_ENCRYPTION_FOLDER, _AUDIT_FOLDER = "/etc/kubernetes/encryption", "/etc/kubernetes/audit"
_AUDIT_LOGS = "/var/log/kubernetes/audit"
# Thirty days at most, in ten files of a hundred megabytes at most.
_AUDIT_ARGS = {
    "audit-policy-file": AUDIT_POLICY,
    "audit-log-path": f"{_AUDIT_LOGS}/audit.log",
    "audit-log-maxage": "30",
    "audit-log-maxbackup": "10",
    "audit-log-maxsize": "100",
}
# Part of the ClusterConfiguration that the inventory alone decides: what it does not name shall not be there.
_OURS = (
    ("apiServer", "extraArgs"),
    ("apiServer", "extraVolumes"),
    ("apiServer", "certSANs"),
    ("controllerManager", "extraArgs"),
    ("scheduler", "extraArgs"),
    ("etcd", "local", "extraArgs"),
)


def init_config(situation: Situation) -> str:
    """The file for ``kubeadm init --config``: v1beta4, kubelet and kube-proxy settings appended."""
    cluster = situation.cluster
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "cgroupDriver": "systemd"}
    kube_proxy = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
    gates = {"featureGates": cluster.feature_gates} if cluster.feature_gates else {}
    return document(
        "kubeadm/init.yaml.j2",
        cluster=cluster,
        components=components(cluster),
        kubelet=merge({**kubelet, **gates}, cluster.kubelet),
        kube_proxy=merge({**kube_proxy, **gates}, cluster.kube_proxy),
        **node_registration(situation),
    )


def node_registration(situation: Situation) -> dict[str, Any]:
    """What init and join say of the node itself."""
    return {
        "node_name": situation.node_name,
        "node_address": situation.node_address,
        "ignore_preflight_errors": list(situation.cluster.ignore_preflight_errors),
        "patches": PATCHES if situation.cluster.patches else "",
    }


def components(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """What a ClusterConfiguration says of its components, in kubeadm's words; empty where it says nothing."""
    gates = {"feature-gates": ",".join(f"{name}={str(on).lower()}" for name, on in cluster.feature_gates.items())}
    args = gates if cluster.feature_gates else {}
    api_args, volumes = dict(args), []
    if cluster.virtual_ip:
        # It says that it is not ready, and goes on answering until HAProxy has seen that.
        api_args["shutdown-delay-duration"] = "5s"
    if cluster.audit is not None:
        api_args |= _AUDIT_ARGS
        volumes += [_volume("audit-policy", _AUDIT_FOLDER, read_only=True), _volume("audit-logs", _AUDIT_LOGS)]
    if cluster.encryption_at_rest:
        api_args["encryption-provider-config"] = ENCRYPTION
        volumes.append(_volume("encryption", _ENCRYPTION_FOLDER, read_only=True))
    etcd = _section({}, cluster.etcd.extra_args)
    return {
        "apiServer": {
            **_section(api_args, cluster.api_server.extra_args),
            **({"extraVolumes": volumes} if volumes else {}),
            **({"certSANs": list(cluster.api_server.cert_sans)} if cluster.api_server.cert_sans else {}),
        },
        "controllerManager": _section(args, cluster.controller_manager.extra_args),
        "scheduler": _section(args, cluster.scheduler.extra_args),
        "etcd": {"local": etcd} if etcd else {},
    }


def _section(ours: Mapping[str, str], given: Sequence[Argument]) -> dict[str, Any]:
    """An argument that the inventory gives replaces ours of the same name."""
    names = {argument.name for argument in given}
    args = [{"name": name, "value": value} for name, value in ours.items() if name not in names]
    args += [{"name": argument.name, "value": argument.value} for argument in given]
    return {"extraArgs": args} if args else {}


def _volume(name: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    volume = {"name": name, "hostPath": path, "mountPath": path, "pathType": "DirectoryOrCreate"}
    return {**volume, "readOnly": True} if read_only else volume


def differences(situation: Situation, running: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the configurations that a cluster keeps differ from what ``init_config`` would say.

    The version is another step's matter. A setting that we do not name may have any value, save those of ``_OURS``.
    """
    found = []
    for wanted in yaml.safe_load_all(init_config(situation)):
        kind = wanted["kind"]
        if kind not in running:
            continue
        wanted.pop("kubernetesVersion", None)
        wanted.pop("apiVersion")
        found += [f"{kind}.{text}" for text in compare(wanted, running[kind])]
        if kind == "ClusterConfiguration":
            for place in _OURS:
                if not at(wanted, place) and (there := at(running[kind], place)):
                    found.append(f"{kind}.{'.'.join(place)} is {show(there)}, and the inventory names none")
    return found


def join_config(situation: Situation) -> str:
    """The file for ``kubeadm join --config``, of a worker or a control plane."""
    return document(
        "kubeadm/join.yaml.j2",
        discovery=DISCOVERY,
        control_plane=situation.host.role == "control-plane",
        **node_registration(situation),
    )
