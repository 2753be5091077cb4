"""Checks of the steps by which a worker leaves: before, after, half done and foreign."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.model import places
from clusterctl.model.facts import ClusterFacts, Cordon, FileFact, Route
from clusterctl.model.places import ADMIN_CONF, CA_CERT, ETCD_DATA, KUBELET_CONF
from clusterctl.model.pods import Around, Owner, Pods
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.steps.drain.placement import Placement
from clusterctl.steps.nodes.routes import Routes
from clusterctl.steps.preflight.spares import Spares
from clusterctl.steps.step import Step
from clusterctl.steps.upgrade.uncordon import Uncordon
from clusterctl.steps.workers.drain import Drain
from clusterctl.steps.workers.local_data import LocalData
from clusterctl.steps.workers.remove import Remove
from clusterctl.steps.workers.replaced import Replaced
from clusterctl.steps.workers.reset import Reset
from tests.builders import make_facts, make_inventory, make_node, make_pod

MARK = Cordon("ada@desk", "2026-01-01T00:00:00Z", unschedulable=False)
DRAINED: dict[str, Any] = {"unschedulable": True, "cordoned": replace(MARK, drained=True)}
JOINED = {"paths": frozenset({KUBELET_CONF})}
HALF = {"paths": frozenset({places.RESETTING})}
OURS, FOREIGN = ({CA_CERT: FileFact(text, "644")} for text in ("CA\n", "another\n"))
LOCAL = {
    "shop/data": {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w1"]}]}]
    }
}
EVERYWHERE = {"shop/data": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}]}}


def api(w1: dict[str, Any] | None = None, *, w3: bool = True, **w2: Any) -> ClusterFacts:
    """A cluster with an old w1, unless it is None, and two others, the spare one of them."""
    nodes = {"w2": make_node("w2", **{"kubelet_version": "1.35.4", **w2})}
    if w1 is not None:
        nodes["w1"] = make_node("w1", **{"kubelet_version": "1.35.4", "boot_id": "boot-21", **w1})
    if w3:
        nodes["w3"] = make_node("w3")
    return ClusterFacts("1.36.3", nodes)


GONE, BESIDE, ALONE = api(), api({}), api({}, w3=False)
NEWER = api({"kubelet_version": "1.36.3"})
PLANE = api({"control_plane": True})

CASES: list[tuple[Step, ClusterFacts | None, dict[str, Any], type, str]] = [
    (Replaced(), None, {}, Unknown, "no cluster"),
    (Replaced(), BESIDE, {}, Satisfied, "enough workers are Ready without it"),
    (Replaced(), ALONE, {}, Needed, "1 of 2 workers would be Ready without it"),
    (Replaced(), api({}, ready=False), {}, Needed, "1 of 2 workers"),
    (Replaced(), api({}, **DRAINED), {}, Needed, "1 of 2 workers"),
    (Replaced(), GONE, {}, Satisfied, "not a node any more"),
    (Replaced(), NEWER, {}, Satisfied, "it stays: its kubelet is 1.36.3"),
    (Drain(), None, {}, Unknown, "no cluster"),
    (Drain(), BESIDE, {}, Needed, "w1 is not cordoned"),
    (Drain(), ALONE, {}, Unknown, "another host joins first"),
    (Drain(), api(DRAINED), {}, Satisfied, "cordoned and drained"),
    (Drain(), api(DRAINED, w3=False), {}, Satisfied, "cordoned and drained"),
    (Drain(), GONE, {}, Satisfied, "not a node any more"),
    (Drain(), NEWER, {}, Satisfied, "it stays"),
    (Remove(), None, {}, Unknown, "no cluster"),
    (Remove(), BESIDE, {}, Unknown, "w1 is drained first"),
    (Remove(), api({"unschedulable": True, "cordoned": MARK}), {}, Unknown, "w1 is drained first"),
    (Remove(), api({**DRAINED, "unschedulable": False}), {}, Unknown, "w1 is drained first"),
    (Remove(), api(DRAINED), {}, Needed, "w1 is drained; its node is deleted"),
    (Remove(), api({**DRAINED, "boot_id": "boot-0"}), {}, Unknown, "has not spoken since"),
    (Remove(), PLANE, {}, Blocked, "a control plane"),
    (Remove(), GONE, {}, Satisfied, "not a node any more"),
    (Remove(), NEWER, {}, Satisfied, "it stays"),
    (Reset(), None, JOINED, Unknown, "no cluster"),
    (
        Reset(),
        BESIDE,
        JOINED,
        Unknown,
        "when w1 is drained and removed, it deletes this host's containers",
    ),
    (Reset(), NEWER, JOINED, Satisfied, "it stays"),
    (Reset(), GONE, {}, Satisfied, "nothing of a node is left"),
    (Reset(), GONE, {**JOINED, "files": OURS}, Needed, "deletes this host's containers"),
    (Reset(), GONE, HALF, Needed, "deletes this host's containers"),
    (Reset(), GONE, {**JOINED, "files": FOREIGN}, Blocked, "another cluster"),
    (Reset(), GONE, {"paths": frozenset({KUBELET_CONF, ETCD_DATA})}, Blocked, "never reset"),
    (Reset(), GONE, {**JOINED, "static_pods": {"etcd": "etcd:3.6"}}, Blocked, "never reset"),
    (LocalData(), GONE, {}, Satisfied, "not a node"),
    (LocalData(), NEWER, {}, Satisfied, "it stays"),
    (LocalData(), BESIDE, {}, Satisfied, "none"),
    (LocalData(), BESIDE, {"pods": Pods((make_pod(host_paths=("/srv",)),))}, Blocked, "/srv of w1"),
    (
        LocalData(),
        BESIDE,
        {"pods": Pods((make_pod("agent", controller=Owner("DaemonSet", "a", "u"), host_paths=("/srv",)),))},
        Satisfied,
        "none",
    ),
    (
        LocalData(),
        BESIDE,
        {"pods": Pods((make_pod(claims=("data",)),), around=Around(volumes=LOCAL))},
        Blocked,
        "the volume of its claim data, which w1 alone reaches",
    ),
    (
        LocalData(),
        BESIDE,
        {"pods": Pods((make_pod(claims=("data",)),), around=Around(volumes=EVERYWHERE))},
        Satisfied,
        "none",
    ),
    (Placement(), ALONE, {}, Unknown, "another host joins first"),
    (Placement(), BESIDE, {}, Satisfied, "every pod finds another node"),
    (
        Placement(),
        api({"labels": {"disk": "ssd"}}),
        {"pods": Pods((make_pod(scheduling={"nodeSelector": {"disk": "ssd"}}),))},
        Blocked,
        "shop/web-1 has nowhere to go",
    ),
]


def situation(api: ClusterFacts | None, host: str = "w1", **changes: Any) -> Situation:
    """A worker of a cluster with two of them and a spare."""
    inventory = make_inventory(spares=1)
    facts = {each.name: make_facts(each.name) for each in inventory.hosts}
    facts["cp1"] = make_facts("cp1", paths=frozenset({ADMIN_CONF}), files=OURS)
    pods = changes.pop("pods", Pods((make_pod(),)))
    facts[host] = replace(facts[host], **changes)
    problem = "" if api else "there is no cluster yet"
    return Situation(inventory, inventory.host(host), facts, api, problem, pods=pods if api else None)


@pytest.mark.parametrize(("step", "found", "changes", "kind", "text"), CASES)
def test_check(step: Step, found: ClusterFacts | None, changes: dict[str, Any], kind: type, text: str) -> None:
    """The check answers with this verdict and names this fact; what blocks says what to do."""
    verdict = step.beside([Drain(), Uncordon()]).check(situation(found, **changes))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
    assert not isinstance(verdict, Blocked) or verdict.resolution


def test_a_control_plane_is_never_reset() -> None:
    """Whatever a playbook says."""
    verdict = Reset().check(situation(api(), "cp1", paths=frozenset({ADMIN_CONF, KUBELET_CONF})))

    assert isinstance(verdict, Blocked)


TO_W1, TO_W3 = Route("10.10.1.0/24", "flannel.1"), Route("10.10.3.0/24", "flannel.1")
ALL_PODS, BLACKHOLE = Route("10.10.0.0/15", "eth0"), Route("unknown", "")
ROUTES: list[tuple[Step, dict[str, str], tuple[Route, ...], tuple[Route, ...], type, str]] = [
    (Routes(), {"w1": "10.10.1.0/24", "w3": "10.10.3.0/24"}, (TO_W3,), (TO_W1,), Satisfied, "1 node and w1 lead"),
    (
        Routes(),
        {"w1": "10.10.1.7/32", "w3": "10.10.3.1"},
        (TO_W3,),
        (BLACKHOLE, TO_W1),
        Satisfied,
        "lead to each",
    ),
    (
        Routes(),
        {"w1": "10.10.1.0/24", "w3": "10.10.3.0/24"},
        (TO_W3,),
        (),
        Needed,
        "w3 does not lead to the pods of w1",
    ),
    (Routes(), {"w1": "10.10.1.0/24", "w3": "10.10.3.0/24"}, (TO_W3,), (ALL_PODS,), Needed, "w3 does not lead"),
    (
        Routes(),
        {"w1": "10.10.1.0/24", "w3": "10.10.3.0/24"},
        (),
        (TO_W1,),
        Needed,
        "w1 does not lead to the pods of w3",
    ),
    (Routes(), {"w3": "10.10.3.0/24"}, (TO_W3,), (TO_W1,), Needed, "has not announced the pods of w1"),
    (Routes(), {}, (), (), Satisfied, "does not tell"),
]


@pytest.mark.parametrize(("step", "networks", "ours", "theirs", "kind", "text"), ROUTES)
def test_nodes_lead_to_each_others_pods(
    step: Step, networks: dict[str, str], ours: tuple[Route, ...], theirs: tuple[Route, ...], kind: type, text: str
) -> None:
    """Of the network plugin's own routes, on both sides; a node that is not Ready is not waited for."""
    made = {name: make_node(name, pod_network=networks.get(name, "")) for name in ("w1", "w3")}
    sick = make_node("w2", pod_network="10.10.2.0/24", ready=False)
    found = situation(ClusterFacts("1.36.3", {**made, "w2": sick}), routes=ours)
    facts = {**found.all_facts, "w3": make_facts("w3", routes=theirs)}
    verdict = step.check(replace(found, all_facts=facts))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
    assert step.touches(found) == ("w3",)


SPARES: list[tuple[Step, ClusterFacts | None, type, str]] = [
    (Spares(), None, Satisfied, "not looked at"),
    (Spares(), api({}, w3=False), Satisfied, "1 spares stand by"),
    (Spares(), BESIDE, Blocked, "spares of the inventory are nodes of the cluster: w3"),
]


@pytest.mark.parametrize(("step", "found", "kind", "text"), SPARES)
def test_a_spare_that_is_a_node_is_told(step: Step, found: ClusterFacts | None, kind: type, text: str) -> None:
    """Once, for the first control plane."""
    verdict = step.check(situation(found, "cp1"))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
    assert isinstance(step.check(situation(found)), Satisfied)
