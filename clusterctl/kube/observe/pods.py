"""Read pods and disruption budgets into facts, in as few requests as there are kinds."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clusterctl.kube.connect.client import PATIENCE, Kube
from clusterctl.kube.observe.cluster import readiness
from clusterctl.kube.observe.problems import pod_problem
from clusterctl.kube.observe.quantity import amounts, quantity
from clusterctl.model.pods import Budget, Owner, PodFacts, Pods

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

_SCHEDULING = ("nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "schedulerName")
_NO_DATA = ("Socket", "CharDevice", "BlockDevice")


def read_pods(kube: Kube, node: str = "", *, patience: float = PATIENCE) -> Pods:
    """Read every pod, or those of ``node``, and every budget. Raises KubernetesError.

    DaemonSets are listed when a pod says that it belongs to one: three requests, and one more for each further 500
    pods.
    """
    query = {"fieldSelector": f"spec.nodeName={node}"} if node else None
    now = datetime.now(UTC)
    read = [pod_facts(item, now) for item in kube.items("/api/v1/pods", query, patience=patience)]
    if any(pod.controller and pod.controller.daemon_set for pod in read):
        found = kube.items("/apis/apps/v1/daemonsets", patience=patience, metadata=True)
        there = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in found}
        read = [_with_presence(pod, there) for pod in read]
    return Pods(tuple(read), read_budgets(kube, patience=patience))


def read_budgets(kube: Kube, *, patience: float = PATIENCE) -> tuple[Budget, ...]:
    """Read every budget. Raises KubernetesError."""
    return tuple(budget(item) for item in kube.items("/apis/policy/v1/poddisruptionbudgets", patience=patience))


def pod_facts(pod: Mapping[str, Any], now: datetime) -> PodFacts:
    """Read one pod."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    late = overdue(metadata, now)
    volumes = spec.get("volumes") or []
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        node=spec.get("nodeName", ""),
        phase=status.get("phase", ""),
        labels=metadata.get("labels") or {},
        controller=_controller(metadata),
        mirror=MIRROR_ANNOTATION in (metadata.get("annotations") or {}),
        ready=readiness(status.get("conditions") or [])[0],
        terminating=late is not None,
        overdue=late or 0.0,
        empty_dirs=tuple(volume["name"] for volume in volumes if volume.get("emptyDir") is not None),
        host_paths=tuple(_written(spec, volumes)),
        claims=tuple(_claims(metadata["name"], volumes)),
        requests=requests(spec),
        host_ports=_host_ports(spec),
        scheduling={key: spec[key] for key in _SCHEDULING if spec.get(key)},
        priority=spec.get("priority") or 0,
        grace=spec.get("terminationGracePeriodSeconds", 30),
        problem=pod_problem(pod),
    )


def overdue(metadata: Mapping[str, Any], now: datetime) -> float | None:
    """For how many seconds an object should have been gone; None when nobody has deleted it."""
    deleted = metadata.get("deletionTimestamp")
    return (now - datetime.fromisoformat(deleted)).total_seconds() if deleted else None


def _controller(metadata: Mapping[str, Any]) -> Owner | None:
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            return Owner(owner["kind"], owner["name"], owner["uid"], api_version=owner["apiVersion"])
    return None


def _with_presence(pod: PodFacts, daemon_sets: Collection[tuple[str, str]]) -> PodFacts:
    """The pod; its controller is told to be gone when it is a DaemonSet that is not among these."""
    owner = pod.controller
    if owner is None or not owner.daemon_set or (pod.namespace, owner.name) in daemon_sets:
        return pod
    return replace(pod, controller=replace(owner, present=False))


def _claims(pod: str, volumes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The claims that a pod mounts; one that is made for the pod alone is named after both."""
    for volume in volumes:
        if volume.get("persistentVolumeClaim"):
            yield volume["persistentVolumeClaim"]["claimName"]
        elif volume.get("ephemeral"):
            yield f"{pod}-{volume['name']}"


def _written(spec: Mapping[str, Any], volumes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The paths of the node that containers may write to; sockets and devices are no data."""
    writable = {
        mount["name"]
        for container in _containers(spec)
        for mount in container.get("volumeMounts") or []
        if not mount.get("readOnly")
    }
    for volume in volumes:
        path = volume.get("hostPath")
        if path and volume["name"] in writable and path.get("type") not in _NO_DATA:
            yield path["path"]


def _host_ports(spec: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        f"{port.get('protocol', 'TCP')} {port['hostPort']}"
        for container in _containers(spec)
        for port in container.get("ports") or []
        if port.get("hostPort")
    )


def _containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]


def requests(spec: Mapping[str, Any]) -> dict[str, int]:
    """What the scheduler keeps free for a pod: cpu in thousandths, all else in the API's own units."""
    sources = [spec, *_containers(spec)]
    names = {name for source in sources for name in (source.get("resources") or {}).get("requests") or {}}
    return amounts({name: requested(spec, name) for name in names | set(spec.get("overhead") or {})})


def requested(spec: Mapping[str, Any], resource: str) -> Decimal:
    """How much of a resource the scheduler keeps free for a pod.

    The containers run together, with the init containers that go on running; the other init containers run one
    after the other beside those that were started before them. What the pod itself requests replaces all that.
    """

    def of(container: Mapping[str, Any]) -> Decimal:
        return quantity(((container.get("resources") or {}).get("requests") or {}).get(resource, "0"))

    at_start = beside = Decimal(0)
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            beside += of(container)
            at_start = max(at_start, beside)
        else:
            at_start = max(at_start, beside + of(container))
    running = beside + sum((of(container) for container in spec.get("containers") or []), Decimal(0))
    own = ((spec.get("resources") or {}).get("requests") or {}).get(resource)
    overhead = quantity((spec.get("overhead") or {}).get(resource, "0"))
    return (quantity(own) if own else max(at_start, running)) + overhead


def budget(item: Mapping[str, Any]) -> Budget:
    """Read one PodDisruptionBudget."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    return Budget(
        namespace=metadata["namespace"],
        name=metadata["name"],
        disruptions_allowed=status.get("disruptionsAllowed", 0),
        current_healthy=status.get("currentHealthy", 0),
        desired_healthy=status.get("desiredHealthy", 0),
        expected_pods=status.get("expectedPods", 0),
        up_to_date=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        selector=spec.get("selector"),
        unhealthy_policy=spec.get("unhealthyPodEvictionPolicy") or "IfHealthyBudget",
        counted=isinstance(spec.get("minAvailable"), int),
        keeper=_controller(metadata),
    )
