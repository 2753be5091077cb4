"""What a pod requests, as the scheduler reckons."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from clusterctl.kube.observe.pods import budget, pod_facts, requested
from clusterctl.kube.observe.quantity import quantity
from clusterctl.model.pods import Owner

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("250m", "0.25"),
        ("1.5", "1.5"),
        ("100n", "1e-7"),
        ("64Mi", 64 * 2**20),
        ("1.5Gi", 1.5 * 2**30),
        ("129k", 129_000),
        ("2G", 2 * 10**9),
        ("1e3", 1000),
        ("12E", 12 * 10**18),
        ("3Ei", 3 * 2**60),
    ],
)
def test_quantities_are_read_exactly(text: str, number: Any) -> None:
    """Kubernetes' decimal and binary units, and exponents."""
    assert quantity(text) == Decimal(number)


def container(cpu: str, **more: str) -> dict[str, Any]:
    """A container that requests some processor time."""
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [{}]}, "0"),
        ({"containers": [container("1"), container("500m")]}, "1.5"),
        ({"containers": [container("1")], "initContainers": [container("3"), container("2")]}, "3"),
        ({"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always")]}, "2"),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("1", restartPolicy="Always"), container("4")],
            },
            "5",
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, "1.25"),
        ({"containers": [container("1")], **container("700m"), "overhead": {"cpu": "100m"}}, "0.8"),
    ],
)
def test_a_pod_needs_what_runs_at_the_same_time(spec: dict[str, Any], cpu: str) -> None:
    """Init containers run one after the other, sidecars beside all; the pod's own request replaces their sum."""
    assert requested(spec, "cpu") == Decimal(cpu)


def test_a_bare_pod_is_read() -> None:
    """What the API leaves out is empty."""
    pod = pod_facts({"metadata": {"namespace": "n", "name": "p", "uid": "u"}, "spec": {}}, datetime.now(UTC))

    assert (pod.node, pod.phase, pod.controller, pod.ready, pod.terminating) == ("", "", None, False, False)
    assert (pod.requests, pod.scheduling, pod.host_ports, pod.host_paths) == ({}, {}, frozenset(), ())
    assert (pod.priority, pod.grace) == (0, 30)


def test_what_a_forecast_wants_of_a_pod_is_read() -> None:
    """All requested resources in whole units, ports of the node, priority, grace, and why it is not ready."""
    limits = {"requests": {"cpu": "100m", "memory": "1k", "example.com/gpu": "2"}}
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "hostPort": 53, "protocol": "UDP"}, {}]
    spec = {
        "containers": [{"resources": limits, "ports": ports}],
        "priority": 1000,
        "terminationGracePeriodSeconds": 0,
    }
    status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "no room"}]}

    pod = pod_facts({"metadata": {"namespace": "n", "name": "p", "uid": "u"}, "spec": spec, "status": status}, NOW)

    assert pod.requests == {"cpu": 100, "memory": 1000, "example.com/gpu": 2}
    assert pod.host_ports == {"TCP 8080", "UDP 53"}
    assert (pod.priority, pod.grace, pod.problem) == (1000, 0, "not scheduled: no room")


@pytest.mark.parametrize(
    ("volume", "mount", "paths"),
    [
        ({"path": "/data"}, {}, ("/data",)),
        ({"path": "/data"}, {"readOnly": True}, ()),
        ({"path": "/data"}, None, ()),
        ({"path": "/run/containerd.sock", "type": "Socket"}, {}, ()),
        ({"path": "/data", "type": "DirectoryOrCreate"}, {}, ("/data",)),
    ],
)
def test_paths_of_the_node_count_where_a_pod_writes_to_them(
    volume: dict[str, Any], mount: dict[str, Any] | None, paths: tuple[str, ...]
) -> None:
    """What is only read, and what is no data, is not lost."""
    mounts = [] if mount is None else [{"name": "v", "mountPath": "/m", **mount}]
    spec = {"containers": [{"volumeMounts": mounts}], "volumes": [{"name": "v", "hostPath": volume}]}

    pod = pod_facts({"metadata": {"namespace": "n", "name": "p", "uid": "u"}, "spec": spec}, NOW)

    assert pod.host_paths == paths


@pytest.mark.parametrize(
    ("rule", "counted"), [({"minAvailable": 2}, True), ({"minAvailable": "50%"}, False), ({}, False)]
)
def test_who_counts_and_who_keeps_a_budget(rule: dict[str, Any], counted: bool) -> None:
    """More replicas help where a number is wanted; a controller's budget may change by itself."""
    owner = {"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "name": "rook", "uid": "u", "controller": True}
    read = budget({"metadata": {"namespace": "n", "name": "b", "ownerReferences": [owner]}, "spec": rule})

    assert read.counted is counted
    assert read.keeper == Owner("CephCluster", "rook", "u", api_version="ceph.rook.io/v1")
