"""Read the cluster's state into facts."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import yaml

from clusterctl.errors import InputError
from clusterctl.kube.connect.client import PATIENCE, Kube
from clusterctl.kube.observe.calico import calico
from clusterctl.kube.observe.node import CONTROL_PLANE, cordoned, owned, taint_text
from clusterctl.kube.observe.quantity import amounts, quantity
from clusterctl.kube.observe.record import APPLIED, APPLIED_NAME, applied
from clusterctl.kube.observe.token import COLLECTION, OURS_QUERY, is_ours, token_id
from clusterctl.model.facts import ClusterFacts, NodeFacts, Workload
from clusterctl.model.manifest import DIGEST_ANNOTATION

SYSTEM_NAMESPACES = ("kube-system", "kube-flannel")
CALICO_NAMESPACES = ("tigera-operator", "calico-system")

# Where kubeadm keeps its configurations: the name of the ConfigMap, and the key in it.
_SETTINGS = {"kubeadm-config": "ClusterConfiguration", "kubelet-config": "kubelet", "kube-proxy": "config.conf"}
_TUNNELS = ("projectcalico.org/IPv4VXLANTunnelAddr", "projectcalico.org/IPv6VXLANTunnelAddr")
_FLANNEL = "flannel.alpha.coreos.com/backend-type"
_STATIC_PODS = {"labelSelector": "tier=control-plane"}  # The label is kubeadm's.


def observe(kube: Kube, *, patience: float = PATIENCE) -> ClusterFacts:
    """Read the cluster. ``patience`` is for how long an API server that has just started may fail.

    Raises KubernetesError when it does not answer.
    """
    # One after the other on one connection: each takes a few milliseconds, a further connection takes more.
    version = kube.get("/version", patience=patience)["gitVersion"].removeprefix("v")
    names = _config_maps(kube, "kube-system", patience)
    records = applied(kube.get(APPLIED, patience=patience)) if APPLIED_NAME in names else {}
    served = calico(kube, patience=patience)
    namespaces = dict.fromkeys(SYSTEM_NAMESPACES + (CALICO_NAMESPACES if served else ()))
    namespaces |= dict.fromkeys(key.partition("/")[0] for record in records.values() for key in record.workloads)
    found = [load for namespace in namespaces for load in workloads(kube, namespace, patience=patience)]
    loads = {f"{load.namespace}/{load.kind}/{load.name}": load for load in found}
    nodes = [node_facts(item) for item in kube.items("/api/v1/nodes", patience=patience)]
    tokens = kube.items(COLLECTION, OURS_QUERY, patience=patience)
    pods = kube.items("/api/v1/namespaces/kube-system/pods", _STATIC_PODS, patience=patience)
    return ClusterFacts(
        version=version,
        nodes={node.name: node for node in nodes},
        workloads=loads,
        finished=_finished(names, _config_maps(kube, "kube-public", patience), loads),
        join_tokens=tuple(sorted(token_id(item) for item in tokens if is_ours(item))),
        settings=_settings(kube, names, patience),
        applied=records,
        calico=served,
        static_pods={item["metadata"]["name"]: readiness(_conditions(item))[0] for item in pods},
        static_pod_images={item["metadata"]["name"]: _image(item) for item in pods},
    )


def service(kube: Kube, namespace: str, name: str) -> tuple[str, tuple[int, ...]]:
    """The address of a service inside the cluster, and its TCP ports. Raises InputError when it has none."""
    found = kube.find(f"/api/v1/namespaces/{quote(namespace, safe='')}/services/{quote(name, safe='')}")
    spec = found["spec"] if found else {}
    ports = tuple(port["port"] for port in spec.get("ports") or () if port.get("protocol", "TCP") == "TCP")
    address = spec.get("clusterIP") or ""
    if not ports or address in ("", "None"):
        problem = "has no address and TCP port of its own" if found else "is not there"
        raise InputError(
            f"the service {namespace}/{name} {problem}",
            resolution=f"look at it: kubectl --namespace {shlex.quote(namespace)} get services",
        )
    return address, ports


def workloads(kube: Kube, namespace: str, *, patience: float = PATIENCE) -> list[Workload]:
    """Read the DaemonSets and Deployments of a namespace."""
    collection = f"/apis/apps/v1/namespaces/{namespace}"
    return [
        workload(kind, item)
        for kind in ("DaemonSet", "Deployment")
        for item in kube.items(f"{collection}/{kind.lower()}s", patience=patience)
    ]


def _config_maps(kube: Kube, namespace: str, patience: float) -> set[str]:
    """The names of the ConfigMaps of a namespace."""
    found = kube.items(f"/api/v1/namespaces/{namespace}/configmaps", patience=patience, metadata=True)
    return {item["metadata"]["name"] for item in found}


def _settings(kube: Kube, names: set[str], patience: float) -> dict[str, Mapping[str, Any]]:
    """kubeadm's configurations that are kept in ConfigMaps, of those ``names`` that exist."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, key in _SETTINGS.items():
        if name in names:
            data = kube.get(f"/api/v1/namespaces/kube-system/configmaps/{name}", patience=patience).get("data") or {}
            with suppress(yaml.YAMLError):  # Somebody's slip of the pen; whoever needs it finds nothing.
                document = yaml.safe_load(data.get(key, ""))
                if isinstance(document, dict):
                    found[str(document.get("kind"))] = document
    return found


def _pod_network(annotations: Mapping[str, str], spec: Mapping[str, Any]) -> str:
    """Calico gives each node's tunnel an address among those of its pods; flannel takes the node's own range."""
    tunnel = next((annotations[key] for key in _TUNNELS if annotations.get(key)), "")
    return tunnel or (str(spec.get("podCIDR") or "") if _FLANNEL in annotations else "")


def node_facts(node: Mapping[str, Any]) -> NodeFacts:
    """Read one node."""
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    info = status.get("nodeInfo") or {}
    labels = metadata.get("labels") or {}
    ready, reason = readiness(_conditions(node))
    ours = owned(metadata.get("annotations"))
    return NodeFacts(
        name=metadata["name"],
        ready=ready,
        reason=reason,
        kubelet_version=info.get("kubeletVersion", "").removeprefix("v"),
        boot_id=info.get("bootID", ""),
        internal_address=next(
            (entry["address"] for entry in status.get("addresses") or [] if entry["type"] == "InternalIP"), ""
        ),
        control_plane=CONTROL_PLANE in labels,
        pod_network=_pod_network(metadata.get("annotations") or {}, spec),
        unschedulable=bool(spec.get("unschedulable")),
        labels=labels,
        taints=tuple(taint_text(taint) for taint in spec.get("taints") or []),
        owned_labels=ours.labels,
        owned_taints=ours.taints,
        os_image=info.get("osImage", ""),
        container_runtime=info.get("containerRuntimeVersion", ""),
        cordoned=cordoned(metadata.get("annotations")),
        allocatable=amounts({key: quantity(value) for key, value in (status.get("allocatable") or {}).items()}),
    )


def _image(pod: Mapping[str, Any]) -> str:
    """The image of a component's own container, which bears its name."""
    component = (pod["metadata"].get("labels") or {}).get("component")
    images: dict[str, str] = {container["name"]: container["image"] for container in pod["spec"]["containers"]}
    return images.get(str(component)) or next(iter(images.values()))


def _conditions(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (item.get("status") or {}).get("conditions") or []


def readiness(conditions: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Whether the Ready condition holds; if not, the reason and the message of whoever said so."""
    for condition in conditions:
        if condition["type"] == "Ready":
            if condition["status"] == "True":
                return True, ""
            said = [text for text in (condition.get("reason"), condition.get("message")) if text]
            return False, ": ".join(said) or "not Ready"
    return False, "it has not reported yet"


def workload(kind: str, item: Mapping[str, Any]) -> Workload:
    """Read a DaemonSet or a Deployment.

    A pod counts as ready when it is certain that it is both ready and of the newest generation: as many as
    are ready beyond the outdated ones. A workload that its controller has not looked at has none.
    """
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    if kind == "DaemonSet":
        desired = status.get("desiredNumberScheduled", 0)
        outdated = status.get("currentNumberScheduled", 0) - status.get("updatedNumberScheduled", 0)
        ready = status.get("numberReady", 0)
    else:
        desired = spec.get("replicas", 1)
        outdated = status.get("replicas", 0) - status.get("updatedReplicas", 0)
        ready = status.get("readyReplicas", 0)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        desired, ready = max(desired, 1), 0
    return Workload(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        desired=desired,
        ready=max(0, min(desired, ready - max(0, outdated))),
        images=tuple(container["image"] for container in spec["template"]["spec"]["containers"]),
        digest=(metadata.get("annotations") or {}).get(DIGEST_ANNOTATION, ""),
    )


def _finished(system: set[str], public: set[str], loads: Mapping[str, Workload]) -> frozenset[str]:
    """The marks of a whole ``kubeadm init`` that are there."""
    marks = {
        "configmap/kubeadm-config": "kubeadm-config" in system,
        "configmap/kubelet-config": "kubelet-config" in system,
        "configmap/cluster-info": "cluster-info" in public,
        "daemonset/kube-proxy": "kube-system/DaemonSet/kube-proxy" in loads,
        "deployment/coredns": "kube-system/Deployment/coredns" in loads,
    }
    return frozenset(mark for mark, there in marks.items() if there)
