"""Several control planes and the address that one of them has: every check before, after, half done and foreign."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from clusterctl.engine.events import StepChanged
from clusterctl.engine.playbook import load_playbook
from clusterctl.model import places
from clusterctl.model.facts import ClusterFacts, EtcdMember, FileFact, Package, Service
from clusterctl.model.places import ADMIN_CONF
from clusterctl.model.situation import Situation
from clusterctl.model.survey import EndpointFact
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.resources import folder
from clusterctl.rules import ports, surveying
from clusterctl.steps.api_server.encryption_key import EncryptionKey
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.control_plane.init import FINISHED, Init
from clusterctl.steps.control_plane.join import Join
from clusterctl.steps.control_plane.ready import Ready
from clusterctl.steps.endpoint.haproxy import Haproxy
from clusterctl.steps.endpoint.keepalived import Keepalived
from clusterctl.steps.endpoint.leave import Leave
from clusterctl.steps.endpoint.rejoin import Rejoin
from clusterctl.steps.preflight.control_planes import ControlPlanes
from clusterctl.steps.preflight.endpoint import Endpoint
from clusterctl.steps.preflight.ports import Ports
from clusterctl.steps.preflight.virtual_ip import VirtualIp
from clusterctl.steps.step import Step
from tests.builders import (
    SWITCHES,
    VIRTUAL,
    VIRTUAL_IP,
    make_facts,
    make_inventory,
    make_node,
    make_situation,
    make_survey,
)
from tests.simulation import World, run

TRACES = frozenset({ADMIN_CONF, places.KUBELET_CONF, places.ETCD_DATA, *places.MANIFESTS})
CP1, CP2 = EtcdMember("a1", "cp1", ("192.0.2.11",)), EtcdMember("b2", "cp2", ("192.0.2.12",))
LEARNER = replace(CP2, learner=True)
PODS = {f"{name}-{node}": True for name in places.STATIC_PODS for node in ("cp1", "cp2")}
ONE = ClusterFacts("1.36.3", {"cp1": make_node("cp1", control_plane=True)}, finished=frozenset(FINISHED))
TWO = replace(ONE, nodes={**ONE.nodes, "cp2": make_node("cp2", control_plane=True)}, static_pods=PODS)
ALONE: Mapping[str, Any] = {"cp1": {"paths": TRACES, "etcd_members": (CP1,)}}
WITH_LEARNER: Mapping[str, Any] = {"cp1": {"paths": TRACES, "etcd_members": (CP1, LEARNER)}}
KEY = {places.ENCRYPTION: "a digest"}
OTHER_KEY: Mapping[str, Any] = {"cp1": {"digests": {places.ENCRYPTION: "another"}}}

PLAIN = make_situation("cp2", control_planes=3, extra=VIRTUAL)
RUNNING = {name: Service("active", "enabled") for name in (places.HAPROXY_SERVICE, places.KEEPALIVED_SERVICE)}
INSTALLED = {name: Package("1.0", held=False, intact=True) for name in places.ENDPOINT_PACKAGES}
HOLDS: dict[str, Any] = {"addresses": ("192.0.2.12", VIRTUAL_IP), "services": RUNNING}
OLD, HALF, NEW, NEWER = (
    dict[str, Any](
        static_pods={"kube-apiserver": f"registry.k8s.io/kube-apiserver:v{version}"},
        packages={"kubelet": Package(f"{kubelet}-1.1", held=True, intact=True)},
    )
    for version, kubelet in (("1.35.4", "1.35.4"), ("1.36.3", "1.35.4"), ("1.36.3", "1.36.3"), ("1.37.0", "1.37.0"))
)
USED: dict[str, Any] = {"others": {name: {"haproxy_unused": frozenset()} for name in ("cp1", "cp3")}}
USED["haproxy_unused"] = frozenset({"cp1"})
UNUSED: dict[str, Any] = {"others": {name: {"haproxy_unused": frozenset({"cp2"})} for name in ("cp1", "cp3")}}
UNUSED["haproxy_unused"] = frozenset({"cp1", "cp2"})


def files(step: Step) -> dict[str, FileFact]:
    """What the step leaves on cp2."""
    return {file.path: FileFact(file.content, "644") for file in step.files(PLAIN)}


def done(step: Step, **changes: Any) -> dict[str, Any]:
    """The facts of cp2 after the step, with ``changes``."""
    return {"extra": VIRTUAL, "files": files(step), "packages": INSTALLED, "services": RUNNING, **changes}


CASES: list[tuple[Step, ClusterFacts | None, dict[str, Any], type, str]] = [
    # Joining: what the host, the API and etcd know has to agree.
    (Join(), None, {}, Needed, "cp2 is not a control plane yet"),
    (Join(), ONE, {"others": ALONE}, Needed, "cp2 is not a control plane yet"),
    (Join(), None, {"paths": TRACES}, Unknown, "no cluster"),
    (Join(), None, {"paths": TRACES - {ADMIN_CONF}}, Blocked, "the API cannot be asked"),
    (Join(), TWO, {"paths": TRACES, "etcd_members": (CP1, CP2)}, Satisfied, "cp2 is a control plane"),
    (Join(), TWO, {"paths": TRACES}, Satisfied, "cp2 is a control plane"),
    (Join(), TWO, {"others": ALONE}, Blocked, "the cluster has a node cp2, and this host has nothing"),
    (Join(), ONE, {"others": WITH_LEARNER}, Blocked, "etcd has a member b2 at 192.0.2.12, and this host"),
    (
        Join(),
        TWO,
        {"paths": TRACES, "others": WITH_LEARNER},
        Blocked,
        "is a learner and was not promoted",
    ),
    (
        Join(),
        TWO,
        {"paths": TRACES, "others": {"cp1": {"paths": TRACES, "etcd_members": (CP1, replace(CP2, name=""))}}},
        Blocked,
        "its member b2 of etcd has never started, and the quorum counts on it: 2 of 2 members have to answer",
    ),
    (
        Join(),
        ONE,
        {
            "paths": frozenset({ADMIN_CONF, places.BOOTSTRAP_CONF}),
            "others": {"cp1": {"paths": TRACES, "etcd_members": (CP1, replace(LEARNER, name=""))}},
        },
        Blocked,
        "its member b2 of etcd has never started, and is a learner without a vote",
    ),
    (Join(), TWO, {"paths": TRACES, "etcd_members": (CP1,)}, Blocked, "it is no member of etcd"),
    (Join(), ONE, {"paths": TRACES, "others": ALONE}, Blocked, "node/cp2 is missing"),
    (
        Join(),
        ONE,
        {"paths": frozenset({places.BOOTSTRAP_CONF}), "others": ALONE},
        Blocked,
        "did not come to its end: /etc/kubernetes/kubelet.conf is missing",
    ),
    (
        Join(),
        ONE,
        {"paths": frozenset({places.KUBELET_CONF}), "others": ALONE},
        Blocked,
        "etcd.yaml is missing",
    ),
    (
        Join(),
        replace(TWO, nodes={**ONE.nodes, "cp2": make_node("cp2")}),
        {"paths": frozenset({places.KUBELET_CONF})},
        Blocked,
        "cp2 is a worker of this cluster",
    ),
    (
        Join(),
        replace(TWO, nodes={**ONE.nodes, "cp2": make_node("cp2")}),
        {"paths": TRACES},
        Blocked,
        "the control-plane label of node/cp2 is missing",
    ),
    (Ready(), None, {}, Unknown, "no cluster"),
    (Ready(), ONE, {}, Unknown, "not a node"),
    (Ready(), TWO, {}, Satisfied, "etcd"),
    (Ready(), replace(TWO, static_pods={**PODS, "etcd-cp2": False}), {}, Needed, "etcd-cp2 is not ready"),
    (Ready(), replace(TWO, static_pods={}), {}, Needed, "kube-scheduler-cp2 are not ready"),
    # What lies beside the API server is the same on all.
    (EncryptionKey(), None, {"extra": SWITCHES}, Unknown, "cp1 makes the key first"),
    (EncryptionKey(), None, {"extra": SWITCHES, "others": OTHER_KEY}, Needed, "cp1 has it"),
    (EncryptionKey(), None, {"extra": SWITCHES, "others": OTHER_KEY, "digests": KEY}, Blocked, "cp1, cp2"),
    # HAProxy and keepalived.
    *(
        (step, None, changes, kind, text)
        for step in (Haproxy(), Keepalived())
        for changes, kind, text in (
            ({}, Satisfied, "not wanted"),
            ({"extra": VIRTUAL}, Needed, "is missing or differs"),
            ({"extra": VIRTUAL, "files": {step.path: FileFact("global\n", "644")}}, Blocked, "not written by"),
            ({"extra": VIRTUAL, "links": {}}, Unknown, "no interface carries 192.0.2.12"),
            (done(step), Satisfied, "runs as wanted"),
            (done(step, packages={}), Needed, f"{step.package} is not installed"),
            (done(step, services={}), Needed, f"{step.service} is missing"),
            (done(step, services={step.service: Service("failed", "enabled")}), Needed, "is failed"),
            (done(step, services={step.service: Service("active", "disabled")}), Needed, "at boot"),
        )
    ),
    # An API server that restarts leaves the endpoint first.
    *(
        (Leave(), None, {"extra": VIRTUAL, **changes}, kind, text)
        for changes, kind, text in (
            ({**OLD, **USED}, Needed, "the HAProxy of cp1, cp2, cp3 sends requests to cp2"),
            ({**OLD, **UNUSED}, Satisfied, "no HAProxy sends requests to cp2"),
            ({**OLD, **UNUSED, "haproxy_unused": frozenset({"cp1"})}, Needed, "the HAProxy of cp2 sends"),
            ({**OLD, **UNUSED, "haproxy_unused": None}, Unknown, "the HAProxy of cp2 has no socket"),
            ({**HALF, **USED}, Needed, "the HAProxy of cp1, cp2, cp3 sends requests to cp2"),
            ({**NEW, **USED}, Satisfied, "its API server runs 1.36.3"),
            ({**NEWER, **USED}, Satisfied, "its API server runs 1.37.0"),
        )
    ),
    (Leave(), None, {**OLD}, Satisfied, "there is no other API server"),
    (Rejoin(), None, {}, Satisfied, "not wanted"),
    (Rejoin(), None, {"extra": VIRTUAL}, Satisfied, "no HAProxy leaves cp2 out"),
    (Rejoin(), None, {"extra": VIRTUAL, **USED}, Satisfied, "no HAProxy leaves cp2 out"),
    (Rejoin(), None, {"extra": VIRTUAL, **UNUSED}, Needed, "cp1, cp2, cp3 sends nothing to cp2"),
    # Findings.
    (ControlPlanes(), None, {}, Satisfied, "looked at once"),
    (VirtualIp(), None, {}, Satisfied, "none is wanted"),
    (VirtualIp(), None, {"extra": VIRTUAL}, Satisfied, f"{VIRTUAL_IP} is free"),
    (VirtualIp(), None, {"extra": VIRTUAL, "routes": ()}, Blocked, "is in no network of eth0"),
    (VirtualIp(), None, {"extra": VIRTUAL, **HOLDS}, Satisfied, f"cp2 has {VIRTUAL_IP}"),
    (VirtualIp(), None, {"extra": VIRTUAL, "others": {"cp1": HOLDS}}, Satisfied, "cp1 has"),
    (
        VirtualIp(),
        None,
        {"extra": VIRTUAL, "others": {"cp3": HOLDS}, **HOLDS},
        Blocked,
        f"cp2 and cp3 have {VIRTUAL_IP} at the same time",
    ),
    (
        VirtualIp(),
        None,
        {"extra": VIRTUAL, "addresses": HOLDS["addresses"]},
        Blocked,
        "keepalived did not put it there",
    ),
]


@pytest.mark.parametrize(("step", "api", "changes", "kind", "text"), CASES)
def test_check_on_a_second_control_plane(
    step: Step, api: ClusterFacts | None, changes: dict[str, Any], kind: type, text: str
) -> None:
    """The check answers with this verdict and names this fact; what blocks says what to do."""
    verdict = step.check(make_situation("cp2", api=api, control_planes=3, **changes))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
    assert not isinstance(verdict, Blocked) or verdict.resolution


@pytest.mark.parametrize(
    ("count", "extra", "warning", "text"),
    [
        (1, "", False, "one control plane"),
        (2, VIRTUAL, True, "etcd on 2 control planes may lose 0 of them, no more than on 1"),
        (3, VIRTUAL, False, "3 control planes"),
        (3, "", True, "the endpoint is cp1's own address"),
    ],
)
def test_the_number_of_control_planes(count: int, extra: str, warning: bool, text: str) -> None:
    """An even number and an endpoint on one of them are warnings: nothing stops."""
    verdict = ControlPlanes().check(make_situation(control_planes=count, extra=extra))

    assert isinstance(verdict, Satisfied)
    assert verdict.warning == warning
    assert text in verdict.note


def test_a_first_control_plane_without_a_part_in_the_cluster_is_never_initialised() -> None:
    """Its machine was replaced: a second cluster beside the first one would be the worst of all ends."""
    for api in (None, TWO):
        verdict = Init().check(make_situation("cp1", api=api, control_planes=3, others={"cp2": {"paths": TRACES}}))

        assert isinstance(verdict, Blocked)
        assert "there is a cluster on cp2" in verdict.reason
        assert "list cp2 first" in verdict.resolution


def test_a_member_is_removed_through_a_control_plane_whose_etcd_answers() -> None:
    """The command can be pasted as it is."""
    others: dict[str, Any] = {"cp1": {"paths": TRACES}, "cp3": {"paths": TRACES, "etcd_members": (CP1, CP2)}}
    verdict = Join().check(make_situation("cp2", api=TWO, control_planes=3, others=others))

    assert isinstance(verdict, Blocked)
    assert "kubectl delete node cp2; kubectl -n kube-system exec etcd-cp3 -- etcdctl " in verdict.resolution
    assert "member remove b2" in verdict.resolution


def surveyed(situation: Situation, **found: Any) -> Situation:
    """The situation, with what cp2 found around it."""
    return replace(situation, surveys={"cp2": make_survey(**found)})


@pytest.mark.parametrize(
    ("step", "found", "kind", "text"),
    [
        (
            VirtualIp(),
            {"virtual_ip_owner": "52:54:00:aa:bb:cc"},
            Blocked,
            "52:54:00:aa:bb:cc answers",
        ),
        (Endpoint(), {"endpoint": None}, Satisfied, "not asked"),
        (Endpoint(), {}, Blocked, "resolves to 192.0.2.11, and the virtual IP is 192.0.2.100"),
        (
            Endpoint(),
            {"endpoint": (EndpointFact(VIRTUAL_IP, "No route to host"),)},
            Satisfied,
            "which a control plane will have",
        ),
    ],
)
def test_the_virtual_ip_on_the_network(step: Step, found: dict[str, Any], kind: type, text: str) -> None:
    """Before there is a cluster: nobody else may have the address, and a name has to lead to it."""
    verdict = step.check(surveyed(PLAIN, **found))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)


def test_a_virtual_ip_that_is_there_has_to_be_reached() -> None:
    """A host that joins later goes through it."""
    there = make_situation("cp2", control_planes=3, extra=VIRTUAL, others={"cp1": HOLDS})
    verdict = Endpoint().check(surveyed(there, endpoint=(EndpointFact(VIRTUAL_IP, "no answer"),)))

    assert isinstance(verdict, Blocked)
    assert "cannot be reached: no answer" in verdict.reason


def test_the_survey_asks_for_etcd_haproxy_and_the_virtual_ip() -> None:
    """Control planes try each other's etcd and look for the address; everybody tries the endpoint's port."""
    inventory = make_inventory(VIRTUAL + "  network: {plugin: flannel}\n", control_planes=2)
    facts = {host.name: make_facts(host.name) for host in inventory.hosts}
    bound = {"cp1": frozenset({"tcp/6443", "tcp/2379", "tcp/2380", "tcp/8443", "tcp/10250"})}

    assert "tcp/8443" in surveying.listening(inventory, facts)["cp1"]["ports"]  # type: ignore[operator]
    asking = surveying.asking(inventory, facts, bound)

    tried = {name: values["tasks"][3::5] for name, values in asking.items()}  # type: ignore[index]
    assert tried["cp2"] == ["6443", "8443", "2379", "2380", "10250"]
    assert tried["w1"] == ["6443", "8443"]
    assert {name: values["virtual_ip"] for name, values in asking.items()} == {
        "cp1": VIRTUAL_IP,
        "cp2": VIRTUAL_IP,
        "w1": "",
        "w2": "",
    }
    assert asking["w1"]["endpoint"] == ()

    facts["cp1"] = make_facts("cp1", addresses=("192.0.2.11", VIRTUAL_IP))
    asking = surveying.asking(inventory, facts, bound)
    assert (asking["cp2"]["virtual_ip"], asking["w1"]["endpoint"]) == ("", (VIRTUAL_IP, "8443", "0"))


def test_the_port_of_the_endpoint_belongs_to_haproxy() -> None:
    """Anybody else on it blocks, on control planes."""
    for holder, kind in (("haproxy", Satisfied), ("nginx", Blocked)):
        listeners = {8443: holder}
        verdict = Ports().check(make_situation("cp2", control_planes=3, extra=VIRTUAL, listeners=listeners))
        assert isinstance(verdict, kind)
    assert 8443 in ports.ports(make_inventory(VIRTUAL).cluster)


def test_a_rotation_is_told_to_every_haproxy_and_looks_at_all_of_them() -> None:
    """A control plane that was not reached is left out: its HAProxy forgets when it starts anyway."""
    situation = make_situation("cp2", control_planes=3, extra=VIRTUAL, **OLD, **USED)
    reached = replace(situation, all_facts={name: situation.all_facts[name] for name in ("cp2", "cp3", "w1")})

    assert Leave().touches(situation) == ("cp1", "cp3")
    assert Rejoin().touches(reached) == ("cp3",)


def test_a_control_plane_that_was_left_out_of_the_endpoint_comes_back() -> None:
    """The bootstrap, too, mends what an upgrade that was killed has left."""
    bootstrap = load_playbook(folder("playbooks") / "bootstrap.yaml", CATALOGUE)
    world = World(make_inventory(VIRTUAL + "  network: {plugin: flannel}", control_planes=3))
    run(bootstrap, world)
    for name in ("cp1", "cp3"):
        world.hosts[name] = replace(world.hosts[name], haproxy_unused=frozenset({"cp2"}))
    before = len(world.actions)

    events = run(bootstrap, world)

    assert {facts.haproxy_unused for name, facts in world.hosts.items() if name.startswith("cp")} == {frozenset()}
    assert world.actions[before:] == [(name, "endpoint/rejoin") for name in ("cp1", "cp3", "cp2")]
    assert [(event.host, event.step) for event in events if isinstance(event, StepChanged)] == [
        ("cp2", "endpoint/rejoin")
    ]
