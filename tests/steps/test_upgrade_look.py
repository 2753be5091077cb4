"""Each finding before an upgrade: what is found, and what an operator reads."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from clusterctl.model import places
from clusterctl.model.facts import CalicoFacts, ClusterFacts, Cordon, Disk, EtcdMember, FileFact, Package, Workload
from clusterctl.model.inventory import Inventory
from clusterctl.model.outlook import DeprecatedApi, EtcdStatus, Outlook
from clusterctl.model.places import ADMIN_CONF, KUBELET_CONF, STATIC_PODS
from clusterctl.model.situation import Situation
from clusterctl.model.verdict import Blocked, Satisfied, Unknown
from clusterctl.rules.network import CALICO_NODE, FLANNEL
from clusterctl.steps.catalogue import CATALOGUE
from clusterctl.steps.finding import Finding
from clusterctl.steps.upgrade.certificates import Certificates
from clusterctl.steps.upgrade.cgroups import Cgroups
from clusterctl.steps.upgrade.control_plane import ControlPlane
from clusterctl.steps.upgrade.disk_space import DiskSpace
from clusterctl.steps.upgrade.etcd_health import EtcdHealth
from clusterctl.steps.upgrade.etcd_version import EtcdVersion
from clusterctl.steps.upgrade.feature_gates import FeatureGates
from clusterctl.steps.upgrade.kubelet_flags import KubeletFlags
from clusterctl.steps.upgrade.network_plugin import NetworkPlugin
from clusterctl.steps.upgrade.nodes import Nodes
from clusterctl.steps.upgrade.old_marks import OldMarks
from clusterctl.steps.upgrade.package_manager import PackageManager
from clusterctl.steps.upgrade.removed_apis import RemovedApis
from clusterctl.steps.upgrade.runtime import Runtime
from clusterctl.steps.upgrade.skew import Skew
from clusterctl.steps.upgrade.versions import Versions
from tests.builders import make_facts, make_inventory, make_node
from tests.model.test_outlook import END, certificate
from tests.steps.test_findings import expect

NODE = frozenset({KUBELET_CONF})
PLANE = NODE | {ADMIN_CONF}
DER = base64.b64encode(certificate().public_bytes(serialization.Encoding.DER)).decode()
DAY = 86400.0
MEMBERS = tuple(EtcdMember(f"{number}", f"cp{number}", (f"192.0.2.1{number}",)) for number in (1, 2, 3))
ETCD = EtcdStatus("3.6.6", 2 << 20, "1")
ROOM = {path: Disk(50_000, 100_000, "/") for path in (*places.ROOM, *places.ETCD_COPIES)}
MASTER = "node-role.kubernetes.io/master"
CORDON = Cordon("op@desk", "2027-01-15T08:00:00Z", unschedulable=False)


def packages(version: str) -> dict[str, Package]:
    """kubeadm and kubelet as they are installed."""
    return {name: Package(f"{version}-1.1", held=True, intact=True) for name in ("kubeadm", "kubelet")}


def images(version: str, etcd: str = "3.6.6-0") -> dict[str, str]:
    """What the manifests name."""
    tags = {**dict.fromkeys(STATIC_PODS, f"v{version}"), "etcd": etcd}
    return {name: f"registry.k8s.io/{name}:{tag}" for name, tag in tags.items()}


def make_api(**changes: Any) -> ClusterFacts:
    """A cluster of 1.35.4 of three control planes and two workers, whose nodes are Ready."""
    names = ("cp1", "cp2", "cp3", "w1", "w2")
    api = ClusterFacts(
        version="1.35.4",
        nodes={name: make_node(name, kubelet_version="1.35.4", control_plane=name.startswith("cp")) for name in names},
        static_pods={f"{pod}-{name}": True for pod in STATIC_PODS for name in names[:3]},
        settings={"KubeletConfiguration": {}, "ClusterConfiguration": {}},
    )
    return replace(api, **changes)


def situation(
    host: str = "cp1",
    *,
    to: str = "1.36.3",
    api: ClusterFacts | None = make_api(),  # noqa: B008 - it is frozen.
    others: dict[str, dict[str, Any]] | None = None,
    plugin: str = "calico",
    **changes: Any,
) -> Situation:
    """A host of that cluster before its upgrade, on which ``changes`` hold, and ``others`` on others."""
    base = make_inventory(f"  network: {{plugin: {plugin}}}", control_planes=3)
    inventory: Inventory = base.model_copy(update={"cluster": base.cluster.model_copy(update={"kubernetes": to})})
    facts = {}
    for each in inventory.hosts:
        plane = each.role == "control-plane"
        own: dict[str, Any] = {
            "packages": packages("1.35.4"),
            "paths": PLANE if plane else NODE,
            "containerd_version": "2.3.7",
            "now": END.timestamp() - 200 * DAY,
            "disks": ROOM,
            "outlook": Outlook({"/etc/kubernetes/pki/apiserver.crt": DER}, ETCD if plane else None, (), {}),
            **({"static_pods": images("1.35.4"), "etcd_members": MEMBERS} if plane else {}),
            **(others or {}).get(each.name, {}),
            **(changes if each.name == host else {}),
        }
        facts[each.name] = make_facts(each.name, **own)
    return Situation(inventory, inventory.host(host), facts, api, "" if api else "the API server does not answer")


def node(name: str = "cp1", **changes: Any) -> ClusterFacts:
    """The cluster with a node that differs."""
    api = make_api()
    return replace(api, nodes={**api.nodes, name: replace(api.nodes[name], **changes)})


def nodes(**changes: Any) -> ClusterFacts:
    """The cluster with all nodes different."""
    api = make_api()
    return replace(api, nodes={name: replace(each, **changes) for name, each in api.nodes.items()})


def stranger(**changes: Any) -> ClusterFacts:
    """The cluster with a node that is not in the inventory."""
    api = make_api()
    return replace(api, nodes={**api.nodes, "old7": make_node("old7", **changes)})


def calico(version: str) -> ClusterFacts:
    """The cluster with Calico."""
    loads = {CALICO_NODE: Workload("DaemonSet", "calico-system", "calico-node", 5, 5, ())}
    return make_api(calico=CalicoFacts(frozenset(), version=version), workloads=loads)


def outlook(**changes: Any) -> Outlook:
    """What a control plane before the upgrade says, but for this."""
    return replace(Outlook({"/etc/kubernetes/pki/apiserver.crt": DER}, ETCD, (), {}), **changes)


def settings(kind: str, **values: Any) -> ClusterFacts:
    """The cluster with these values of kubeadm's or the kubelet's configuration."""
    return make_api(settings={kind: values})


def flags(text: str) -> dict[str, FileFact]:
    """The kubelet's flags by kubeadm."""
    return {"/var/lib/kubelet/kubeadm-flags.env": FileFact(text, "644")}


VERSIONS, SKEW, NODES = Versions(), Skew(), Nodes()
PLANES, DISK, MARKS = ControlPlane(), DiskSpace(), OldMarks()
RUNTIME, CGROUPS, DPKG = Runtime(), Cgroups(), PackageManager()
HEALTH, ETCD_VERSION = EtcdHealth(), EtcdVersion()
APIS, GATES = RemovedApis(), FeatureGates()
FLAGS, PLUGIN = KubeletFlags(), NetworkPlugin()
CERTIFICATES = Certificates()
AUTHORITY, KUBELET = "/etc/kubernetes/pki/ca.crt", "/var/lib/kubelet/pki/kubelet-client-current.pem"
BEGUN = {"packages": packages("1.36.3")}
ONE, TWO = MEMBERS[:1], MEMBERS[:2]
FLOWS = DeprecatedApi("flowcontrol.apiserver.k8s.io/v1beta3/flowschemas", "1.36")
LATER = DeprecatedApi("example.k8s.io/v1beta1/things", "1.38")

CASES: list[tuple[Finding, dict[str, Any], type, str]] = [
    (VERSIONS, {}, Satisfied, "1.35.4 to 1.36.3"),
    (VERSIONS, {"to": "1.35.4"}, Satisfied, "1.35.4 runs here"),
    (VERSIONS, {"to": "1.35.9"}, Satisfied, "1.35.4 to 1.35.9"),
    (VERSIONS, {"to": "1.37.1"}, Blocked, "runs 1.35.4, more than one minor before 1.37.1"),
    (VERSIONS, {"to": "1.35.3"}, Satisfied, "~runs 1.35.4 already; nothing is lowered"),
    (VERSIONS, {"static_pods": images("1.36.3")}, Satisfied, "1.36.3 runs here"),
    (VERSIONS, {"static_pods": {}, "api": None}, Unknown, "is not known: the API server does not answer"),
    (VERSIONS, {"host": "w1"}, Satisfied, "a worker follows"),
    (VERSIONS, {"host": "w1", "paths": frozenset()}, Blocked, "no node of the cluster"),
    (SKEW, {"host": "w1"}, Satisfied, "kubelet 1.35.4"),
    (SKEW, {"host": "w1", "api": node("w1", kubelet_version="1.33.9")}, Satisfied, "kubelet 1.33.9"),
    (
        SKEW,
        {"host": "w1", "api": node("w1", kubelet_version="1.32.9")},
        Blocked,
        "works with kubelets of 1.33 and newer",
    ),
    (SKEW, {"host": "w1", "packages": packages("1.36.3")}, Satisfied, "~newer than the API server 1.35.4"),
    (SKEW, {"host": "w1", "packages": packages("1.36.4")}, Satisfied, "~newer than 1.36.3 and is never lowered"),
    (SKEW, {"host": "w1", "packages": {}, "api": node("w1", kubelet_version="")}, Blocked, "no kubelet is known"),
    (SKEW, {"api": stranger(kubelet_version="1.31.0")}, Blocked, "not in the inventory are too old for 1.36.3: old7"),
    (SKEW, {"api": stranger(kubelet_version="1.34.0")}, Satisfied, "kubelet 1.35.4"),
    (SKEW, {"api": None}, Unknown, "does not answer"),
    (DPKG, {}, Satisfied, "nothing in the way"),
    (DPKG, {"dpkg_problem": "kubeadm is unpacked"}, Blocked, "was interrupted: kubeadm is unpacked"),
    (DPKG, {"dpkg_problem": "a is unpacked", "package_lock": "apt"}, Satisfied, "~it is waited for"),
    (NODES, {}, Satisfied, "cp1 is Ready"),
    (NODES, {"api": None}, Unknown, "does not answer"),
    (NODES, {"host": "w1", "api": make_api(nodes={})}, Blocked, "the cluster has no node w1"),
    (NODES, {"host": "w1", "api": node("w1", ready=False, reason="KubeletNotReady")}, Blocked, "KubeletNotReady"),
    (NODES, {"host": "w1", "api": node("w1", ready=False, cordoned=CORDON)}, Satisfied, "~its upgrade has begun"),
    (NODES, {"host": "w1", "api": node("w1", ready=False), **BEGUN}, Satisfied, "~its upgrade has begun"),
    (NODES, {"host": "w1", "api": node("w1", unschedulable=True)}, Satisfied, "~cordoned by somebody else"),
    (NODES, {"host": "w1", "api": node("w1", unschedulable=True, cordoned=CORDON)}, Satisfied, "w1 is Ready"),
    (NODES, {"api": nodes(unschedulable=True)}, Blocked, "no node takes new pods"),
    (NODES, {"api": nodes(unschedulable=True, cordoned=CORDON)}, Satisfied, "cp1 is Ready"),
    (NODES, {"api": nodes(taints=("gpu=yes:NoSchedule",))}, Blocked, "no node takes new pods"),
    (NODES, {"api": nodes(taints=("node-role.kubernetes.io/control-plane:NoSchedule",))}, Satisfied, "Ready"),
    (NODES, {"api": nodes(taints=("soon:PreferNoSchedule",))}, Satisfied, "Ready"),
    (NODES, {"api": stranger()}, Satisfied, "~not in the inventory, and not upgraded: old7"),
    (PLANES, {}, Satisfied, "are ready"),
    (PLANES, {"host": "w1"}, Satisfied, "a worker"),
    (PLANES, {"api": None}, Unknown, "does not answer"),
    (PLANES, {"api": make_api(static_pods={})}, Blocked, "not ready: etcd-cp1, kube-apiserver-cp1"),
    (PLANES, {"api": make_api(static_pods={}), **BEGUN}, Satisfied, "~the upgrade has begun here"),
    (HEALTH, {}, Satisfied, "3 of 3 members answer; 2 are a majority"),
    (HEALTH, {"host": "w1"}, Satisfied, "no etcd runs here"),
    (HEALTH, {"etcd_members": None}, Blocked, "does not answer"),
    (HEALTH, {"etcd_members": None, **BEGUN}, Satisfied, "~the upgrade has begun here"),
    (HEALTH, {"others": {"cp3": {"etcd_members": None}}}, Blocked, "2 of 3 members of etcd answer: without one more"),
    (HEALTH, {"etcd_members": (*TWO, replace(MEMBERS[2], learner=True))}, Blocked, "is a learner and has no vote: cp3"),
    (HEALTH, {"etcd_members": (*TWO, EtcdMember("ab", "", ("192.0.2.77",)))}, Blocked, "ab at 192.0.2.77"),
    (HEALTH, {"etcd_members": TWO}, Satisfied, "~two members: while one of them restarts"),
    (HEALTH, {"etcd_members": ONE}, Satisfied, "the only member"),
    (HEALTH, {"outlook": outlook(etcd=replace(ETCD, problems=("NOSPACE",)))}, Blocked, "etcd reports: NOSPACE"),
    (HEALTH, {"outlook": outlook(etcd=replace(ETCD, leader=""))}, Blocked, "no leader"),
    (HEALTH, {"outlook": None}, Satisfied, "3 of 3"),
    (ETCD_VERSION, {}, Satisfied, "etcd 3.6.6"),
    (ETCD_VERSION, {"host": "w1"}, Satisfied, "no etcd"),
    (ETCD_VERSION, {"static_pods": images("1.33.9", "3.5.24-0"), "to": "1.34.4"}, Blocked, "etcd is 3.5.24"),
    (ETCD_VERSION, {"static_pods": images("1.33.9", "3.5.26-0"), "to": "1.34.4"}, Satisfied, "etcd 3.5.26"),
    (ETCD_VERSION, {"static_pods": images("1.33.5", "3.5.24-0"), "to": "1.33.9"}, Satisfied, "etcd 3.5.24"),
    (CERTIFICATES, {}, Satisfied, "the first of 1 ends in 200 days"),
    (CERTIFICATES, {"outlook": None}, Satisfied, "at the wanted version"),
    (CERTIFICATES, {"outlook": outlook(certificates={})}, Satisfied, "none was found"),
    (CERTIFICATES, {"now": END.timestamp() + 3 * DAY}, Blocked, "apiserver.crt (3 days ago)"),
    (CERTIFICATES, {"now": END.timestamp() - 9 * DAY}, Satisfied, "~apiserver.crt in 9 days; the upgrade renews it"),
    (CERTIFICATES, {"outlook": outlook(certificates={AUTHORITY: DER})}, Satisfied, f"~ends: {AUTHORITY} in 200 days"),
    (CERTIFICATES, {"outlook": outlook(certificates={KUBELET: DER})}, Satisfied, "ends in 200 days"),
    (DISK, {}, Satisfied, "50000 MiB free"),
    (DISK, {"outlook": None}, Satisfied, "at the wanted version"),
    (DISK, {"disks": dict.fromkeys(ROOM, Disk(2000, 9000, "/"))}, Blocked, "2000 MiB free for /var/lib/containerd and"),
    (DISK, {"host": "w1", "disks": dict.fromkeys(ROOM, Disk(2000, 9000, "/"))}, Satisfied, "2000 MiB free"),
    (
        DISK,
        {
            "outlook": outlook(etcd=replace(ETCD, size=4 << 30)),
            "disks": {**ROOM, "/var/lib/etcd": Disk(4200, 9000, "/e")},
        },
        Blocked,
        "4200 MiB free for /var/lib/etcd (on /e), 4352 wanted",
    ),
    (APIS, {}, Satisfied, "none is in use"),
    (APIS, {"host": "w1"}, Satisfied, "a worker"),
    (APIS, {"outlook": None}, Satisfied, "at the wanted version"),
    (APIS, {"outlook": outlook(deprecated=None)}, Satisfied, "~could not be read"),
    (APIS, {"outlook": outlook(deprecated=(FLOWS, LATER))}, Blocked, f"{FLOWS.name} (removed in 1.36)"),
    (APIS, {"outlook": outlook(deprecated=(LATER,))}, Satisfied, f"~in use: {LATER.name} goes with 1.38"),
    (GATES, {}, Satisfied, "nothing is known"),
    (GATES, {"host": "cp2"}, Satisfied, "looked at once"),
    (GATES, {"api": None}, Unknown, "does not answer"),
    (
        GATES,
        {"api": settings("ClusterConfiguration", featureGates={"ControlPlaneKubeletLocalMode": True})},
        Blocked,
        "does not know the feature gate ControlPlaneKubeletLocalMode",
    ),
    (
        GATES,
        {"api": settings("ClusterConfiguration", featureGates={"NodeLocalCRISocket": True})},
        Satisfied,
        "nothing is known",
    ),
    (
        GATES,
        {
            "api": settings("KubeletConfiguration", featureGates={"Old": True, "New": True}),
            "outlook": outlook(gates={"Old": "GA", "New": "BETA"}),
        },
        Satisfied,
        "~unknown to a coming version: Old",
    ),
    (
        GATES,
        {
            "api": settings(
                "ClusterConfiguration",
                apiServer={"extraArgs": [{"name": "feature-gates", "value": "A=true,Old=false"}]},
            ),
            "outlook": outlook(gates={"Old": "GA"}),
        },
        Satisfied,
        "~unknown to a coming version: Old",
    ),
    (FLAGS, {"to": "1.37.1"}, Satisfied, "nothing is known"),
    (
        FLAGS,
        {"to": "1.37.1", "files": flags('KUBELET_KUBEADM_ARGS="--v=2 --containerd=/run/x"\n')},
        Blocked,
        "does not start with --containerd",
    ),
    (FLAGS, {"to": "1.36.3", "files": flags('KUBELET_KUBEADM_ARGS="--containerd=/run/x"\n')}, Satisfied, "nothing"),
    (FLAGS, {"to": "1.37.1", "files": flags('#KUBELET_KUBEADM_ARGS="--containerd=/x"\n')}, Satisfied, "nothing"),
    (
        FLAGS,
        {"to": "1.37.1", "files": flags("KUBELET_KUBEADM_ARGS=--housekeeping-interval=9s\n")},
        Satisfied,
        "nothing",
    ),
    (CGROUPS, {}, Satisfied, "cgroup v2"),
    (CGROUPS, {"cgroup": "v1"}, Blocked, "cgroup v1, with which a kubelet of 1.36 does not start"),
    (CGROUPS, {"cgroup": "v1", "to": "1.34.9"}, Satisfied, "cgroup v1"),
    (CGROUPS, {"cgroup": "v1", "api": settings("KubeletConfiguration", failCgroupV1=False)}, Satisfied, "is false"),
    (CGROUPS, {"cgroup": "v1", "api": None}, Unknown, "does not answer"),
    (RUNTIME, {}, Satisfied, "containerd 2.3.7"),
    (RUNTIME, {"to": "1.38.0"}, Satisfied, "containerd 2.3.7"),
    (RUNTIME, {"to": "1.38.0", "containerd_version": "1.7.24~ds1"}, Blocked, "the kubelet of 1.38 needs 2.0"),
    (RUNTIME, {"containerd_version": "1.7.24~ds1"}, Satisfied, "containerd 1.7.24"),
    (RUNTIME, {"containerd_version": ""}, Satisfied, "no containerd"),
    (PLUGIN, {"host": "cp2"}, Satisfied, "looked at once"),
    (PLUGIN, {"api": None}, Unknown, "does not answer"),
    (PLUGIN, {"api": calico("v3.32.1")}, Satisfied, "Calico v3.32.1 knows 1.36"),
    (PLUGIN, {"api": calico("v3.31.7")}, Satisfied, "Calico v3.32.1 in place of v3.31.7 knows 1.36"),
    (
        PLUGIN,
        {"api": calico("v3.32.1"), "to": "1.37.1"},
        Blocked,
        "is tested with Kubernetes up to 1.36",
    ),
    (
        PLUGIN,
        {"api": calico("v3.31.7"), "plugin": "flannel"},
        Blocked,
        "Calico v3.31.7 is tested with",
    ),
    (PLUGIN, {"api": calico("v3.99.0"), "plugin": "flannel"}, Satisfied, "~Calico v3.99.0: see whether it knows 1.36"),
    (PLUGIN, {"api": calico(""), "plugin": "flannel"}, Satisfied, "~of an unknown version"),
    (
        PLUGIN,
        {"api": make_api(workloads={FLANNEL: Workload("DaemonSet", "f", "f", 1, 1, ("ghcr.io/f/flannel:v0.28.4",))})},
        Satisfied,
        "flannel:v0.28.4, which names no versions",
    ),
    (PLUGIN, {}, Satisfied, "~a plugin that clusterctl does not know"),
    (MARKS, {}, Satisfied, "none"),
    (MARKS, {"api": None}, Unknown, "does not answer"),
    (MARKS, {"api": node(taints=(f"{MASTER}:NoSchedule",))}, Blocked, f"the taint {MASTER}"),
    (MARKS, {"api": node(taints=(f"{MASTER}=x:NoSchedule",))}, Blocked, f"the taint {MASTER}"),
    (MARKS, {"api": node(labels={MASTER: ""})}, Satisfied, f"~the old label {MASTER}"),
]


@pytest.mark.parametrize(
    ("step", "facts", "kind", "text"), CASES, ids=[f"{step.name}-{text}" for step, _, _, text in CASES]
)
def test_findings_before_an_upgrade(step: Finding, facts: dict[str, Any], kind: type, text: str) -> None:
    """The finding answers with this verdict, names this fact, and says what to do where it blocks."""
    verdict = step.check(situation(**facts))

    if kind is Unknown:
        assert isinstance(verdict, Unknown)
        assert text in verdict.reason
    else:
        expect(verdict, kind, text)
    if isinstance(verdict, Blocked):
        assert verdict.resolution


def test_without_a_cluster_there_is_nothing_to_upgrade() -> None:
    """Fresh machines are told apart from a cluster that does not answer."""
    fresh: dict[str, dict[str, Any]] = {name: {"paths": frozenset()} for name in ("cp1", "cp2", "cp3")}

    verdict = VERSIONS.check(situation("w1", api=None, others=fresh))

    expect(verdict, Blocked, "there is no cluster yet")


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("/etc/kubernetes/pki/apiserver.crt", "kubeadm certs renew all"),
        (AUTHORITY, "manual-rotation-of-ca-certificates"),
        (KUBELET, "join anew"),
    ],
)
def test_each_kind_of_certificate_has_its_remedy(path: str, remedy: str) -> None:
    """What renews one does nothing for another."""
    late = situation(outlook=outlook(certificates={path: DER}), now=END.timestamp() + DAY)

    verdict = CERTIFICATES.check(late)

    assert isinstance(verdict, Blocked)
    assert remedy in verdict.resolution


def test_every_finding_can_be_ignored_and_has_a_case() -> None:
    """A new finding brings a case that blocks; ignored, it warns and stops nothing."""
    findings = {
        step.name for step in CATALOGUE.values() if isinstance(step, Finding) and step.name.startswith("upgrade/")
    }
    blocking = {step.name: facts for step, facts, kind, _ in CASES if kind is Blocked}

    assert findings == blocking.keys()
    for step in CATALOGUE.values():
        if isinstance(step, Finding) and step.name in blocking:
            verdict = step.ignored().check(situation(**blocking[step.name]))
            assert isinstance(verdict, Satisfied)
            assert verdict.warning
