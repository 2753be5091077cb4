"""Nodes with pods on a real API server; a thread plays the kubelet, who ends pods, and controllers, who make them."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from clusterctl.errors import ClusterctlError
from clusterctl.kube.connect.client import Kube, Object

_LOOK_EVERY = 0.05


@dataclass(frozen=True)
class Pod:
    """What a test says of a pod. ``owner`` is KIND/NAME of its controller, of apps/v1 unless it says GROUP/VERSION/."""

    name: str
    owner: str = "ReplicaSet/web"
    phase: str = "Running"
    ready: bool = True
    problem: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: {"app": "web"})
    annotations: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Mapping[str, Any], ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def manifest(self, node: str) -> Object:
        """The pod as it is sent; without a ``node`` nobody has scheduled it."""
        metadata: Object = {"name": self.name, "labels": dict(self.labels), "annotations": dict(self.annotations)}
        if self.owner:
            *version, kind, name = self.owner.split("/")
            metadata["ownerReferences"] = [
                {
                    "apiVersion": "/".join(version) or "apps/v1",
                    "kind": kind,
                    "name": name,
                    "uid": f"uid-of-{name}",
                    "controller": True,
                }
            ]
        place = {"nodeName": node} if node else {}
        spec = {"containers": [{"name": "c", "image": "none"}], "volumes": list(self.volumes), **place, **self.more}
        return {"metadata": metadata, "spec": spec}


@dataclass(frozen=True)
class Pdb:
    """What a test says of a budget, and what its controller would have counted."""

    name: str
    allowed: int
    healthy: int = 1
    needed: int = 1
    expected: int = 1
    stale: bool = False
    selector: Mapping[str, Any] = field(default_factory=lambda: {"matchLabels": {"app": "web"}})
    policy: str = "IfHealthyBudget"


class Stage:
    """One node and one namespace. ``stuck`` are pods that the kubelet never ends; ``revived`` are made again there."""

    def __init__(self, kube: Kube, name: str) -> None:
        self.kube = kube
        self.node = self.namespace = name
        self.stuck: set[str] = set()
        self.revived: dict[str, Pod] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, name=f"kubelet of {name}")
        kube.create("/api/v1/namespaces", {"metadata": {"name": name}})
        kube.create("/api/v1/nodes", {"metadata": {"name": name}})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.kube.delete(self.pods, {"gracePeriodSeconds": 0})
        for budget in self.kube.items(self.budgets):
            self.kube.delete(f"{self.budgets}/{budget['metadata']['name']}")
        self.kube.delete(f"/api/v1/nodes/{self.node}")

    @property
    def pods(self) -> str:
        """The collection of the namespace's pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def budgets(self) -> str:
        """The collection of the namespace's budgets."""
        return f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets"

    def add(self, *pods: Pod, bound: bool = True) -> None:
        """Make pods, and say of them what a kubelet would."""

        def make(pod: Pod) -> None:
            self.kube.create(self.pods, pod.manifest(self.node if bound else ""))
            if pod.phase != "Pending":
                condition = {"type": "Ready", "status": str(pod.ready), "message": pod.problem}
                status = {"phase": pod.phase, "conditions": [condition]}
                self.kube.patch(f"{self.pods}/{pod.name}/status", {"metadata": {}, "status": status})

        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(make, pods))

    def daemon_set(self, name: str) -> None:
        """Make a DaemonSet that nobody acts upon."""
        labels = {"daemon": name}
        spec = {"containers": [{"name": "c", "image": "none"}]}
        template = {"metadata": {"labels": labels}, "spec": spec}
        body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
        self.kube.create(f"/apis/apps/v1/namespaces/{self.namespace}/daemonsets", body)

    def protect(self, budget: Pdb) -> None:
        """Make a budget, and count as its controller would."""
        self.kube.create(
            self.budgets,
            {
                "metadata": {"name": budget.name},
                "spec": {
                    "selector": dict(budget.selector),
                    "minAvailable": budget.needed,
                    "unhealthyPodEvictionPolicy": budget.policy,
                },
            },
        )
        self.count(budget)

    def count(self, budget: Pdb) -> None:
        """What the budget's controller finds now."""
        status = {
            "observedGeneration": 0 if budget.stale else 1,
            "disruptionsAllowed": budget.allowed,
            "currentHealthy": budget.healthy,
            "desiredHealthy": budget.needed,
            "expectedPods": budget.expected,
        }
        self.kube.patch(f"{self.budgets}/{budget.name}/status", {"metadata": {}, "status": status})

    def delete(self, pod: str, *, grace: int = 30) -> None:
        """Delete a pod as a user would."""
        self.kube.delete(f"{self.pods}/{pod}", {"gracePeriodSeconds": grace})

    def found(self, pod: str) -> Object | None:
        """A pod as the API shows it."""
        return self.kube.find(f"{self.pods}/{pod}")

    def left(self) -> dict[str, bool]:
        """The pods that are there, and whether they are terminating."""
        items = self.kube.items(self.pods)
        return {item["metadata"]["name"]: "deletionTimestamp" in item["metadata"] for item in items}

    def later(self, seconds: float, act: Callable[[], object]) -> threading.Timer:
        """Do something while the test waits."""
        timer = threading.Timer(seconds, act)
        timer.start()
        return timer

    def _play(self) -> None:
        query = {"fieldSelector": f"spec.nodeName={self.node}"}
        while not self._over.wait(_LOOK_EVERY):
            for item in self.kube.items("/api/v1/pods", query, metadata=True):
                metadata = item["metadata"]
                if "deletionTimestamp" not in metadata or metadata["name"] in self.stuck:
                    continue
                try:
                    self.kube.delete(
                        f"{self.pods}/{metadata['name']}",
                        {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}},
                    )
                    again = self.revived.pop(metadata["name"], None)
                    if again:
                        self.add(replace(again, name=metadata["name"]))
                except ClusterctlError:
                    continue  # Somebody else ended it at the same moment.
