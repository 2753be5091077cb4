"""From the API's objects to facts: in tables, and read from a real API server."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from clusterctl.errors import InputError
from clusterctl.kube.connect.client import Kube
from clusterctl.kube.observe.cluster import node_facts, observe, readiness, service, workload
from clusterctl.kube.observe.node import OWNED_ANNOTATION, Owned, change_taints, owned, parse_taint, taint_text
from clusterctl.kube.observe.token import is_ours
from clusterctl.model.facts import Workload

TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "img:1"}]}}


def test_a_node_becomes_facts(kube: Kube, make_node: Callable[..., str]) -> None:
    """Everything that steps ask of a node is read from one list."""
    make_node(
        "w1",
        labels={"node-role.kubernetes.io/control-plane": "", "disk": "ssd"},
        taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "c", "effect": "NoExecute"}],
    )
    make_node("w2", ready=False)
    kube.patch("/api/v1/nodes/w2", {"metadata": {}, "spec": {"unschedulable": True}})

    facts = observe(kube)

    assert f"v{facts.version}" == kube.get("/version")["gitVersion"]
    w1, w2 = facts.nodes["w1"], facts.nodes["w2"]
    assert (w1.ready, w1.reason, w1.control_plane, w1.unschedulable) == (True, "", True, False)
    assert (w1.kubelet_version, w1.internal_address) == ("1.36.3", "10.0.0.7")
    assert (w1.os_image, w1.container_runtime) == ("Ubuntu 24.04.3 LTS", "containerd://2.3.7")
    assert w1.taints == ("a=b:NoSchedule", "c:NoExecute")
    assert w1.labels["disk"] == "ssd"
    assert (w2.ready, w2.reason) == (False, "KubeletNotReady: cni plugin not initialized")
    assert (w2.control_plane, w2.unschedulable) == (False, True)


def test_a_node_tells_the_boot_of_its_kubelet() -> None:
    """By it a Ready of the time before a restart is known."""
    facts = node_facts({"metadata": {"name": "w1"}, "status": {"nodeInfo": {"bootID": "8f2e"}}})

    assert facts.boot_id == "8f2e"


def test_a_service_has_an_address_and_ports(kube: Kube) -> None:
    """One that is not there, or has no address of its own, is bad input."""
    kube.create("/api/v1/namespaces", {"metadata": {"name": "served"}})
    services = "/api/v1/namespaces/served/services"
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "a", "port": 80}, {"name": "b", "port": 8080}]
    made = kube.create(services, {"metadata": {"name": "web"}, "spec": {"ports": ports}})
    kube.create(services, {"metadata": {"name": "bare"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}})

    assert service(kube, "served", "web") == (made["spec"]["clusterIP"], (80, 8080))
    with pytest.raises(InputError, match="has no address"):
        service(kube, "served", "bare")
    with pytest.raises(InputError, match="is not there"):
        service(kube, "served", "../web")


@pytest.mark.parametrize(
    ("annotations", "network"),
    [
        ({}, ""),
        ({"flannel.alpha.coreos.com/backend-type": "vxlan"}, "10.10.3.0/24"),
        ({"projectcalico.org/IPv4VXLANTunnelAddr": "10.10.7.64"}, "10.10.7.64"),
        ({"projectcalico.org/IPv6VXLANTunnelAddr": "fd01::40"}, "fd01::40"),
    ],
)
def test_the_network_plugin_announces_a_nodes_pods(annotations: dict[str, str], network: str) -> None:
    """Each in its own way; the range that Kubernetes gives the node counts with flannel alone."""
    facts = node_facts({"metadata": {"name": "w1", "annotations": annotations}, "spec": {"podCIDR": "10.10.3.0/24"}})

    assert facts.pod_network == network


def test_a_node_that_has_not_reported_is_not_ready() -> None:
    """A node object that its kubelet has not filled in yet is no surprise."""
    facts = node_facts({"metadata": {"name": "w1"}})

    assert (facts.ready, facts.reason, facts.kubelet_version) == (False, "it has not reported yet", "")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], (False, "it has not reported yet")),
        ([{"type": "MemoryPressure", "status": "False"}], (False, "it has not reported yet")),
        ([{"type": "Ready", "status": "True", "reason": "KubeletReady"}], (True, "")),
        (
            [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped"}],
            (False, "NodeStatusUnknown: Kubelet stopped"),
        ),
        ([{"type": "Ready", "status": "False"}], (False, "not Ready")),
    ],
)
def test_readiness(conditions: list[dict[str, str]], expected: tuple[bool, str]) -> None:
    """Only a Ready condition that is True is ready."""
    assert readiness(conditions) == expected


@pytest.mark.parametrize(
    ("status", "desired", "ready"),
    [
        ({}, 1, 0),
        ({"observedGeneration": 1, "desiredNumberScheduled": 3, "numberReady": 3, "updatedNumberScheduled": 3}, 3, 0),
        (_ds := {"observedGeneration": 2, "desiredNumberScheduled": 3, "currentNumberScheduled": 3}, 3, 0),
        (_ds | {"numberReady": 3, "updatedNumberScheduled": 1}, 3, 1),
        (_ds | {"numberReady": 2, "updatedNumberScheduled": 3}, 3, 2),
        (_ds | {"numberReady": 3, "updatedNumberScheduled": 3}, 3, 3),
        ({"observedGeneration": 2, "desiredNumberScheduled": 0}, 0, 0),
    ],
)
def test_a_daemonset_counts_pods_of_the_newest_generation(status: dict[str, int], desired: int, ready: int) -> None:
    """What its controller has not seen yet, or has not replaced yet, is not ready."""
    item = {
        "metadata": {"namespace": "n", "name": "d", "generation": 2},
        "spec": {"template": TEMPLATE},
        "status": status,
    }

    assert workload("DaemonSet", item) == Workload("DaemonSet", "n", "d", desired, ready, ("img:1",))


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}, 0),
        ({"observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "updatedReplicas": 1}, 0),
        ({"observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "updatedReplicas": 2}, 1),
        ({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}, 2),
        ({"observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3}, 2),
    ],
)
def test_a_deployment_counts_pods_of_the_newest_generation(status: dict[str, int], ready: int) -> None:
    """A pod counts when it is certain that it is both ready and new."""
    item = {
        "metadata": {"namespace": "n", "name": "d", "generation": 2},
        "spec": {"replicas": 2, "template": TEMPLATE},
        "status": status,
    }

    assert workload("Deployment", item).ready == ready


def test_workloads_and_marks_are_found(kube: Kube) -> None:
    """What a finished ``kubeadm init`` leaves is recognised, and what is missing is not."""
    namespace = "/api/v1/namespaces/kube-system"
    spec = {"selector": {"matchLabels": {"a": "a"}}, "template": {"metadata": {"labels": {"a": "a"}}, **TEMPLATE}}
    made = []

    def create(collection: str, name: str, **body: Any) -> None:
        kube.create(collection, {"metadata": {"name": name}, **body})
        made.append(f"{collection}/{name}")

    assert observe(kube).finished == frozenset()
    try:
        create(f"{namespace}/configmaps", "kubeadm-config", data={"a": "b"})
        create(f"{namespace}/configmaps", "kubelet-config", data={"a": "b"})
        create("/api/v1/namespaces/kube-public/configmaps", "cluster-info", data={"a": "b"})
        create("/apis/apps/v1/namespaces/kube-system/daemonsets", "kube-proxy", spec=spec)
        create("/apis/apps/v1/namespaces/kube-system/deployments", "coredns", spec={**spec, "replicas": 2})

        facts = observe(kube)
    finally:
        for path in made:
            kube.delete(path)

    assert facts.finished == {
        "configmap/kubeadm-config",
        "configmap/kubelet-config",
        "configmap/cluster-info",
        "daemonset/kube-proxy",
        "deployment/coredns",
    }
    assert facts.workloads["kube-system/DaemonSet/kube-proxy"] == Workload(
        "DaemonSet", "kube-system", "kube-proxy", 1, 0, ("img:1",)
    )
    assert facts.workloads["kube-system/Deployment/coredns"].desired == 2


def test_static_pods_are_known_by_their_label(kube: Kube) -> None:
    """Only those of kubeadm, whether they are ready, and the image of the container that bears the component's name."""
    collection = "/api/v1/namespaces/kube-system/pods"
    plain = TEMPLATE["spec"]["containers"]
    etcd = {"tier": "control-plane", "component": "etcd"}
    beside = [{"name": "beside", "image": "img:1"}, {"name": "etcd", "image": "etcd:3.6.8-0"}]
    for name, labels, containers in (
        ("etcd-cp1", etcd, beside),
        ("etcd-cp2", {"tier": "control-plane"}, plain),
        ("a", {}, plain),
    ):
        spec = {"containers": containers, "automountServiceAccountToken": False}
        body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
        kube.create(collection, body)
    try:
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        kube.patch(f"{collection}/etcd-cp1/status", ready)

        facts = observe(kube)
    finally:
        for name in ("etcd-cp1", "etcd-cp2", "a"):
            kube.delete(f"{collection}/{name}", {"gracePeriodSeconds": 0})

    assert facts.static_pods == {"etcd-cp1": True, "etcd-cp2": False}
    assert facts.static_pod_images == {"etcd-cp1": "etcd:3.6.8-0", "etcd-cp2": "img:1"}


@pytest.mark.parametrize(
    ("text", "taint"),
    [
        ("a:NoSchedule", {"key": "a", "effect": "NoSchedule"}),
        ("x.io/a=b:NoExecute", {"key": "x.io/a", "value": "b", "effect": "NoExecute"}),
    ],
)
def test_taints_are_written_and_read(text: str, taint: dict[str, str]) -> None:
    """The inventory's form and the API's carry the same."""
    assert parse_taint(text) == taint
    assert taint_text(taint) == text


@pytest.mark.parametrize(
    ("before", "add", "remove", "after"),
    [
        ((), ("a:NoSchedule",), (), ("a:NoSchedule",)),
        (("f:NoExecute",), ("a:NoSchedule",), (), ("f:NoExecute", "a:NoSchedule")),
        (("f:NoExecute", "a:NoSchedule"), (), ("a:NoSchedule",), ("f:NoExecute",)),
        (("a=1:NoSchedule",), ("a=2:NoSchedule",), (), ("a=2:NoSchedule",)),
        (("a=1:NoExecute",), ("a=2:NoSchedule",), (), ("a=1:NoExecute", "a=2:NoSchedule")),
        (("a=1:NoSchedule",), (), ("a=2:NoSchedule",), ("a=1:NoSchedule",)),
        (("a=1:NoSchedule",), ("a=2:NoSchedule",), ("a=1:NoSchedule",), ("a=2:NoSchedule",)),
        (("a:NoSchedule",), ("a:NoSchedule",), (), ("a:NoSchedule",)),
    ],
)
def test_taints_change(
    before: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """A key and an effect have one value; everything else stays."""
    changed = change_taints([parse_taint(text) for text in before], add=add, remove=remove)

    assert tuple(taint_text(taint) for taint in changed) == after


def test_a_taint_that_stays_keeps_its_time() -> None:
    """The moment from which NoExecute counts is not touched."""
    taint = {"key": "a", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}

    assert change_taints([taint], add=("a:NoExecute",), remove=()) == [taint]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (None, Owned()),
        ('{"labels": ["disk"], "taints": ["a:NoSchedule"]}', Owned(frozenset({"disk"}), frozenset({"a:NoSchedule"}))),
        ('{"labels": ["disk"]}', Owned(frozenset({"disk"}))),
        ("{", Owned()),
        ("[]", Owned()),
        ('{"labels": null}', Owned()),
        ('{"labels": [1]}', Owned()),
    ],
)
def test_ownership_survives_a_spoilt_annotation(annotation: str | None, expected: Owned) -> None:
    """Anybody may edit annotations; what cannot be read owns nothing."""
    assert owned({OWNED_ANNOTATION: annotation} if annotation else None) == expected


def test_ownership_is_written_as_it_is_read() -> None:
    """What one run records, the next one knows."""
    value = Owned(frozenset({"b", "a"}), frozenset({"a:NoSchedule"}))

    assert owned({OWNED_ANNOTATION: value.text()}) == value


@pytest.mark.parametrize(
    ("labels", "description", "ours"),
    [
        ({"clusterctl.io/join-token": "true"}, "", True),
        ({}, "clusterctl", True),
        ({}, "clusterctl init", True),
        ({}, "clusterctl-like", False),
        ({}, "The default bootstrap token generated by 'kubeadm init'.", False),
        ({}, "", False),
    ],
)
def test_our_tokens_are_told_from_others(labels: dict[str, str], description: str, ours: bool) -> None:
    """The label or the description says whose a token is."""
    data = {"description": base64.b64encode(description.encode()).decode()} if description else {}

    assert is_ours({"metadata": {"name": "bootstrap-token-abcdef", "labels": labels}, "data": data}) is ours
