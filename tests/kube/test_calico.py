"""Calico on a real API server: the release's manifests and definitions, and readiness on real objects.

``$CLUSTERCTL_CALICO_MANIFESTS`` names the folder that holds them.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterctl.errors import KubernetesError
from clusterctl.kube.change.changes import Changes
from clusterctl.kube.connect.client import Kube
from clusterctl.kube.observe.calico import GROUP, calico, calico_facts, component_status
from clusterctl.kube.observe.cluster import observe
from clusterctl.kube.observe.record import APPLIED
from clusterctl.model.facts import ClusterFacts, Workload
from clusterctl.model.inventory import CalicoNetwork
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Needed, Satisfied
from clusterctl.remote.download import Downloads
from clusterctl.rules import network
from clusterctl.steps.network.calico import Calico
from clusterctl.steps.network.calico_crds import CalicoCrds
from clusterctl.steps.network.calico_operator import CalicoOperator
from clusterctl.steps.network.ready import Ready
from clusterctl.steps.step import ClusterApi, Tools
from tests.builders import make_facts, make_inventory

FOLDER = os.environ.get("CLUSTERCTL_CALICO_MANIFESTS", "")
FILES = ("operator-crds.yaml", "tigera-operator.yaml")

needs_release = pytest.mark.skipif(
    not FOLDER or not all((Path(FOLDER) / name).is_file() for name in FILES),
    reason=f"CLUSTERCTL_CALICO_MANIFESTS names no folder with {' and '.join(FILES)} of a Calico release",
)
needs_objects = pytest.mark.skipif(
    not FOLDER or not (Path(FOLDER) / "tigerastatus-ready.json").is_file(),
    reason="CLUSTERCTL_CALICO_MANIFESTS names no folder with tigerastatus-ready.json and the objects beside it",
)


def situation(api: ClusterFacts | None, settings: str = "") -> Situation:
    """The first control plane of a cluster with Calico from the files of the folder."""
    digests = [hashlib.sha256((Path(FOLDER) / name).read_bytes()).hexdigest() for name in FILES]
    inventory = make_inventory(
        f"  network:\n    version: v3.32.1\n{settings}    manifests:\n"
        + "".join(
            f"      {key}: {{file: {FOLDER}/{name}, sha256: {digest}}}\n"
            for key, name, digest in zip(("operator_crds", "operator"), FILES, digests, strict=True)
        )
    )
    return Situation(inventory, inventory.host("cp1"), {"cp1": make_facts()}, api)


def tools(changes: ClusterApi) -> Tools:
    """What steps get; there is no machine."""
    anything: Any = None
    return Tools(anything, lambda: changes, anything, Downloads().fetch, anything, lambda: False, "ada@desk", anything)


def verdict(step: Any, kube: Kube, settings: str = "") -> Any:
    """What the step says of the cluster as it is now."""
    return step.check(situation(observe(kube), settings))


@pytest.fixture
def changes(kube: Kube) -> Iterator[ClusterApi]:
    """The capability; what a test told Calico is taken back."""
    yield Changes(kube)
    for kind in ("installations", "apiservers"):
        if kube.find(GROUP) is not None:
            kube.delete(f"{GROUP}/{kind}/default")


@pytest.fixture
def operated(kube: Kube, changes: ClusterApi) -> ClusterApi:
    """The release's definitions and its operator's objects, applied by our steps unless an earlier test did."""
    for step in (CalicoCrds(), CalicoOperator()):
        if isinstance(verdict(step, kube), Needed):
            step.apply(situation(None), tools(changes))
    return changes


@needs_release
def test_the_releases_manifests_are_the_official_ones() -> None:
    """The digests that clusterctl trusts are those of the release's files."""
    for source, name in zip((CalicoNetwork().operator_crds, CalicoNetwork().operator), FILES, strict=True):
        assert source.sha256 == hashlib.sha256((Path(FOLDER) / name).read_bytes()).hexdigest()
        assert str(source).endswith(f"/v3.32.1/manifests/{name}")


@needs_release
def test_the_steps_install_calico_and_a_second_run_needs_nothing(kube: Kube, changes: ClusterApi) -> None:
    """Definitions of half a megabyte, the operator, our two objects: each is Needed, applied and then Satisfied."""
    kube.delete(APPLIED)
    for step in (CalicoCrds(), CalicoOperator(), Calico()):
        assert isinstance(verdict(step, kube), Needed)
        step.apply(situation(None), tools(changes))
        assert isinstance(verdict(step, kube), Satisfied)

    made = kube.get(f"{GROUP}/installations/default")["spec"]
    assert made["calicoNetwork"]["bgp"] == "Disabled"
    assert made["calicoNetwork"]["ipPools"][0]["cidr"] == "10.10.0.0/16"
    assert kube.get(f"{GROUP}/apiservers/default")["spec"] == {}
    for step in (CalicoCrds(), CalicoOperator(), Calico()):
        assert isinstance(verdict(step, kube), Satisfied)


@needs_release
def test_no_object_carries_the_annotation_that_is_too_long(kube: Kube, operated: ClusterApi) -> None:
    """A client-side apply writes the whole object into an annotation, which ends at 256 KiB."""
    name = "installations.operator.tigera.io"
    made = kube.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")

    assert len(json.dumps(made["spec"])) > 262144
    assert set(made["metadata"]["annotations"]) <= {
        "clusterctl.io/manifest",
        "controller-gen.kubebuilder.io/version",
    }


@needs_release
def test_another_registry_changes_the_operators_image(kube: Kube, operated: ClusterApi) -> None:
    """The operator's own image and the Installation's registry come from one key, and the difference is seen."""
    settings = "    registry: mirror.example:5000/k8s\n"
    assert isinstance(verdict(CalicoOperator(), kube, settings), Needed)

    CalicoOperator().apply(situation(None, settings), tools(operated))
    Calico().apply(situation(None, settings), tools(operated))

    path = "/apis/apps/v1/namespaces/tigera-operator/deployments/tigera-operator"
    image = kube.get(path)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith("mirror.example:5000/k8s/tigera/operator:v")
    assert kube.get(f"{GROUP}/installations/default")["spec"]["registry"] == "mirror.example:5000/k8s/"
    assert isinstance(verdict(CalicoOperator(), kube, settings), Satisfied)


@needs_release
@pytest.mark.parametrize(
    ("installation", "told"),
    [
        ("{calicoNetwork: {bgp: Sometimes}}", "Sometimes"),
        ("{calicoNetwrk: {}}", "calicoNetwrk"),
        ("{controlPlaneReplicas: many}", "controlPlaneReplicas"),
    ],
)
def test_a_bad_installation_is_told_in_the_servers_words(
    kube: Kube, operated: ClusterApi, installation: str, told: str
) -> None:
    """A wrong value, a key that does not exist, a wrong type: the error names the object and the field."""
    bad = situation(None, f"    installation: {installation}\n")

    with pytest.raises(KubernetesError) as caught:
        Calico().apply(bad, tools(operated))

    assert "installations/default" in caught.value.what
    assert told in caught.value.details


@needs_release
def test_a_changed_setting_is_needed_and_what_the_operator_adds_is_not(kube: Kube, operated: ClusterApi) -> None:
    """The operator writes its defaults into the same object; they are nobody's difference."""
    Calico().apply(situation(None), tools(operated))
    pool = {"cidr": "10.10.0.0/16", "encapsulation": "VXLAN", "natOutgoing": "Enabled", "blockSize": 26}
    more = {"nodeSelector": "all()", "name": "default-ipv4-ippool", "assignmentMode": "Automatic"}
    spec = {"calicoNetwork": {"ipPools": [pool | more], "hostPorts": "Enabled"}, "controlPlaneReplicas": 2}
    kube.patch(f"{GROUP}/installations/default", {"metadata": {}, "spec": spec})

    assert isinstance(verdict(Calico(), kube), Satisfied)
    changed = verdict(Calico(), kube, "    mtu: 1400\n")
    assert isinstance(changed, Needed)
    assert "spec.calicoNetwork.mtu" in changed.reason


@needs_release
def test_an_apply_that_was_cut_off_is_needed_again(kube: Kube, operated: ClusterApi) -> None:
    """The record says that it began; only its end writes the digest."""
    record = json.dumps({"digest": "", "workloads": []})
    kube.patch(APPLIED, {"metadata": {}, "data": {"network.calico-crds": record}})

    found = verdict(CalicoCrds(), kube)

    assert isinstance(found, Needed)
    assert "did not come to its end" in found.reason
    assert isinstance(verdict(CalicoOperator(), kube), Satisfied)


@needs_release
@needs_objects
@pytest.mark.parametrize("state", ["ready", "progressing"])
def test_readiness_is_read_from_real_statuses(kube: Kube, operated: ClusterApi, state: str) -> None:
    """The test plays the operator: it writes the statuses of a real installation, and facts come back."""
    Calico().apply(situation(None), tools(operated))
    items = _load(f"tigerastatus-{state}")["items"]
    for item in items:
        name = item["metadata"]["name"]
        body = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": {"name": name}, "spec": {}}
        kube.create(f"{GROUP}/tigerastatuses", body)
        kube.patch(f"{GROUP}/tigerastatuses/{name}/status", {"metadata": {}, "status": item["status"]})
    try:
        facts = calico(kube)
    finally:
        for item in items:
            kube.delete(f"{GROUP}/tigerastatuses/{item['metadata']['name']}")

    assert facts is not None
    assert set(facts.statuses) == {"apiserver", "calico", "ippools", "tiers"}
    assert facts.statuses["calico"].available is (state == "ready")
    assert facts.statuses["calico"].degraded is (state == "progressing")
    assert facts.statuses["calico"].observed == 3


def _load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(FOLDER) / f"{name}.json").read_text())
    return found


def _api(state: str, **changes: Any) -> ClusterFacts:
    """What the API says of the real installation in this state, with ``changes`` to what is read of it."""
    objects = {name: _load(f"{name}-ready") for name in ("installation", "apiserver")} | changes
    facts = calico_facts(
        network.CALICO_KINDS,
        objects["installation"],
        objects["apiserver"],
        changes.get("statuses", _load(f"tigerastatus-{state}")["items"]),
    )
    node = Workload("DaemonSet", "calico-system", "calico-node", 2, 2, ())
    return ClusterFacts("1.36.3", workloads={network.CALICO_NODE: node}, calico=facts)


@needs_objects
def test_the_real_installation_is_ready() -> None:
    """Available, not Progressing, not Degraded, of the newest generation, at the wanted version."""
    found = Ready().check(situation(_api("ready")))

    assert isinstance(found, Satisfied)
    assert "v3.32.1" in found.note


@needs_objects
def test_degraded_is_waited_out_and_its_message_shown() -> None:
    """12 seconds after its pods were deleted the real operator said Degraded; a minute later all was well."""
    found = Ready().check(situation(_api("progressing")))

    assert isinstance(found, Needed)
    assert "Pod calico-system/calico-node-sqmdm is running but not ready" in found.reason


@needs_objects
def test_a_status_of_an_older_generation_does_not_count() -> None:
    """The operator looked at what the Installation was, not at what it is."""
    installation = _load("installation-ready")
    installation["metadata"]["generation"] = 4

    found = Ready().check(situation(_api("ready", installation=installation)))

    assert isinstance(found, Needed)
    assert "newest settings" in found.reason


@needs_objects
def test_no_status_is_not_ready() -> None:
    """Before the operator starts there are no statuses at all."""
    found = Ready().check(situation(_api("ready", statuses=[])))

    assert isinstance(found, Needed)
    assert "has not reported yet" in found.reason


@needs_objects
def test_the_real_installation_needs_no_change() -> None:
    """What the operator added to the real object is no difference."""
    settings = (
        "    registry: 10.77.0.1:5000\n    kubelet_volume_plugin_path: None\n    installation: {flexVolumePath: None}\n"
    )

    assert isinstance(Calico().check(situation(_api("ready"), settings)), Satisfied)


def test_a_group_that_is_not_served_costs_one_request(kube: Kube) -> None:
    """Clusters without Calico have no facts of it."""

    class Counting:
        asked = 0

        def find(self, path: str, *, patience: float = 0) -> None:
            assert path == GROUP
            self.asked += 1

    counting = Counting()

    assert calico(counting) is None  # type: ignore[arg-type]
    assert counting.asked == 1


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([], ""),
        ([{"type": "Available", "status": "False", "message": "waiting"}], "waiting"),
        (
            [
                {"type": "Available", "status": "False", "reason": "Unknown"},
                {"type": "Degraded", "status": "True", "reason": "PodFailure", "message": "a pod"},
            ],
            "PodFailure: a pod",
        ),
        ([{"type": "Degraded", "status": "True", "message": "one pod\nand another"}], "one pod; and another"),
    ],
)
def test_a_status_without_all_conditions_is_not_ready(conditions: list[dict[str, str]], message: str) -> None:
    """The operator writes them one by one; the worst one's message is shown."""
    found = component_status({"metadata": {"name": "calico"}, "status": {"conditions": conditions}})

    assert not found.available
    assert found.message == message
