"""Evictions that are not meant, and what is around: asked of a real API server."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusterctl.errors import KubernetesError
from clusterctl.kube.connect.client import Kube
from clusterctl.kube.observe.cluster import observe
from clusterctl.kube.observe.evictions import look_around, try_evictions
from clusterctl.kube.observe.pods import read_pods
from clusterctl.model.inventory import DrainOptions
from clusterctl.model.pods import Pods, Replicas
from clusterctl.rules.forecast import blocks, moving, waits, without_a_node
from tests.kube.server import NOBODY, ApiServer

CONTAINERS = [{"name": "a", "image": "img:1"}]
NODE = "forecast-1"


class Cluster:
    """Writes what controllers and kubelets would, in a namespace of its own."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.namespace = kube.create("/api/v1/namespaces", {"metadata": {"generateName": "forecast-"}})["metadata"][
            "name"
        ]

    def path(self, collection: str, api: str = "/api/v1") -> str:
        """Where a collection of the namespace is."""
        return f"{api}/namespaces/{self.namespace}/{collection}"

    def pod(self, name: str, *, ready: bool = True, labels: dict[str, str] | None = None, **spec: Any) -> None:
        """A running pod on the node, of a ReplicaSet."""
        metadata = {
            "name": name,
            "labels": {"app": "web"} if labels is None else labels,
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": True}
            ],
        }
        self.kube.create(
            self.path("pods"), {"metadata": metadata, "spec": {"nodeName": NODE, "containers": CONTAINERS, **spec}}
        )
        condition = {"type": "Ready", "status": str(ready)}
        self.kube.patch(
            self.path(f"pods/{name}/status"),
            {"metadata": {}, "status": {"phase": "Running", "conditions": [condition]}},
        )

    def budget(self, name: str, *, seen: bool = True, spec: dict[str, Any] | None = None, **status: int) -> None:
        """A budget for the web pods, as its controller has counted."""
        policy = self.path("poddisruptionbudgets", "/apis/policy/v1")
        selector = {"matchLabels": {"app": "web"}}
        made = self.kube.create(
            policy, {"metadata": {"name": name}, "spec": {"selector": selector, "minAvailable": 1, **(spec or {})}}
        )
        counted = {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1, **status}
        generation = made["metadata"]["generation"] if seen else 0
        self.kube.patch(
            f"{policy}/{name}/status", {"metadata": {}, "status": {**counted, "observedGeneration": generation}}
        )

    def look(self) -> Pods:
        """The pods of the namespace, with what the API server says of their eviction."""
        read = read_pods(self.kube)
        ours = tuple(pod for pod in read.pods if pod.namespace == self.namespace)
        pods = Pods(ours, read.budgets, around=look_around(self.kube, ours))
        return Pods(ours, read.budgets, try_evictions(self.kube, moving(pods, NODE)), pods.around)


@pytest.fixture
def cluster(kube: Kube, make_node: Callable[..., str]) -> Iterator[Cluster]:
    """A node and a namespace, and nothing left of its pods and budgets."""
    make_node(NODE)
    made = Cluster(kube)
    yield made
    for collection, api in (("poddisruptionbudgets", "/apis/policy/v1"), ("pods", "/api/v1")):
        for item in kube.items(made.path(collection, api)):
            kube.delete(f"{made.path(collection, api)}/{item['metadata']['name']}", {"gracePeriodSeconds": 0})


def refusals(pods: Pods) -> dict[str, tuple[int, bool]]:
    """Status, and whether it is a budget's, by the pods' names."""
    return {name.partition("/")[2]: (each.status, each.by_budget) for name, each in pods.refusals.items()}


def test_evictions_are_asked_and_not_meant(cluster: Cluster) -> None:
    """A pod without a budget and one whose budget allows it are not refused, stay, and use nothing up."""
    cluster.pod("free", labels={"app": "other"})
    cluster.pod("one")
    cluster.pod("two")
    cluster.budget("web", disruptionsAllowed=1, currentHealthy=2, expectedPods=2)

    pods = cluster.look()

    assert pods.refusals == {}
    again = cluster.look()
    assert {pod.name for pod in again.pods if not pod.terminating} == {"free", "one", "two"}
    assert again.budgets_of(again.pods[1])[0].disruptions_allowed == 1
    assert [str(wait) for wait in waits(again, NODE, DrainOptions())] == [
        f"2 pods leave in turns, 1 at a time, as the budget {cluster.namespace}/web says"
    ]


def test_a_budget_that_can_never_be_met_is_found(cluster: Cluster) -> None:
    """All pods have to be healthy, always: no waiting helps, and the way out is a command to paste."""
    cluster.pod("one")
    cluster.budget("web")

    pods = cluster.look()

    assert refusals(pods) == {"one": (429, True)}
    (block,) = blocks(pods, NODE, DrainOptions())
    assert "can never allow an eviction: it wants 1 of 1 pods healthy" in block.reason
    assert f"kubectl -n {cluster.namespace} scale replicaset/web-1 --replicas=2" in block.remedy
    assert f"kubectl -n {cluster.namespace} patch pdb web" in block.remedy
    assert not block.passing


def test_the_remedy_for_a_budget_works(cluster: Cluster) -> None:
    """The patch that is told to paste is one that the API server takes."""
    cluster.pod("one")
    cluster.budget("web")
    (block,) = blocks(cluster.look(), NODE, DrainOptions())
    patch = block.remedy.partition("-p '")[2].rstrip("'")
    path = f"{cluster.path('poddisruptionbudgets', '/apis/policy/v1')}/web"

    cluster.kube.patch(path, {"metadata": {}, **json.loads(patch)})

    assert cluster.kube.get(path)["spec"]["maxUnavailable"] == 1


def test_a_budget_with_no_disruption_left_names_who_is_not_ready(cluster: Cluster) -> None:
    """Pods that become ready cure it, so it passes."""
    cluster.pod("one")
    cluster.pod("two", ready=False)
    cluster.budget("web", expectedPods=2)

    pods = cluster.look()

    # An unready pod may go as long as the others are enough.
    assert refusals(pods) == {"one": (429, True)}
    (block,) = blocks(pods, NODE, DrainOptions())
    assert "allows no eviction at the moment: 1 of 2 pods are healthy, 1 have to be" in block.reason
    assert f"{cluster.namespace}/two on {NODE} is not ready" in block.reason
    assert block.passing


def test_a_budget_that_nobody_has_counted_yet(cluster: Cluster) -> None:
    """The API server waits for the controller, and so do we."""
    cluster.pod("one")
    cluster.budget("web", seen=False, disruptionsAllowed=1, expectedPods=2)

    pods = cluster.look()

    assert refusals(pods) == {"one": (429, True)}
    (block,) = blocks(pods, NODE, DrainOptions())
    assert "have not been counted" in block.reason
    assert block.passing


def test_two_budgets_on_one_pod(cluster: Cluster) -> None:
    """The API server answers 500, at once and for ever."""
    cluster.pod("one")
    cluster.budget("a", disruptionsAllowed=1, expectedPods=2)
    cluster.budget("b", disruptionsAllowed=1, expectedPods=2)

    pods = cluster.look()

    assert refusals(pods) == {"one": (500, True)}
    (block,) = blocks(pods, NODE, DrainOptions())
    assert "the budgets a and b both cover it" in block.reason
    assert not block.passing


def test_a_pod_that_is_gone_is_not_refused(cluster: Cluster) -> None:
    """It has left by itself, or another one has its name."""
    cluster.pod("one")
    pods = cluster.look().pods
    cluster.kube.delete(cluster.path("pods/one"), {"gracePeriodSeconds": 0})
    assert try_evictions(cluster.kube, pods) == {}
    cluster.pod("one")
    assert try_evictions(cluster.kube, pods) == {}


def test_a_budget_without_a_label_covers_the_whole_namespace(cluster: Cluster) -> None:
    """As policy/v1 has it, for the API server and for us alike."""
    cluster.pod("one")
    cluster.pod("bare", labels={})
    cluster.budget("web", spec={"selector": {}})

    pods = cluster.look()

    covered = [str(pod) for pod in pods.pods if pods.budgets_of(pod)]
    assert covered == list(pods.refusals)


def test_an_unready_pod_may_go_where_the_budget_says_so(cluster: Cluster) -> None:
    """``AlwaysAllow``, although nothing is left."""
    cluster.pod("one", ready=False)
    cluster.budget("web", spec={"unhealthyPodEvictionPolicy": "AlwaysAllow"}, currentHealthy=0)

    assert cluster.look().refusals == {}


def test_who_may_not_ask_is_told(cluster: Cluster, api_server: ApiServer) -> None:
    """Missing rights are an error, not a refusal of each pod."""
    cluster.pod("one")
    pods = cluster.look().pods

    with Kube(api_server.kubeconfig(token=NOBODY)) as nobody, pytest.raises(KubernetesError) as caught:
        try_evictions(nobody, pods, patience=0)

    assert caught.value.status == 403


def test_what_is_around_is_read(cluster: Cluster) -> None:
    """Replicas and rollouts, Services that pin clients, and volumes that are bound to a node."""
    kube, space = cluster.kube, cluster.namespace
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": CONTAINERS}}
    workload = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    cluster.pod("one", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    kube.create(
        cluster.path("deployments", "/apis/apps/v1"), {"metadata": {"name": "web"}, "spec": {**workload, "replicas": 3}}
    )
    kube.patch(
        f"{cluster.path('deployments', '/apis/apps/v1')}/web/status",
        {"metadata": {}, "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1}},
    )
    kube.create(
        cluster.path("statefulsets", "/apis/apps/v1"),
        {"metadata": {"name": "db"}, "spec": {**workload, "serviceName": "db"}},
    )
    kube.patch(
        f"{cluster.path('statefulsets', '/apis/apps/v1')}/db/status",
        {
            "metadata": {},
            "status": {"observedGeneration": 1, "replicas": 1, "currentRevision": "a", "updateRevision": "a"},
        },
    )
    ports = [{"port": 80}]
    for name, affinity in (("pinned", "ClientIP"), ("free", "None")):
        kube.create(
            cluster.path("services"),
            {
                "metadata": {"name": name},
                "spec": {"ports": ports, "selector": {"app": "web"}, "sessionAffinity": affinity},
            },
        )
    storage = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = f"pv-{space}"
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}]}]
    kube.create(
        "/api/v1/persistentvolumes",
        {
            "metadata": {"name": volume},
            "spec": {
                **storage,
                "capacity": {"storage": "1Gi"},
                "local": {"path": "/data"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
            },
        },
    )
    try:
        kube.create(
            cluster.path("persistentvolumeclaims"),
            {
                "metadata": {"name": "data"},
                "spec": {**storage, "volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}},
            },
        )
        pods = cluster.look()
    finally:
        kube.delete(f"/api/v1/persistentvolumes/{volume}")

    assert pods.around.replicas[f"{space}/Deployment/web"] == Replicas(3, "1 of 3 pods are up to date")
    assert pods.around.replicas[f"{space}/StatefulSet/db"] == Replicas(1)
    assert [each.name for each in pods.around.pinned if each.namespace == space] == ["pinned"]
    assert pods.around.volumes == {f"{space}/data": {"nodeSelectorTerms": terms}}


def test_the_room_of_nodes_is_read(cluster: Cluster, make_node: Callable[..., str]) -> None:
    """A pod goes where there is room for its requests, and nowhere else."""
    other = make_node("forecast-2")
    status = f"/api/v1/nodes/{other}/status"
    cluster.pod("one", containers=[{**CONTAINERS[0], "resources": {"requests": {"cpu": "1500m", "memory": "1Gi"}}}])

    def room(**allocatable: str) -> list[str]:
        cluster.kube.patch(
            status, {"metadata": {}, "status": {"capacity": allocatable, "allocatable": {"pods": "110", **allocatable}}}
        )
        nodes = observe(cluster.kube).nodes
        both = {name: nodes[name] for name in (NODE, other)}
        return [each.why for each in without_a_node(cluster.look(), NODE, both, DrainOptions())]

    assert room(cpu="2", memory="2Gi") == []
    assert room(cpu="1", memory="2Gi") == [f"{other}: 1 CPU free, 1.5 requested"]
    assert room(cpu="2", memory="512Mi") == [f"{other}: 512 MiB of memory free, 1024 requested"]
