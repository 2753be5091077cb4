"""Observed: the pods of the cluster and the budgets that protect them, as far as a drain has to know them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FINISHED = ("Succeeded", "Failed")
"""The phases of a pod whose containers have all ended for good."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller that made a pod and makes another one in its place.

    ``present`` is False when it is a DaemonSet that the API does not have any more. Other kinds are not looked up:
    the API deletes their pods with them.
    """

    kind: str
    name: str
    uid: str
    present: bool = True
    api_version: str = "apps/v1"

    @property
    def daemon_set(self) -> bool:
        """Whether it is a DaemonSet, whose pods a node gets again at once."""
        return self.kind == "DaemonSet" and self.api_version == "apps/v1"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod as the API shows it.

    ``mirror`` says that the kubelet's own file is the pod, and the API's object its reflection. ``overdue`` is for
    how many seconds a ``terminating`` pod should have been gone. ``empty_dirs`` and ``claims`` are names of volumes
    and of PersistentVolumeClaims, ``host_paths`` paths of the node. ``cpu`` (thousandths) and ``memory`` (bytes) are
    what the scheduler reckons with. ``scheduling`` are the fields of the spec that say where the pod may run, as the
    API writes them.
    """

    namespace: str
    name: str
    uid: str
    node: str
    phase: str = "Running"
    labels: Mapping[str, str] = field(default_factory=dict)
    controller: Owner | None = None
    mirror: bool = False
    ready: bool = True
    terminating: bool = False
    overdue: float = 0.0
    empty_dirs: tuple[str, ...] = ()
    host_paths: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    cpu: int = 0
    memory: int = 0
    scheduling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether all of its containers have ended for good."""
        return self.phase in FINISHED

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget, and what its controller last counted.

    ``up_to_date`` is False while the controller has not seen the newest spec: nothing is evicted then. ``selector``
    is the API's. ``unhealthy_policy`` is ``IfHealthyBudget`` or ``AlwaysAllow``.
    """

    namespace: str
    name: str
    disruptions_allowed: int
    current_healthy: int
    desired_healthy: int
    expected_pods: int
    up_to_date: bool = True
    selector: Mapping[str, Any] | None = None
    unhealthy_policy: str = "IfHealthyBudget"

    def covers(self, pod: PodFacts) -> bool:
        """Whether the pod counts for this budget: an empty selector takes the whole namespace, none at all nobody."""
        return self.selector is not None and pod.namespace == self.namespace and selects(self.selector, pod.labels)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the API server answers to the question whether a pod may be evicted now, when that is no."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods and budgets of the whole cluster at one moment.

    ``refusals`` are the answers to evictions that were asked without being meant, of pods that may not leave now,
    by ``namespace/name``.
    """

    pods: tuple[PodFacts, ...] = ()
    budgets: tuple[Budget, ...] = ()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)

    def on(self, node: str) -> tuple[PodFacts, ...]:
        """The pods of a node."""
        return tuple(pod for pod in self.pods if pod.node == node)

    def budgets_of(self, pod: PodFacts) -> tuple[Budget, ...]:
        """The budgets that cover a pod."""
        return tuple(budget for budget in self.budgets if budget.covers(pod))


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector of the API, ``matchLabels`` and ``matchExpressions``, selects these labels."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or []
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False  # An operator that Kubernetes does not know either.
