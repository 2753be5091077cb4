"""Where pods could go: one row for each thing that the scheduler demands."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.model.facts import NodeFacts
from clusterctl.model.pods import PodFacts
from clusterctl.model.selector import selects, selects_node
from clusterctl.rules.placement import stranded
from tests.builders import make_node, make_pod

HOST = "kubernetes.io/hostname"
WEB = {"matchLabels": {"app": "web"}}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
LOCAL = {"nodeSelectorTerms": [{"matchExpressions": [{"key": HOST, "operator": "In", "values": ["w1"]}]}]}


def nodes(**w2: Any) -> dict[str, NodeFacts]:
    """The node that is drained, and one other that differs as the row says."""
    return {
        "w1": make_node("w1", labels={HOST: "w1"}),
        "w2": replace(make_node("w2", labels={HOST: "w2", "zone": "b"}), **w2),
    }


def avoids(key: str = HOST, **term: Any) -> dict[str, Any]:
    """Required anti-affinity with the web pods."""
    return {"affinity": {"podAntiAffinity": {REQUIRED: [{"labelSelector": WEB, "topologyKey": key, **term}]}}}


def wants(*expressions: dict[str, Any], **term: Any) -> dict[str, Any]:
    """Required affinity with nodes."""
    terms = [{"matchExpressions": list(expressions), **term}]
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}


def spread(**changes: Any) -> dict[str, Any]:
    """Pods that have to be spread over hosts."""
    constraint = {"maxSkew": 1, "topologyKey": HOST, "labelSelector": WEB, "whenUnsatisfiable": "DoNotSchedule"}
    return {"topologySpreadConstraints": [{**constraint, **changes}]}


ROOM = {"cpu": 2000, "memory": 4 * 2**30, "pods": 10}
# What the pod demands, how the other node differs, which pods are there already, and what is said (nothing: it goes).
CASES: list[tuple[dict[str, Any], dict[str, Any], tuple[PodFacts, ...], str]] = [
    ({}, {}, (), ""),
    ({}, {"unschedulable": True}, (), "w2: cordoned"),
    ({"tolerations": [{"operator": "Exists"}]}, {"unschedulable": True}, (), ""),
    ({}, {"ready": False}, (), "w2: not Ready"),
    # taints
    ({}, {"taints": ("gpu=yes:NoSchedule",)}, (), "w2: the taint gpu=yes:NoSchedule is not tolerated"),
    ({}, {"taints": ("gpu=yes:NoExecute",)}, (), "w2: the taint gpu=yes:NoExecute is not tolerated"),
    ({}, {"taints": ("gpu=yes:PreferNoSchedule",)}, (), ""),
    ({"tolerations": [{"operator": "Exists"}]}, {"taints": ("gpu=yes:NoSchedule",)}, (), ""),
    ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, {"taints": ("gpu=yes:NoSchedule",)}, (), ""),
    ({"tolerations": [{"key": "gpu", "value": "yes"}]}, {"taints": ("gpu=yes:NoSchedule",)}, (), ""),
    ({"tolerations": [{"key": "gpu", "value": "no"}]}, {"taints": ("gpu=yes:NoSchedule",)}, (), "w2: the taint"),
    (
        {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]},
        {"taints": ("gpu:NoSchedule",)},
        (),
        "w2: the taint",
    ),
    ({"tolerations": [{"key": "gpu"}]}, {"taints": ("gpu:NoSchedule",)}, (), ""),
    # selectors and node affinity
    ({"nodeSelector": {"zone": "b"}}, {}, (), ""),
    ({"nodeSelector": {"disk": "ssd"}}, {}, (), "w2: without the label disk=ssd"),
    (wants({"key": "zone", "operator": "In", "values": ["a", "b"]}), {}, (), ""),
    (wants({"key": "zone", "operator": "NotIn", "values": ["b"]}), {}, (), "w2: not one of the nodes"),
    (wants(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["w1"]}]), {}, (), "w2: not one of"),
    # pods beside it
    (avoids(), {}, (), ""),
    (avoids(), {}, (make_pod("web-2", "w2"),), "w2: a pod that this one avoids is there"),
    (avoids(), {}, (make_pod("web-2", "w2", terminating=True),), ""),
    (avoids(), {}, (make_pod("web-2", "w2", phase="Failed"),), ""),
    (avoids(), {}, (make_pod("web-2", "w2", namespace="other"),), ""),
    (avoids(namespaces=["other"]), {}, (make_pod("web-2", "w2", namespace="other"),), "w2: a pod that this one avoids"),
    (avoids(namespaceSelector={}), {}, (make_pod("web-2", "w2", namespace="other"),), "w2: a pod that this one avoids"),
    (avoids("zone"), {"labels": {}}, (make_pod("web-2", "w2"),), ""),
    ({}, {}, (make_pod("web-2", "w2", scheduling=avoids()),), "w2: a pod there avoids this one"),
    (
        {
            "affinity": {
                "podAffinity": {REQUIRED: [{"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": HOST}]}
            }
        },
        {},
        (make_pod("db-0", "w3", labels={"app": "db"}),),
        "w2: no pod that this one has to be with is there",
    ),
    (
        {"affinity": {"podAffinity": {REQUIRED: [{"labelSelector": WEB, "topologyKey": HOST}]}}},
        {},
        (),
        "",
    ),
    # spreading: the cordoned node is a domain without a pod, unless taints are honoured
    (spread(), {}, (), ""),
    (spread(), {}, (make_pod("web-2", "w2"),), "w2: its pods have to be spread over kubernetes.io/hostname"),
    (spread(nodeTaintsPolicy="Honor"), {}, (make_pod("web-2", "w2"),), ""),
    (spread(maxSkew=2), {}, (make_pod("web-2", "w2"),), ""),
    (spread(whenUnsatisfiable="ScheduleAnyway"), {}, (make_pod("web-2", "w2"),), ""),
    (
        spread(matchLabelKeys=["pod-template-hash"]),
        {},
        (make_pod("web-2", "w2", labels={"app": "web", "pod-template-hash": "old"}),),
        "",
    ),
    (spread(topologyKey="rack"), {}, (), "w2: without the label rack"),
    # room
    ({}, {"allocatable": ROOM}, (), ""),
    ({}, {"allocatable": {**ROOM, "cpu": 500}}, (), "w2: 0.5 CPU free, 1 requested"),
    ({}, {"allocatable": {**ROOM, "memory": 512 * 2**20}}, (), "w2: 512 MiB of memory free, 1024 requested"),
    ({}, {"allocatable": {**ROOM, "pods": 0}}, (), "w2: 0 pods free, 1 requested"),
    ({}, {"allocatable": ROOM}, (make_pod("a", "w2", requests={"cpu": 1500}),), "w2: 0.5 CPU free"),
    ({}, {"allocatable": ROOM}, (make_pod("a", "w2", requests={"cpu": 1500}, phase="Succeeded"),), ""),
    ({}, {}, (make_pod("a", "w2", host_ports=frozenset({"TCP 443"})),), "w2: port TCP 443 of the node is taken"),
    ({}, {}, (make_pod("a", "w2", host_ports=frozenset({"UDP 443"})),), ""),
]


@pytest.mark.parametrize(("scheduling", "other", "there", "expected"), CASES)
def test_what_a_pod_demands(
    scheduling: dict[str, Any], other: dict[str, Any], there: tuple[PodFacts, ...], expected: str
) -> None:
    """Each demand keeps the pod away where it is not met, and only there."""
    pod = make_pod(scheduling=scheduling, requests={"cpu": 1000, "memory": 2**30}, host_ports=frozenset({"TCP 443"}))

    found = stranded("w1", [pod], [pod, *there], nodes(**other), {})

    assert [each.why.startswith(expected) for each in found] == ([True] if expected else [])


def test_a_local_volume_keeps_its_pod() -> None:
    """The claim's volume is on the drained node alone."""
    pod = make_pod(claims=("data",))

    (found,) = stranded("w1", [pod], [pod], nodes(), {"shop/data": LOCAL})

    assert found.why == "w2: the volume of the claim data cannot be reached"
    assert stranded("w1", [pod], [pod], nodes(labels={HOST: "w1"}), {"shop/data": LOCAL}) == ()
    assert stranded("w1", [pod], [pod], nodes(), {}) == ()


def test_pods_take_room_from_each_other() -> None:
    """Two that fit alone do not fit together; the more urgent one goes first, then the larger one."""
    room = nodes(allocatable=ROOM)
    small, large = make_pod("a", requests={"memory": 2**30}), make_pod("b", requests={"memory": 3 * 2**30 + 1})

    assert [each.pod.name for each in stranded("w1", [small, large], [small, large], room, {})] == ["a"]
    small = replace(small, priority=1000)
    assert [each.pod.name for each in stranded("w1", [small, large], [small, large], room, {})] == ["b"]


def test_pods_avoid_each_other_on_their_way() -> None:
    """The second of two that avoid each other finds the first one there."""
    both = [make_pod(name, scheduling=avoids()) for name in ("a", "b")]

    assert len(stranded("w1", both, both, nodes(), {})) == 1
    assert stranded("w1", both, both, {**nodes(), "w3": make_node("w3", labels={HOST: "w3"})}, {}) == ()


def test_reasons_are_told_by_node_and_many_nodes_are_counted() -> None:
    """An operator reads why, not a list of fifty names."""
    pod = make_pod(scheduling={"nodeSelector": {"disk": "ssd"}})
    many = {f"n{number}": make_node(f"n{number}") for number in range(5)}

    (found,) = stranded("w1", [pod], [pod], {**many, "w2": make_node("w2", unschedulable=True)}, {})
    (alone,) = stranded("w1", [pod], [pod], {"w1": make_node("w1")}, {})

    assert found.why == "5 nodes: without the label disk=ssd; w2: cordoned"
    assert alone.why == "there is no other node"


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("In", ["ssd"], True),
        ("In", ["hdd"], False),
        ("NotIn", ["hdd"], True),
        ("NotIn", ["ssd"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
        ("Gt", ["1"], False),
        ("Unheard", [], False),
    ],
)
def test_selectors(operator: str, values: list[str] | None, expected: bool) -> None:
    """Each operator, on a label that is there; all parts of a selector have to hold."""
    expression = {"key": "disk", "operator": operator, "values": values}

    assert selects({"matchExpressions": [expression]}, {"disk": "ssd"}) is expected
    assert selects({"matchLabels": {"a": "b"}, "matchExpressions": [expression]}, {"disk": "ssd"}) is False


def test_selectors_of_nothing_and_of_everything() -> None:
    """An empty label selector selects all and a missing one none; with node selectors it is the other way round."""
    assert (selects({}, {}), selects(None, {})) == (True, False)
    assert (selects_node(None, "w1", {}), selects_node({"nodeSelectorTerms": [{}]}, "w1", {})) == (True, False)
    cores = [{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["8"]}]}]
    assert selects_node({"nodeSelectorTerms": cores}, "w1", {"cores": "16"})
    assert not selects_node({"nodeSelectorTerms": cores}, "w1", {"cores": "8"})
    assert selects({"matchExpressions": [{"key": "gone", "operator": "NotIn", "values": ["x"]}]}, {})
