"""The checks of the network plugins, over what the API says."""

from dataclasses import replace
from typing import Any

import pytest

from clusterctl.errors import InputError
from clusterctl.model.facts import Applied, CalicoFacts, ClusterFacts, ComponentStatus, Workload
from clusterctl.model.inventory import CalicoNetwork
from clusterctl.model.manifest import manifest_digest
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.rules import network, settings
from clusterctl.steps.network import calico, calico_operator
from clusterctl.steps.network.calico import Calico
from clusterctl.steps.network.calico_crds import CalicoCrds
from clusterctl.steps.network.calico_operator import CalicoOperator
from clusterctl.steps.network.flannel import Flannel
from clusterctl.steps.network.manifests import Manifests
from clusterctl.steps.network.ready import Ready
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
SPEC = calico.installation(make_situation())
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
    workloads=workload(network.FLANNEL, digest=manifest_digest(Flannel().preview(make_situation(extra=FLANNEL)))),
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
    (Flannel(), "", NEW, Satisfied, "the inventory chooses calico"),
    (Flannel(), FLANNEL, None, Needed, "no cluster yet"),
    (Flannel(), FLANNEL, NEW, Needed, "not installed"),
    (Flannel(), FLANNEL, FLANNEL_LIVES, Satisfied, "v0.28.4"),
    (
        Flannel(),
        "  network: {plugin: flannel, version: v0.28.9}",
        FLANNEL_LIVES,
        Needed,
        "differs",
    ),
    (Flannel(), FLANNEL, LIVING, Blocked, "network is calico's, the inventory chooses flannel"),
    (Flannel(), FLANNEL, OWN_LIVES, Blocked, "own manifests"),
    # calico
    (CalicoCrds(), FLANNEL, NEW, Satisfied, "the inventory chooses flannel"),
    (CalicoCrds(), OWN, NEW, Satisfied, "chooses its own manifests"),
    (CalicoCrds(), "", None, Needed, "no cluster yet"),
    (CalicoCrds(), "", NEW, Needed, "not applied yet"),
    (CalicoCrds(), "", replace(NEW, applied={"network/calico-crds": Applied("")}), Needed, "to its end"),
    (CalicoCrds(), "", replace(NEW, applied=CRDS), Needed, "does not serve apiservers, installations"),
    (CalicoCrds(), "", LIVING, Satisfied, "operator-crds.yaml"),
    (CalicoCrds(), NEWER, LIVING, Needed, "differs"),
    (CalicoCrds(), "", FLANNEL_LIVES, Blocked, "network is flannel's, the inventory chooses calico"),
    (
        CalicoCrds(),
        "",
        replace(NEW, nodes=READY, workloads=workload("kube-system/DaemonSet/cilium")),
        Blocked,
        "clusterctl did not install runs here already; DaemonSets: kube-system/DaemonSet/cilium",
    ),
    (CalicoOperator(), FLANNEL, NEW, Satisfied, "flannel"),
    (CalicoOperator(), "", None, Needed, "no cluster yet"),
    (CalicoOperator(), "", NEW, Needed, "not applied yet"),
    (CalicoOperator(), "", replace(NEW, applied=OPERATOR), Needed, "is gone"),
    (CalicoOperator(), "", LIVING, Satisfied, "v3.32.1"),
    (CalicoOperator(), NEWER, LIVING, Needed, "differs"),
    (CalicoOperator(), "  network: {registry: r.example}", LIVING, Needed, "differs"),
    (Calico(), FLANNEL, NEW, Satisfied, "flannel"),
    (Calico(), "", None, Needed, "no cluster yet"),
    (Calico(), "", NEW, Needed, "no Installation"),
    (Calico(), "", told(api_server=False), Needed, "no APIServer"),
    (Calico(), "", told(installation={**SPEC, "registry": "x/"}), Satisfied, "10.10.0.0/16"),
    (Calico(), "  network: {mtu: 1400}", LIVING, Needed, "spec.calicoNetwork.mtu"),
    (Calico(), "  network: {encapsulation: VXLANCrossSubnet}", LIVING, Needed, "ipPools[0].encapsulation"),
    (Calico(), "  pod_cidr: 10.20.0.0/16", LIVING, Blocked, "outside the pod_cidr 10.20.0.0/16"),
    (Calico(), "", told(installation=pools("10.10.0.0/16", "192.168.0.0/16")), Blocked, "192.168.0.0/16"),
    (Calico(), "", told(installation=pools("10.10.0.0/17")), Blocked, "10.10.0.0/17 is not among"),
    (Calico(), "", told(installation=pools()), Needed, "ipPools"),
    # own manifests
    (Manifests(), "", NEW, Satisfied, "calico"),
    (Manifests(), OWN, None, Needed, "no cluster yet"),
    (Manifests(), OWN, NEW, Needed, "not applied yet"),
    (Manifests(), OWN, OWN_LIVES, Satisfied, "own.yaml"),
    (Manifests(), OWN, replace(OWN_LIVES, workloads={}), Needed, "own/DaemonSet/plugin is gone"),
    (Manifests(), OWN.replace("1" * 64, "3" * 64), OWN_LIVES, Needed, "differs"),
    (Manifests(), OWN, LIVING, Blocked, "calico"),
    (
        Manifests(),
        OWN,
        replace(OWN_LIVES, workloads={**OWN_LIVES.workloads, **FLANNEL_LIVES.workloads}),
        Satisfied,
        "own.yaml",
    ),
    # ready
    (Ready(), "", None, Unknown, "no cluster"),
    (Ready(), FLANNEL, NEW, Needed, "not there yet"),
    (Ready(), FLANNEL, replace(NEW, workloads=workload(network.FLANNEL, 1)), Needed, "1 of 2"),
    (Ready(), FLANNEL, FLANNEL_LIVES, Satisfied, "2 flannel pods"),
    (Ready(), OWN, NEW, Needed, "not applied"),
    (Ready(), OWN, OWN_LIVES, Satisfied, "plugin"),
    (
        Ready(),
        OWN,
        replace(OWN_LIVES, workloads=workload("own/DaemonSet/plugin", 1)),
        Needed,
        "own/DaemonSet/plugin: 1 of 2 pods are ready",
    ),
    (Ready(), "", NEW, Needed, "not been told"),
    (
        Ready(),
        "",
        replace(told(statuses={}), workloads=workload(network.OPERATOR, 0)),
        Needed,
        "not reported yet; tigera-operator: 0 of 2 pods are ready",
    ),
    (Ready(), "", LIVING, Satisfied, "Calico v3.32.1, 2 nodes"),
    (Ready(), "", told(statuses={"calico": DONE}), Needed, "apiserver: not reported yet"),
    (
        Ready(),
        "",
        told(statuses={**TOLD.statuses, "calico": replace(DONE, degraded=True, message="PodFailure: a pod")}),
        Needed,
        "calico: degraded: PodFailure: a pod",
    ),
    (
        Ready(),
        "",
        told(statuses={**TOLD.statuses, "tiers": replace(DONE, progressing=True)}),
        Needed,
        "tiers: progressing",
    ),
    (Ready(), "", told(installation_generation=4), Needed, "newest settings"),
    (Ready(), "", told(version="v3.31.7"), Needed, "Calico v3.31.7 runs, not v3.32.1"),
    (
        Ready(),
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

    changed = calico_operator.with_registry(manifest, there)

    assert calico_operator.with_registry(manifest, CalicoNetwork()) == manifest
    assert changed == manifest.replace("quay.io/tigera", "r.example:5000/k8s/tigera")
    with pytest.raises(InputError, match="holds no image"):
        calico_operator.with_registry("kind: Deployment\n", there)


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
    assert settings.difference(found, wanted, "spec") == place


def test_ipv6_pods_get_a_pool_of_their_family() -> None:
    """Blocks and address detection are those of IPv6."""
    made = calico.installation(make_situation(extra="  pod_cidr: fd00:10::/56\n  service_cidr: fd00:96::/112"))

    assert made["calicoNetwork"]["ipPools"][0]["blockSize"] == 122
    assert "nodeAddressAutodetectionV6" in made["calicoNetwork"]
