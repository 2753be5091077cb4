"""The checks of the network plugins, over what the API says."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.errors import InputError
from clusterctl.model.facts import Applied, CalicoFacts, ClusterFacts, ComponentStatus, Workload
from clusterctl.model.inventory import CalicoNetwork
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.steps import network
from clusterctl.steps.step import Step
from tests.builders import make_node, make_situation

FLANNEL = "  network: {plugin: flannel}"
OWN = f"  network: {{plugin: manifests, manifests: [{{file: own.yaml, sha256: '{'1' * 64}'}}]}}"
NEWER = (
    "  network: {version: v3.32.9, manifests: {operator_crds: {file: a, sha256: S}, operator: {file: b, sha256: S}}}"
)
NEWER = NEWER.replace("sha256: S", f"sha256: '{'2' * 64}'")

NEW = ClusterFacts("1.36.3", nodes={"cp1": make_node("cp1", control_plane=True, ready=False, reason="no network")})
READY = {"cp1": make_node("cp1", control_plane=True)}
DEFAULT = CalicoNetwork()
CRDS = {"network/calico-crds": Applied(f"sha256:{DEFAULT.operator_crds.sha256}")}
OPERATOR = {"network/calico-operator": Applied(f"sha256:{DEFAULT.operator.sha256}", (network.OPERATOR,))}
SPEC = network.installation(make_situation())
DONE = ComponentStatus(available=True, progressing=False, degraded=False, observed=3)
TOLD = CalicoFacts(
    network.CALICO_KINDS,
    SPEC,
    3,
    "v3.32.1",
    True,
    1,
    {"calico": DONE, "apiserver": DONE, "tiers": replace(DONE, observed=None)},
)


def workload(key: str, ready: int = 2, digest: str = "") -> dict[str, Workload]:
    """A workload that wants two pods."""
    namespace, kind, name = key.split("/")
    return {key: Workload(kind, namespace, name, 2, ready, (), digest)}


LIVING = ClusterFacts(
    "1.36.3",
    nodes=READY,
    applied={**CRDS, **OPERATOR},
    workloads=workload(network.OPERATOR) | workload(network.CALICO_NODE),
    calico=TOLD,
)
FLANNEL_LIVES = replace(
    NEW,
    nodes=READY,
    workloads=workload(
        network.FLANNEL, digest=manifest_digest(network.Flannel().preview(make_situation(extra=FLANNEL)))
    ),
)
OWN_LIVES = replace(
    NEW,
    nodes=READY,
    applied={"network/manifests": Applied(f"sha256:{'1' * 64}", ("own/DaemonSet/plugin",))},
    workloads=workload("own/DaemonSet/plugin"),
)


def told(**changes: Any) -> ClusterFacts:
    """A living Calico with ``changes`` to what its operator shows."""
    return replace(LIVING, calico=replace(TOLD, **changes))


def pools(*cidrs: str) -> dict[str, Any]:
    """An Installation with these pools."""
    first = SPEC["calicoNetwork"]["ipPools"][0]
    return {**SPEC, "calicoNetwork": {**SPEC["calicoNetwork"], "ipPools": [{**first, "cidr": cidr} for cidr in cidrs]}}


CASES: list[tuple[Step, str, ClusterFacts | None, type, str]] = [
    # flannel
    (network.Flannel(), "", NEW, Satisfied, "the inventory chooses calico"),
    (network.Flannel(), FLANNEL, None, Needed, "no cluster yet"),
    (network.Flannel(), FLANNEL, NEW, Needed, "not installed"),
    (network.Flannel(), FLANNEL, FLANNEL_LIVES, Satisfied, "v0.28.4"),
    (
        network.Flannel(),
        "  network: {plugin: flannel, version: v0.28.9}",
        FLANNEL_LIVES,
        Needed,
        "differs",
    ),
    (network.Flannel(), FLANNEL, LIVING, Blocked, "network is calico's, the inventory chooses flannel"),
    (network.Flannel(), FLANNEL, OWN_LIVES, Blocked, "own manifests"),
    # calico
    (network.CalicoCrds(), FLANNEL, NEW, Satisfied, "the inventory chooses flannel"),
    (network.CalicoCrds(), OWN, NEW, Satisfied, "chooses its own manifests"),
    (network.CalicoCrds(), "", None, Needed, "no cluster yet"),
    (network.CalicoCrds(), "", NEW, Needed, "not applied yet"),
    (network.CalicoCrds(), "", replace(NEW, applied={"network/calico-crds": Applied("")}), Needed, "to its end"),
    (network.CalicoCrds(), "", replace(NEW, applied=CRDS), Needed, "does not serve apiservers, installations"),
    (network.CalicoCrds(), "", LIVING, Satisfied, "operator-crds.yaml"),
    (network.CalicoCrds(), NEWER, LIVING, Needed, "differs"),
    (network.CalicoCrds(), "", FLANNEL_LIVES, Blocked, "network is flannel's, the inventory chooses calico"),
    (
        network.CalicoCrds(),
        "",
        replace(NEW, nodes=READY, workloads=workload("kube-system/DaemonSet/cilium")),
        Blocked,
        "clusterctl did not install runs here already; DaemonSets: kube-system/DaemonSet/cilium",
    ),
    (network.CalicoOperator(), FLANNEL, NEW, Satisfied, "flannel"),
    (network.CalicoOperator(), "", None, Needed, "no cluster yet"),
    (network.CalicoOperator(), "", NEW, Needed, "not applied yet"),
    (network.CalicoOperator(), "", replace(NEW, applied=OPERATOR), Needed, "is gone"),
    (network.CalicoOperator(), "", LIVING, Satisfied, "v3.32.1"),
    (network.CalicoOperator(), NEWER, LIVING, Needed, "differs"),
    (network.CalicoOperator(), "  network: {registry: r.example}", LIVING, Needed, "differs"),
    (network.Calico(), FLANNEL, NEW, Satisfied, "flannel"),
    (network.Calico(), "", None, Needed, "no cluster yet"),
    (network.Calico(), "", NEW, Needed, "no Installation"),
    (network.Calico(), "", told(api_server=False), Needed, "no APIServer"),
    (network.Calico(), "", told(installation={**SPEC, "registry": "x/"}), Satisfied, "10.10.0.0/16"),
    (network.Calico(), "  network: {mtu: 1400}", LIVING, Needed, "spec.calicoNetwork.mtu"),
    (network.Calico(), "  network: {encapsulation: VXLANCrossSubnet}", LIVING, Needed, "ipPools[0].encapsulation"),
    (network.Calico(), "  pod_cidr: 10.20.0.0/16", LIVING, Blocked, "outside the pod_cidr 10.20.0.0/16"),
    (network.Calico(), "", told(installation=pools("10.10.0.0/16", "192.168.0.0/16")), Blocked, "192.168.0.0/16"),
    (network.Calico(), "", told(installation=pools("10.10.0.0/17")), Blocked, "10.10.0.0/17 is not among"),
    (network.Calico(), "", told(installation=pools()), Needed, "ipPools"),
    # own manifests
    (network.Manifests(), "", NEW, Satisfied, "calico"),
    (network.Manifests(), OWN, None, Needed, "no cluster yet"),
    (network.Manifests(), OWN, NEW, Needed, "not applied yet"),
    (network.Manifests(), OWN, OWN_LIVES, Satisfied, "own.yaml"),
    (network.Manifests(), OWN, replace(OWN_LIVES, workloads={}), Needed, "own/DaemonSet/plugin is gone"),
    (network.Manifests(), OWN.replace("1" * 64, "3" * 64), OWN_LIVES, Needed, "differs"),
    (network.Manifests(), OWN, LIVING, Blocked, "calico"),
    (
        network.Manifests(),
        OWN,
        replace(OWN_LIVES, workloads={**OWN_LIVES.workloads, **FLANNEL_LIVES.workloads}),
        Satisfied,
        "own.yaml",
    ),
    # ready
    (network.Ready(), "", None, Unknown, "no cluster"),
    (network.Ready(), FLANNEL, NEW, Needed, "not there yet"),
    (network.Ready(), FLANNEL, replace(NEW, workloads=workload(network.FLANNEL, 1)), Needed, "1 of 2"),
    (network.Ready(), FLANNEL, FLANNEL_LIVES, Satisfied, "2 flannel pods"),
    (network.Ready(), OWN, NEW, Needed, "not applied"),
    (network.Ready(), OWN, OWN_LIVES, Satisfied, "plugin"),
    (
        network.Ready(),
        OWN,
        replace(OWN_LIVES, workloads=workload("own/DaemonSet/plugin", 1)),
        Needed,
        "own/DaemonSet/plugin: 1 of 2 pods are ready",
    ),
    (network.Ready(), "", NEW, Needed, "not been told"),
    (
        network.Ready(),
        "",
        replace(told(statuses={}), workloads=workload(network.OPERATOR, 0)),
        Needed,
        "not reported yet; tigera-operator: 0 of 2 pods are ready",
    ),
    (network.Ready(), "", LIVING, Satisfied, "Calico v3.32.1, 2 nodes"),
    (network.Ready(), "", told(statuses={"calico": DONE}), Needed, "apiserver: not reported yet"),
    (
        network.Ready(),
        "",
        told(statuses={**TOLD.statuses, "calico": replace(DONE, degraded=True, message="PodFailure: a pod")}),
        Needed,
        "calico: degraded: PodFailure: a pod",
    ),
    (
        network.Ready(),
        "",
        told(statuses={**TOLD.statuses, "tiers": replace(DONE, progressing=True)}),
        Needed,
        "tiers: progressing",
    ),
    (network.Ready(), "", told(installation_generation=4), Needed, "newest settings"),
    (network.Ready(), "", told(version="v3.31.7"), Needed, "Calico v3.31.7 runs, not v3.32.1"),
    (
        network.Ready(),
        "",
        replace(LIVING, workloads=workload(network.CALICO_NODE, 1)),
        Needed,
        "calico-node: 1 of 2 pods are ready",
    ),
]


@pytest.mark.parametrize(("step", "extra", "api", "kind", "text"), CASES)
def test_check(step: Step, extra: str, api: ClusterFacts | None, kind: type, text: str) -> None:
    """The check answers with this verdict and names this fact; a refusal says what to do."""
    verdict = step.check(make_situation(api=api, extra=extra))

    assert isinstance(verdict, kind)
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
    assert not isinstance(verdict, Blocked) or verdict.resolution


def test_the_operators_image_comes_from_the_registry() -> None:
    """Its line is changed and nothing else; a manifest without that image is refused."""
    manifest = "spec:\n  containers:\n    - image: quay.io/tigera/operator:v1.42.3\n      name: quay.io/x\n"
    manifest = manifest.replace("    - image", "    - name: tigera-operator\n      image")
    there = CalicoNetwork(registry="r.example:5000/k8s")

    changed = network.with_registry(manifest, there)

    assert network.with_registry(manifest, CalicoNetwork()) == manifest
    assert changed == manifest.replace("quay.io/tigera", "r.example:5000/k8s/tigera")
    with pytest.raises(InputError, match="holds no image"):
        network.with_registry("kind: Deployment\n", there)


@pytest.mark.parametrize(
    ("found", "wanted", "place"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, "spec.a"),
        ({}, {"a": {"b": 1}}, "spec.a"),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, ""),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}]}, "spec.a"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "spec.a[0].b"),
        ({"a": None}, {"a": "x"}, "spec.a"),
    ],
)
def test_a_difference_is_what_is_wanted_and_not_there(found: object, wanted: object, place: str) -> None:
    """What is there beside it is somebody else's."""
    assert network.difference(found, wanted, "spec") == place


def test_ipv6_pods_get_a_pool_of_their_family() -> None:
    """Blocks and address detection are those of IPv6."""
    calico = network.installation(make_situation(extra="  pod_cidr: fd00:10::/56\n  service_cidr: fd00:96::/112"))

    assert calico["calicoNetwork"]["ipPools"][0]["blockSize"] == 122
    assert "nodeAddressAutodetectionV6" in calico["calicoNetwork"]
