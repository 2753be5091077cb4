"""Upgrade steps over hosts before, in the middle, after, and beyond the wanted version."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusterctl.errors import CommandFailed
from clusterctl.model import places
from clusterctl.model.facts import ClusterFacts, Cordon, FileFact, HostFacts, NodeFacts, Package
from clusterctl.model.pods import Owner, PodFacts, Pods
from clusterctl.model.secret import Secret
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Needed, Satisfied, Unknown
from clusterctl.render import Script
from clusterctl.rules import upgrading
from clusterctl.rules.drain import SOFT_TAINT
from clusterctl.steps.preflight.packages import Packages as PreflightPackages
from clusterctl.steps.step import Step, Tools
from clusterctl.steps.upgrade.apply import Apply
from clusterctl.steps.upgrade.drain import Drain
from clusterctl.steps.upgrade.kubeadm import Kubeadm
from clusterctl.steps.upgrade.kubelet import Kubelet
from clusterctl.steps.upgrade.leftovers import Leftovers
from clusterctl.steps.upgrade.node import Node
from clusterctl.steps.upgrade.package_manager import PackageManager
from clusterctl.steps.upgrade.packages import Packages
from clusterctl.steps.upgrade.repository import Repository
from clusterctl.steps.upgrade.settled import Settled
from clusterctl.steps.upgrade.soft_taint import SoftTaint
from clusterctl.steps.upgrade.static_pods import StaticPods
from clusterctl.steps.upgrade.uncordon import Uncordon
from tests.builders import make_facts, make_inventory, make_node

OLD, NEW, NEWER = "1.35.4", "1.36.3", "1.37.1"
WEB = Owner("ReplicaSet", "web", "1")
CORDON = Cordon("ada@desk", "2026-01-01T00:00:00Z", unschedulable=False)


def installed(version: str, *names: str, **changes: Any) -> dict[str, Package]:
    """Packages of one version, held and whole."""
    held = {"held": True, "intact": True, **changes}
    return {name: Package(f"{version}-1.1", **held) for name in names or places.KUBERNETES_PACKAGES}


def images(version: str) -> dict[str, str]:
    """The images in a control plane's manifests."""
    return {
        "etcd": "registry.k8s.io/etcd:3.6.8-0",
        **{name: f"registry.k8s.io/{name}:v{version}" for name in upgrading.COMPONENTS},
    }


def source(minor: str) -> dict[str, FileFact]:
    """The source list of a minor."""
    text = f"deb [signed-by={places.KUBERNETES_KEYRING}] https://pkgs.k8s.io/core:/stable:/v{minor}/deb/ /\n"
    return {places.KUBERNETES_SOURCE: FileFact(text, "644")}


def mark(version: str) -> dict[str, FileFact]:
    """What kubeadm's script leaves."""
    return {places.UPGRADED: FileFact(version, "644")}


def host(name: str, version: str = OLD, **changes: Any) -> HostFacts:
    """A host of a cluster at ``version``."""
    facts = {
        "packages": installed(version),
        "files": source(".".join(version.split(".")[:2])),
        "paths": frozenset(
            {places.KUBERNETES_KEYRING, "/etc/kubernetes/admin.conf"} if name[0] == "c" else {places.KUBERNETES_KEYRING}
        ),
        "static_pods": images(version) if name[0] == "c" else {},
    }
    return make_facts(name, **{**facts, **changes})


def cluster(version: str = OLD, *, config: str = "", **nodes: dict[str, Any]) -> ClusterFacts:
    """What the API says of two control planes and two workers at ``version``."""
    found: dict[str, NodeFacts] = {
        name: make_node(name, kubelet_version=version, control_plane=name[0] == "c", **nodes.get(name, {}))
        if "kubelet_version" not in nodes.get(name, {})
        else make_node(name, control_plane=name[0] == "c", **nodes[name])
        for name in ("cp1", "cp2", "w1", "w2")
    }
    pods = {f"{name}-{plane}": image for plane in ("cp1", "cp2") for name, image in images(version).items()}
    return ClusterFacts(
        version,
        found,
        settings={"ClusterConfiguration": {"kubernetesVersion": f"v{config or version}"}},
        static_pods=dict.fromkeys(pods, True),
        static_pod_images=pods,
    )


def at(
    name: str,
    facts: HostFacts | None = None,
    api: ClusterFacts | None = None,
    others: Mapping[str, HostFacts] | None = None,
    pods: Pods | None = None,
    wanted: str = NEW,
) -> Situation:
    """The situation of a host in a cluster that is at the old version, but for what is given."""
    inventory = make_inventory(control_planes=2, kubernetes=wanted)
    all_facts = {each.name: host(each.name) for each in inventory.hosts} | dict(others or {})
    all_facts[name] = facts or host(name)
    return Situation(inventory, inventory.host(name), all_facts, api or cluster(), pods=pods or Pods())


SILENT = replace(at("cp1"), api=None, api_problem="it does not answer", pods=None)
SILENT_W1 = replace(at("w1"), api=None, api_problem="it does not answer", pods=None)
NEW_PLANES = {name: host(name, NEW) for name in ("cp1", "cp2")}
APPLIED = host("cp1", static_pods=images(NEW), files=source("1.36") | mark(NEW))
FITS = frozenset({places.fitting(NEW)})
HALF: dict[str, Any] = {
    "packages": installed(OLD) | installed(NEW, "kubeadm", intact=False),
    "dpkg_problem": "kubeadm is unpacked",
}
ON_W1 = Pods(
    (
        PodFacts("web", "web-1", "1", "w1", controller=WEB),
        PodFacts("kube-system", "proxy", "2", "w1", controller=Owner("DaemonSet", "kube-proxy", "2")),
        PodFacts("web", "web-2", "3", "w2", controller=WEB),
    )
)
DONE = replace(CORDON, drained=True)
DRAINED: dict[str, Any] = {"w1": {"unschedulable": True, "cordoned": DONE}}
CORDONED: dict[str, Any] = {"w1": {"unschedulable": True, "cordoned": CORDON}}

CASES: list[tuple[Step, Situation, type, str]] = [
    (SoftTaint(), at("w1"), Needed, "w1 is drained later"),
    (SoftTaint(), at("w1", api=cluster(w1={"taints": (SOFT_TAINT,)})), Satisfied, "is there"),
    (SoftTaint(), at("w1", host("w1", NEW), cluster(NEW)), Satisfied, "w1 is through"),
    (SoftTaint(), SILENT_W1, Unknown, "it does not answer"),
    # The repository of the wanted minor, unless the host needs nothing of it.
    (Repository(), at("w1"), Needed, "does not name the repository of 1.36"),
    (Repository(), at("w1", host("w1", files=source("1.36"))), Satisfied, "1.36 is configured"),
    (Repository(), at("w1", host("w1", NEWER)), Satisfied, "beyond 1.36"),
    (Repository(), at("w1", host("w1", NEW, files=source("1.37"))), Satisfied, "beyond 1.36"),
    (Repository(), at("w1", host("w1", files=source("1.37"))), Needed, "does not name"),
    (Repository(), at("w1", host("w1", dpkg_problem="x is unpacked")), Blocked, "x is unpacked"),
    # kubeadm of the wanted version; a newer minor only where it has no more to do for this one.
    (Kubeadm(), at("w1"), Needed, "kubeadm is 1.35.4, wanted is 1.36.3"),
    (Kubeadm(), at("w1", host("w1", packages=installed(NEW))), Satisfied, "kubeadm 1.36.3"),
    (Kubeadm(), at("w1", host("w1", packages=installed(OLD) | installed("1.36.5", "kubeadm"))), Satisfied, "5"),
    (
        Kubeadm(),
        at("w1", host("w1", packages=installed(OLD) | installed(NEWER, "kubeadm"))),
        Needed,
        "only one",
    ),
    (Kubeadm(), at("w1", host("w1", NEWER)), Satisfied, "kubeadm 1.37.1"),
    (Kubeadm(), at("w1", host("w1", packages=installed(NEW, held=False))), Needed, "not held"),
    (Kubeadm(), at("w1", host("w1", packages={})), Needed, "not installed"),
    (Kubeadm(), at("w1", host("w1", **HALF)), Blocked, "kubeadm is unpacked"),
    (Kubeadm(), at("w1", host("w1", **HALF, package_lock="apt (process 1) holds it")), Needed, "not fully"),
    # kubeadm upgrade apply: manifests, configuration, and the mark.
    (Apply(), at("cp1"), Needed, "kube-apiserver is 1.35.4"),
    (Apply(), SILENT, Unknown, "it does not answer"),
    (
        Apply(),
        at("cp1", host("cp1", static_pods=images(OLD) | {"kube-apiserver": "registry.k8s.io/kube-apiserver:v1.36.3"})),
        Needed,
        "kube-controller-manager is 1.35.4",
    ),
    (Apply(), at("cp1", APPLIED), Needed, "kubeadm's configuration says 1.35.4"),
    (Apply(), at("cp1", APPLIED, cluster(config=NEW)), Satisfied, "runs 1.36.3"),
    (
        Apply(),
        at("cp1", host("cp1", static_pods=images(NEW)), cluster(config=NEW)),
        Needed,
        "did not come to its end",
    ),
    (Apply(), at("cp1", host("cp1", NEW), cluster(NEW)), Satisfied, "runs 1.36.3"),
    (Apply(), at("cp1", host("cp1", static_pods=images(NEWER)), cluster(NEWER)), Satisfied, "runs 1.37.1"),
    # kubeadm upgrade node: after the first control plane, and on workers after all of them.
    (Node(), at("cp2"), Unknown, "the cluster is at 1.35.4"),
    (Node(), at("cp2", api=cluster(config=NEW)), Needed, "not upgraded this host"),
    (
        Node(),
        at("cp2", host("cp2", static_pods=images(NEW), files=mark(NEW)), cluster(config=NEW)),
        Satisfied,
        "1.36.3",
    ),
    (Node(), at("cp2", host("cp2", static_pods=images(NEW)), cluster(config=NEW)), Needed, "not upgraded"),
    (Node(), at("w1", api=cluster(config=NEW)), Unknown, "control planes come first: cp1 runs 1.35.4"),
    (Node(), at("w1", api=cluster(config=NEW), others=NEW_PLANES), Needed, "not upgraded this host to 1.36.3"),
    (Node(), at("w1", host("w1", files=mark(NEW))), Satisfied, "to 1.36.3"),
    (Node(), at("w1", host("w1", files=mark("1.34.1"))), Unknown, "the cluster is at 1.35.4"),
    (Node(), at("w1", host("w1", NEW)), Satisfied, "to 1.36.3"),
    (Node(), SILENT_W1, Unknown, "it does not answer"),
    # The pods of the manifests.
    (StaticPods(), at("cp1"), Satisfied, "ready"),
    (StaticPods(), at("cp1", host("cp1", static_pods=images(NEW))), Needed, "kube-apiserver-cp1 still runs"),
    (StaticPods(), at("cp1", api=replace(cluster(), static_pods={})), Needed, "etcd-cp1 is missing"),
    (
        StaticPods(),
        at("cp1", api=replace(cluster(), static_pods=dict.fromkeys(cluster().static_pods, False))),
        Needed,
        "etcd-cp1 is not ready",
    ),
    (StaticPods(), SILENT, Unknown, "it does not answer"),
    # The new kubelet is tried before anything is disturbed.
    (Packages(), at("w1"), Needed, "was not tried"),
    (Packages(), at("w1", host("w1", paths=FITS)), Satisfied, "knows this host's settings"),
    (Packages(), at("w1", host("w1", NEW)), Satisfied, "installed"),
    (Packages(), at("w1", host("w1", dpkg_problem="x is unpacked")), Blocked, "x is unpacked"),
    # The drain: our mark, and nobody left who would leave.
    (Drain(), at("w1", pods=ON_W1), Needed, "not cordoned, and 1 of its pods has to leave"),
    (Drain(), at("w1", api=cluster(**CORDONED), pods=ON_W1), Needed, "1 pod of w1"),
    (Drain(), at("w1", api=cluster(**CORDONED)), Satisfied, "cordoned and drained"),
    (Drain(), at("w1", api=cluster(**DRAINED), pods=ON_W1), Satisfied, "cordoned and drained"),
    (Drain(), at("w1", api=cluster(w1={"cordoned": DONE}), pods=ON_W1), Needed, "not cordoned"),
    (Drain(), at("w1", api=cluster(w1={"unschedulable": True})), Needed, "not cordoned"),
    (Drain(), at("w1", api=cluster(w1={"cordoned": CORDON})), Needed, "not cordoned"),
    (Drain(), at("w1", host("w1", NEW), cluster(NEW), pods=ON_W1), Satisfied, "its kubelet is 1.36.3"),
    (Drain(), at("w1", host("w1", NEW), pods=ON_W1), Needed, "not cordoned"),
    (
        Drain(),
        at("w1", host("w1", NEW, packages=installed(NEW, held=False)), cluster(NEW), pods=ON_W1),
        Satisfied,
        "its kubelet is 1.36.3",
    ),
    (Drain(), SILENT_W1, Unknown, "it does not answer"),
    # The kubelet, never newer than an API server.
    (Kubelet(), at("w1"), Unknown, "control planes come first"),
    (Kubelet(), at("w1", others=NEW_PLANES), Needed, "kubelet is 1.35.4, wanted is 1.36.3"),
    (Kubelet(), at("w1", host("w1", NEW), others=NEW_PLANES), Needed, "the kubelet that runs is 1.35.4"),
    (Kubelet(), at("w1", host("w1", NEW), cluster(NEW)), Satisfied, "1.36.3, held"),
    (Kubelet(), at("w1", host("w1", NEWER), cluster(NEWER)), Satisfied, "1.37.1, held"),
    (
        Kubelet(),
        at("w1", host("w1", NEW, packages=installed(NEW, held=False)), cluster(NEW), NEW_PLANES),
        Needed,
        "not held",
    ),
    (Kubelet(), at("cp1"), Unknown, "its control plane comes first"),
    (Kubelet(), at("cp1", APPLIED), Needed, "kubelet is 1.35.4"),
    (
        Kubelet(),
        at("w1", host("w1", dpkg_problem="kubelet is unpacked"), others=NEW_PLANES),
        Blocked,
        "kubelet is unpacked",
    ),
    (Kubelet(), SILENT_W1, Unknown, "it does not answer"),
    # Marks come off when the kubelet is through; a cordon without a mark is somebody else's.
    (Uncordon(), at("w1"), Satisfied, "no mark"),
    (Uncordon(), at("w1", api=cluster(w1={"unschedulable": True})), Satisfied, "no mark"),
    (Uncordon(), at("w1", api=cluster(**CORDONED)), Unknown, "given back when it is through"),
    (Uncordon(), at("w1", host("w1", NEW), cluster(NEW, **CORDONED)), Needed, "cordoned by clusterctl"),
    (
        Uncordon(),
        at("w1", host("w1", NEW), cluster(NEW, w1={"taints": (SOFT_TAINT,)})),
        Needed,
        "tainted by clusterctl",
    ),
    (Uncordon(), SILENT_W1, Unknown, "it does not answer"),
    # Whole again: this node and every control plane; another worker is not waited for.
    (Settled(), at("w1"), Satisfied, "ready"),
    (Settled(), at("w1", api=cluster(w1={"ready": False, "reason": "down"})), Needed, "w1 is not Ready"),
    (Settled(), at("w1", api=cluster(w2={"ready": False, "reason": "down"})), Satisfied, "ready"),
    (Settled(), at("w1", api=cluster(cp2={"ready": False, "reason": "down"})), Needed, "cp2 is not Ready"),
    (
        Settled(),
        at("w1", others={"cp2": host("cp2", static_pods=images(NEW))}),
        Needed,
        "kube-apiserver-cp2 still runs",
    ),
    (Settled(), SILENT_W1, Unknown, "it does not answer"),
    (Leftovers(), at("cp1"), Satisfied, "none"),
    (
        Leftovers(),
        at("cp1", host("cp1", paths=frozenset({places.KUBEADM_BACKUPS}))),
        Needed,
        "copies of etcd",
    ),
]


@pytest.mark.parametrize(
    ("step", "situation", "kind", "text"), CASES, ids=[f"{step.name} {text}" for step, _, _, text in CASES]
)
def test_the_check_says(step: Step, situation: Situation, kind: type, text: str) -> None:
    """Kind and words of the verdict."""
    verdict = step.check(situation)

    assert isinstance(verdict, kind), verdict
    assert text in (verdict.note if isinstance(verdict, Satisfied) else verdict.reason)
    if isinstance(verdict, Blocked):
        assert verdict.resolution


@pytest.mark.parametrize("step", [PreflightPackages(), PackageManager(), Kubeadm()], ids=lambda step: step.name)
def test_an_interrupted_installation_is_told_in_the_same_words_everywhere(step: Step) -> None:
    """With a command to paste; one that goes on is waited for, which no step takes for interrupted."""
    facts = host("w1", **HALF)

    assert step.check(at("w1", facts)) == Blocked(
        "an installation of packages was interrupted: kubeadm is unpacked",
        "finish it: ssh 192.0.2.21 sudo dpkg --configure -a; then run the same command again",
    )
    assert not isinstance(step.check(at("w1", replace(facts, package_lock="apt-get (process 7)"))), Blocked)


def test_a_control_plane_that_was_not_reached_counts_by_its_pods() -> None:
    """As the API shows them; one that nobody knows anything of is not taken for new."""
    situation = at("w1", api=cluster(NEW), others=NEW_PLANES)
    without = {name: facts for name, facts in situation.all_facts.items() if name != "cp2"}

    assert upgrading.older_control_planes(replace(situation, all_facts=without)) == ()
    old = replace(situation, all_facts=without, api=cluster(OLD))
    assert upgrading.older_control_planes(old) == ("cp2 runs 1.35.4",)
    nothing = replace(situation, all_facts=without, api=replace(cluster(), static_pod_images={}))
    assert upgrading.older_control_planes(nothing) == ("cp2 was not looked at",)


class Broken:
    """A machine on which kubeadm fails."""

    def __init__(self, said: str) -> None:
        self.said = said

    def run(self, script: Script) -> str:
        """Fail."""
        raise CommandFailed("cp1: it failed", details=self.said)

    def put_secret(self, path: str, content: Secret) -> None:
        """Nothing secret is sent."""
        raise AssertionError

    def fetch(self, path: str) -> Secret:
        """Nothing is read."""
        raise AssertionError

    def copy(self, path: str, to: Path, *, sha256: str) -> None:
        """Nothing is copied."""
        raise AssertionError


@pytest.mark.parametrize(
    ("said", "resolution"),
    [
        ("timed out waiting for the condition", "put back to its old manifest"),
        ("write /etc/kubernetes/tmp/x: no space left on device", "make room on cp1"),
    ],
)
def test_a_kubeadm_that_fails_says_what_that_means(said: str, resolution: str) -> None:
    """What it means for the host, or what is known of the trouble."""
    broken = Broken(said)

    anything: Any = None
    tools = Tools(broken, anything, anything, anything, anything, anything, "ada@desk", anything)
    with pytest.raises(CommandFailed) as caught:
        Apply().apply(at("cp1"), tools)

    assert resolution in caught.value.resolution
