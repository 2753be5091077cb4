"""Observed: the pods of the cluster and the budgets that protect them, as far as a drain has to know them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterctl.model.selector import selects

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
    and of PersistentVolumeClaims, ``host_paths`` paths of the node that the pod writes to. ``requests`` are what the
    scheduler reckons with: ``cpu`` in thousandths, ``memory`` in bytes, others as the API counts them. ``host_ports``
    are taken on the node, such as ``TCP 443``. ``scheduling`` are the fields of the spec that say where the pod may
    run, as the API writes them. ``grace`` is for how many seconds it may go on when it is told to end. ``problem`` says
    why it is not ready.
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
    requests: Mapping[str, int] = field(default_factory=dict)
    host_ports: frozenset[str] = frozenset()
    scheduling: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    grace: int = 30
    problem: str = ""

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
    is the API's. ``unhealthy_policy`` is ``IfHealthyBudget`` or ``AlwaysAllow``. ``counted`` says that it wants a
    number of pods, not a share of them or all but some. ``keeper`` is the controller that wrote it and may change it.
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
    counted: bool = False
    keeper: Owner | None = None

    def covers(self, pod: PodFacts) -> bool:
        """Whether the pod counts for this budget: an empty selector takes the whole namespace, none at all nobody."""
        return pod.namespace == self.namespace and selects(self.selector, pod.labels)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the API server answers to the question whether a pod may be evicted now, when that is no.

    ``by_budget`` says that a budget is the reason, or that there is more than one.
    """

    status: int
    message: str
    by_budget: bool = False


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many pods a Deployment or StatefulSet wants; ``unfinished`` says what is left of a rollout, or nothing."""

    wanted: int
    unfinished: str = ""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A Service that leads each client to the same pod, by the client's address."""

    namespace: str
    name: str
    selector: Mapping[str, str]

    def leads_to(self, pod: PodFacts) -> bool:
        """Whether the pod is one of those behind it."""
        return pod.namespace == self.namespace and self.selector.items() <= pod.labels.items()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Around:
    """What a forecast has to know of the cluster beside pods and budgets.

    ``replicas`` are by ``namespace/kind/name``. ``volumes`` are the node selectors of the volumes that claims
    (``namespace/name``) are bound to, of those that not every node reaches.
    """

    replicas: Mapping[str, Replicas] = field(default_factory=dict)
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pinned: tuple[Pinned, ...] = ()


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods and budgets of the whole cluster at one moment.

    ``refusals`` are the answers to evictions that were asked without being meant, of pods that may not leave now,
    by ``namespace/name``. They and what is ``around`` are there for steps that look ahead.
    """

    pods: tuple[PodFacts, ...] = ()
    budgets: tuple[Budget, ...] = ()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    around: Around = field(default_factory=Around)

    def on(self, node: str) -> tuple[PodFacts, ...]:
        """The pods of a node."""
        return tuple(pod for pod in self.pods if pod.node == node)

    def budgets_of(self, pod: PodFacts) -> tuple[Budget, ...]:
        """The budgets that cover a pod."""
        return tuple(budget for budget in self.budgets if budget.covers(pod))
